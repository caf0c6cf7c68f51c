// Package doppel runs whole, unmodified operating systems inside a Go program:
//
//	m, err := doppel.New(doppel.Config{Kernel: "Image", Append: "console=ttyS0", Console: doppel.Stream(os.Stdin, os.Stdout)})
//	...
//	defer m.Close()
//	result, err := m.Run(ctx)
//
// A machine is a RISC-V RV64GC computer on the board that QEMU calls virt. A
// Config without a kernel and a firmware boots the small guest that is part of
// the package.
//
// The methods of a Machine may be called from any goroutine. A machine lives
// until Close, whatever its guest does; nothing that a guest does panics or
// ends the program around it.
package doppel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"doppel/internal/backend/block"
	"doppel/internal/cpu/jit"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/balloon"
	"doppel/internal/entropy"
	"doppel/internal/guest"
	"doppel/internal/machine"
)

// Machine is one machine.
type Machine struct {
	m      *machine.Machine
	host   *Host
	alone  bool // the host is this machine's own
	config Config
	disks  *diskFailure
	meters *meters
	aids   aids

	held    []*heldFile     // for resets
	release sync.Once       // of them
	balloon *balloon.Device // nil without one
	squeeze squeeze
}

// StatusError says that a method cannot be used now, such as Resume on a
// machine that was closed.
type StatusError = machine.StatusError

// Status is where a machine is in its life.
type Status = machine.Status

// The statuses.
const (
	Created = machine.Created
	Running = machine.Running
	Paused  = machine.Paused
	Stopped = machine.Stopped
	Closed  = machine.Closed
)

// Result is how a guest ended: by itself (PowerOff), through the test
// finisher with a code (Finished), or because Run's context or Close ended it
// (Halted).
type Result = machine.Result

// Reason is the kind of a Result.
type Reason = machine.Reason

// The reasons.
const (
	PowerOff = machine.PowerOff
	Finished = machine.Finished
	Halted   = machine.Halted
)

// Stats counts what a machine has done.
type Stats = machine.Stats

const (
	defaultMemory = 512 << 20
	defaultCPUs   = 1
	firmwareNone  = "none"
	engineInterp  = "interp"
)

// New builds a machine on a host of its own: files are read, disks opened and
// ports bound. Nothing runs before Run. Several machines that are to share
// processors, memory and networks are made by a Host.
func New(cfg Config) (*Machine, error) {
	h, err := NewHost(HostConfig{})
	if err != nil {
		return nil, err
	}
	m, err := h.New(cfg)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	m.alone = true
	return m, nil
}

// build makes a machine of a configuration that its host has checked.
func (h *Host) build(cfg *Config) (built *Machine, err error) {
	mc, held, err := cfg.machine(h.held())
	if err != nil {
		return nil, err
	}
	defer func() {
		if built == nil {
			releaseAll(held)
		}
	}()
	aids, err := cfg.openAids()
	if err != nil {
		return nil, err
	}
	mc.CheckFiles = func() error { return checkAll(held) }
	mc.Budget, mc.MakeRoom = h.memory.budget, h.memory.recount
	mc.JIT = jit.Options{Dump: aids.dump, PerfMap: aids.perf}
	disks, meters := &diskFailure{}, &meters{}
	if mc.Virtio, err = h.devices(cfg, mc.Entropy, disks, meters); err != nil {
		return nil, errors.Join(err, aids.close())
	}
	b, err := cfg.newBalloon(mc.Virtio)
	if err != nil {
		return nil, errors.Join(err, closeAll(mc.Virtio), aids.close())
	}
	if b != nil {
		mc.Virtio = append(mc.Virtio, b)
	}
	m, err := machine.New(*mc)
	if err != nil {
		return nil, errors.Join(err, aids.close())
	}
	return &Machine{m: m, disks: disks, meters: meters, aids: aids, held: held, balloon: b}, nil
}

// machine translates what is not a device.
func (cfg *Config) machine(known []*heldFile) (mc *machine.Config, held []*heldFile, err error) {
	mc = &machine.Config{
		Memory: cfg.Memory, CPUs: cfg.CPUs, Engine: cfg.Engine, Append: cfg.Append,
		Bare: cfg.Firmware == firmwareNone, Entropy: entropy.Host{}, Trace: cfg.Trace,
	}
	if mc.Memory == 0 {
		mc.Memory = defaultMemory
	}
	if mc.CPUs == 0 {
		mc.CPUs = defaultCPUs
	}
	if mc.Share, err = cfg.share(); err != nil {
		return nil, nil, err
	}
	if cfg.Seed != nil {
		mc.Entropy = entropy.NewSeeded(*cfg.Seed)
	}
	if cfg.Console != nil {
		mc.Console = cfg.serial()
	}
	if held, err = cfg.readFiles(mc, known); err != nil {
		return nil, nil, err
	}
	return mc, held, nil
}

