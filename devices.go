package doppel

import (
	"errors"
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

// maxNICs leaves slots for a console and entropy.
const maxNICs = board.VirtioSlots - 2

// maxDisks is how many slots networks, console and entropy leave.
func (cfg *Config) maxDisks() int {
	n := board.VirtioSlots - 1 - len(cfg.NICs)
	if cfg.virtioConsole() {
		n--
	}
	return n
}

// devices opens the backends and makes the virtio devices: disks first, so
// that the guest numbers them as Config does. All of it is undone on an error.
func (h *Host) devices(cfg *Config, source entropy.Source, failure *diskFailure, meters *meters) (models []virtio.Model, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(models))
			models = nil
		}
	}()
	for _, d := range cfg.Disks {
		m, err := openDisk(d, failure, meters)
		if err != nil {
			return models, &ConfigError{Field: "Disk", Value: d.Path, Reason: err.Error()}
		}
		models = append(models, m)
	}
	for i, n := range cfg.NICs {
		var publish []Publish
		if i == h.publisher(cfg) {
			publish = cfg.Publish
		}
		m, err := h.network(cfg, i, n, publish, meters)
		if err != nil {
			return models, err
		}
		models = append(models, m)
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
