package machine

import (
	"fmt"
	"io"

	"doppel/internal/board"
	"doppel/internal/cpu/jit"
	"doppel/internal/cpu/sched"
	"doppel/internal/device"
	"doppel/internal/device/virtio"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/state"
)

// Limits of a machine.
const (
	MaxCPUs   = 64
	MinMemory = 4 << 20
	MaxMemory = 1 << 40
)

// EntropySource is a source whose state is saved with the machine.
type EntropySource interface {
	entropy.Source
	state.Component
}

// File is a file's contents and the name by which errors call it.
type File struct {
	Name string
	Data []byte // which may be a mapped file (platform.MapFile)
}

// Flash is a bank of flash. Backing, if not nil, gets every change.
type Flash struct {
	Data    []byte
	Backing io.WriterAt
}

// Config says what a machine is. All of it stays unchanged for its life.
type Config struct {
	Memory uint64 // bytes of RAM
	CPUs   int
	Engine string // "interp", "jit", "jit,check" or "auto"
	JIT    jit.Options

	// Scheduler is what the machine's vCPUs have processors from; nil is the
	// process's own. Share is what it lets the machine have.
	Scheduler *sched.Scheduler
	Share     sched.Share

	// Budget is what the machine's memory comes out of; nil does not bound it.
	// MakeRoom is called before a restore fails for it.
	Budget   *memory.Budget
	MakeRoom func()

	Kernel   File // nil Data: none
	Initrd   File
	Append   string // the kernel's command line
	Firmware File   // nil Data: the built-in SBI, or nothing for a bare-metal kernel
	// Bare starts the kernel in M-mode without any firmware.
	Bare bool

	// CheckFiles, if not nil, tells before and after they are read whether these
	// files are what they were.
	CheckFiles func() error

	// Flash is what the flash banks hold at first, zeros behind the data.
	Flash [board.FlashBanks]Flash

	// Virtio devices take the slots from 0 up; nil leaves a slot empty.
	Virtio []virtio.Model

	// Console is the far end of the serial line; nil drops output. It stays
	// its owner's, and must not be closed before the machine.
	Console device.Terminal

	Entropy EntropySource // nil: the host's

	// Trace, if not nil, gets a line for each exit. It is not called after
	// Run has returned, unless it blocks.
	Trace io.Writer
}

// ConfigError says which value of a configuration cannot be.
type ConfigError struct {
	Field  string
	Value  string
	Reason string // what is allowed, or what to do
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Field, e.Value, e.Reason)
}

func (c *Config) validate() error {
	bad := func(field string, value any, why string, args ...any) error {
		return &ConfigError{field, fmt.Sprint(value), fmt.Sprintf(why, args...)}
	}
	switch {
	case c.CPUs < 1 || c.CPUs > MaxCPUs:
		return bad("CPUs", c.CPUs, "must be 1 to %d", MaxCPUs)
	case c.Memory < MinMemory || c.Memory > MaxMemory:
		return bad("Memory", c.Memory, "must be %d MiB to %d GiB", MinMemory>>20, uint64(MaxMemory)>>30)
	case c.Memory%memory.PageSize != 0:
		return bad("Memory", c.Memory, "must be a multiple of 4 KiB")
	case c.Engine != "" && c.Engine != "auto" && c.Engine != "interp" && c.Engine != "jit" && c.Engine != engineCheck:
		return bad("Engine", c.Engine, "must be auto, interp, jit or jit,check")
	case c.Trace != nil && c.Engine == engineCheck:
		return bad("Engine", c.Engine, "runs every instruction twice and shows no traps: trace with auto, interp or jit")
	case len(c.Virtio) > board.VirtioSlots:
		return bad("Virtio", len(c.Virtio), "the board has room for %d virtio devices", board.VirtioSlots)
	case c.Bare && c.Firmware.Data != nil:
		return bad("Firmware", c.Firmware.Name, "cannot be combined with a bare-metal start")
	case c.Kernel.Data == nil && c.Firmware.Data == nil:
		return bad("Kernel", "(none)", "a kernel or a firmware is needed")
	case c.Kernel.Data == nil && c.Initrd.Data != nil:
		return bad("Initrd", c.Initrd.Name, "needs a kernel")
	case len(c.Append) >= maxAppend:
		return bad("Append", fmt.Sprintf("of %d bytes", len(c.Append)), "must be under %d bytes", maxAppend)
	}
	if err := c.validateShare(); err != nil {
		return err
	}
	for i, f := range c.Flash {
		if len(f.Data) > board.FlashSize {
			return bad("Flash", fmt.Sprintf("bank %d of %d bytes", i, len(f.Data)), "a bank has %d bytes", board.FlashSize)
		}
	}
	return nil
}

func (c *Config) validateShare() error {
	if why := sched.CheckWeight(c.Share.Weight); why != "" {
		return &ConfigError{"CPUWeight", fmt.Sprint(c.Share.Weight), why}
	}
	if why := sched.CheckCap(c.Share.Cap, c.CPUs); why != "" {
		return &ConfigError{"CPUCap", fmt.Sprintf("%g%%", float64(c.Share.Cap)/10), why}
	}
	if why := c.Scheduler.CheckAffinity(c.Share.Affinity); why != "" {
		return &ConfigError{"CPUAffinity", sched.FormatCPUs(c.Share.Affinity), why}
	}
	return nil
}

// maxAppend is Linux's COMMAND_LINE_SIZE, with its terminator, on RISC-V.
const maxAppend = 1024
