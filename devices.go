package doppel

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"doppel/internal/backend"
	"doppel/internal/board"
	"doppel/internal/device"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/blk"
	"doppel/internal/device/virtio/console"
	"doppel/internal/device/virtio/rng"
	"doppel/internal/entropy"
)

// maxDisks is how many slots network, console and entropy leave.
func (cfg *Config) maxDisks() int {
	n := board.VirtioSlots - 1
	if cfg.Net == netUser {
		n--
	}
	if cfg.virtioConsole() {
		n--
	}
	return n
}

// devices opens the backends and makes the virtio devices: disks first, so
// that the guest numbers them as Config does. All of it is undone on an error.
func (cfg *Config) devices(source entropy.Source, failure *diskFailure) (models []virtio.Model, err error) {
	if most := cfg.maxDisks(); len(cfg.Disks) > most {
		return nil, &ConfigError{Field: "Disks", Value: fmt.Sprint(len(cfg.Disks)), Reason: fmt.Sprintf("at most %d disks fit beside the machine's other virtio devices", most)}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(models))
			models = nil
		}
	}()
	for _, d := range cfg.Disks {
		m, err := openDisk(d, failure)
		if err != nil {
			return models, &ConfigError{Field: "Disk", Value: d.Path, Reason: err.Error()}
		}
		models = append(models, m)
	}
	n, err := cfg.network()
	if err != nil {
		return models, err
	}
	if n != nil {
		models = append(models, n)
	}
	if cfg.virtioConsole() {
		models = append(models, console.New(console.Port{Name: "console", Terminal: cfg.Console}))
	}
	return append(models, rng.New(source)), nil
}

func newBlock(d backend.Disk, failure *diskFailure) virtio.Model {
	return blk.New(blk.Config{Disk: d, OnError: failure.set})
}

// diskFailure is the first failure of the host's that a guest's disk met. The
// backend's errors name the file and what to do.
type diskFailure struct {
	mu  sync.Mutex
	err error
}

func (f *diskFailure) set(_ blk.Op, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *diskFailure) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// virtioConsole tells whether the guest is to use a virtio console.
func (cfg *Config) virtioConsole() bool {
	if cfg.Console == nil {
		return false
	}
	for _, word := range strings.Fields(cfg.Append) {
		if word == "console=hvc0" {
			return true
		}
	}
	return false
}

// serial is the console as the serial line has it: the input belongs to the
// virtio console if there is one.
func (cfg *Config) serial() device.Terminal {
	if cfg.virtioConsole() {
		return outputOnly{cfg.Console}
	}
	return cfg.Console
}

// closeAll releases the backends of devices that no machine owns yet.
func closeAll(models []virtio.Model) error {
	var errs []error
	for _, m := range models {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