// readFiles reads those that no machine of the host holds already.
func (cfg *Config) readFiles(mc *machine.Config, known []*heldFile) (held []*heldFile, err error) {
	switch {
	case cfg.KernelData != nil && cfg.Kernel != "":
		return nil, &ConfigError{Field: "Kernel", Value: cfg.Kernel, Reason: "there is KernelData too; give one of them"}
	case cfg.KernelData != nil:
		mc.Kernel = machine.File{Name: "KernelData", Data: cfg.KernelData}
	case cfg.Kernel == "" && (cfg.Firmware == "" || mc.Bare):
		if cfg.Initrd != "" || len(cfg.Disks) > 0 || mc.Bare {
			return nil, &ConfigError{Field: "Kernel", Value: "(none)", Reason: "a kernel or a firmware is needed to use a disk, an initrd or a bare start"}
		}
		mc.Kernel = machine.File{Name: "embedded guest", Data: guest.Image()}
		return nil, nil
	}
	for _, f := range []struct {
		field, path string
		to          *machine.File
	}{{"Kernel", cfg.Kernel, &mc.Kernel}, {"Initrd", cfg.Initrd, &mc.Initrd}, {"Firmware", cfg.Firmware, &mc.Firmware}} {
		if f.path == "" || f.to == &mc.Firmware && mc.Bare {
			continue
		}
		file, err := readFile(f.path, mc.Memory, known)
		if err != nil {
			releaseAll(held)
			return nil, &ConfigError{Field: f.field, Value: f.path, Reason: err.Error()}
		}
		*f.to = machine.File{Name: f.path, Data: file.data}
		held = append(held, file)
	}
	return held, nil
}

// openDisk opens a disk's file.
func openDisk(d Disk, failure *diskFailure, meters *meters) (virtio.Model, error) {
	mode := block.ReadWrite
	switch {
	case d.Ephemeral:
		mode = block.Ephemeral
	case d.ReadOnly:
		mode = block.ReadOnly
	}
	disk, err := block.Open(d.Path, mode)
	if err != nil {
		return nil, err
	}
	return newBlock(meters.disk(disk), failure), nil
}

// Run starts the machine and waits until the guest ends it, the host fails or
// ctx is done; the error is then that of ctx. It may be called once. A disk
// that the host cannot read or write (it is full, for example) gives the guest
// an I/O error, with which it goes on; the first of these is in the error too,
// and so is what could not be written of JITDump and PerfMap.
func (m *Machine) Run(ctx context.Context) (Result, error) {
	result, err := m.m.Run(ctx)
	if failed := m.disks.get(); failed != nil {
		err = errors.Join(err, failed)
	}
	if failed := m.aids.close(); failed != nil {
		err = errors.Join(err, failed)
	}
	return result, err
}

// Pause stops the guest between two instructions. Its clock stands still too.
func (m *Machine) Pause() error { return m.m.Pause() }

// Resume lets a paused guest go on.
func (m *Machine) Resume() error { return m.m.Resume() }

// SysRq sends a guest on the serial line one of Linux's magic keys: 's' writes
// file systems out, 'u' makes them read-only, 'o' switches the machine off, 'b'
// restarts it. False: the guest does not listen, or not now.
func (m *Machine) SysRq(key byte) bool { return m.m.Break(key) }

// Reset restarts the guest, as its own reboot does.
func (m *Machine) Reset() error { return m.m.Reset() }

// Name is the machine's name, which no other machine of its host has.
func (m *Machine) Name() string { return m.config.Name }

// Host is the host that the machine is on.
func (m *Machine) Host() *Host { return m.host }

// Status tells where the machine is in its life.
func (m *Machine) Status() Status { return m.m.Status() }

// PauseReason tells why the host has paused the machine: its memory is short.
// It is empty if the machine is not paused, or if Pause has paused it. The
// machine goes on when there is room, or at Resume.
func (m *Machine) PauseReason() string {
	_, reason := m.m.Look()
	return reason
}

// Fallback tells why the interpreter runs a machine that was configured with
// Engine "auto", where the translator is preferred; nil if it does not.
func (m *Machine) Fallback() error { return m.m.Fallback() }

// Stats counts what the machine has done so far.
func (m *Machine) Stats() Stats { return m.m.Stats() }

// Counts are what the translator of each processor has counted, by names that
// may change from version to version. The processors of a running machine are
// interrupted for a moment.
func (m *Machine) Counts() []map[string]uint64 {
	var all []map[string]uint64
	for _, cs := range m.m.Counts() {
		named := make(map[string]uint64, len(cs))
		for _, c := range cs {
			if c.N != 0 || !strings.HasPrefix(c.Name, "slow ") { // of which there are hundreds
				named[c.Name] = c.N
			}
		}
		all = append(all, named)
	}
	return all
}

// Save writes the state of a paused or stopped machine, its memory included.
// What is on disks is not part of it.
func (m *Machine) Save(w io.Writer) error { return m.m.Save(w) }

// Restore reads what Save wrote into a new machine of the same Config, before
// Run. After an error the machine can only be closed.
func (m *Machine) Restore(r io.Reader) error {
	if err := m.m.Restore(r); err != nil {
		return err
	}
	m.host.memory.restored(m)
	return nil
}

// Close ends the guest and releases everything. It may be called twice.
func (m *Machine) Close() (err error) {
	defer m.aids.close() // Run has told what there is to tell
	if err := m.m.Close(); err != nil {
		return fmt.Errorf("close machine: %w", err)
	}
	m.host.leave(m)
	m.release.Do(func() { err = releaseAll(m.held) })
	if err != nil {
		return fmt.Errorf("close machine: %w", err)
	}
	if m.alone {
		return m.host.Close()
	}
	return nil
}
