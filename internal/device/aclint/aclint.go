// Package aclint is the RISC-V Advanced Core Local Interruptor in the layout
// of SiFive's CLINT: an MSWI device (software interrupts) and an MTIMER device
// (mtime and one mtimecmp a hart) in one window.
//
// mtime is the machine's clock plus an offset that a write sets.
// Deviates: aclint, mtime: the time CSR does not follow a write to mtime. Only
// M-mode can write it, and no firmware does.
//
// Threads: Read and Write from any vCPU, timers from the clock's goroutines.
// Lock order: ACLINT.mu, then the clock and the harts' interrupt inputs.
package aclint

import (
	"math"
	"sync"

	"doppel/internal/clock"
	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/state"
)

// Register layout (aclint, table "CLINT compatibility").
const (
	// WindowSize is the length of the register window.
	WindowSize = 0x10000
	// MaxHarts is the number of harts for which the layout has room.
	MaxHarts = 4095

	msipBase     = 0x0000 // 4 bytes a hart
	mtimecmpBase = 0x4000 // 8 bytes a hart
	mtimeOff     = 0xbff8
)

// Hart is the part of a hart that the ACLINT drives.
type Hart struct {
	Software, Timer device.Line
	Phandle         uint32 // of the hart's interrupt controller
}

// Config says what the ACLINT is connected to.
type Config struct {
	Clock clock.Clock
	Hz    uint64 // frequency of mtime
	Harts []Hart
}

// ACLINT is the device.
type ACLINT struct {
	cfg    Config
	timers []clock.Timer

	mu       sync.Mutex
	offset   uint64 // mtime minus the clock's time, in ticks
	msip     []bool
	mtimecmp []uint64
}

// New returns an ACLINT after power-on. len(cfg.Harts) is at most MaxHarts.
func New(cfg Config) *ACLINT {
	a := &ACLINT{cfg: cfg, msip: make([]bool, len(cfg.Harts)), mtimecmp: make([]uint64, len(cfg.Harts))}
	for i := range cfg.Harts {
		a.timers = append(a.timers, cfg.Clock.NewTimer(func() { a.expire(i) }))
	}
	a.Reset()
	return a
}

// Size implements device.Device.
func (a *ACLINT) Size() uint64 { return WindowSize }

// Reset implements device.Device. The specification leaves mtimecmp unknown;
// all ones raises no interrupt.
func (a *ACLINT) Reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offset = 0
	for i := range a.cfg.Harts {
		a.msip[i], a.mtimecmp[i] = false, math.MaxUint64
		a.update(i)
	}
}

// period is the length of a tick in nanoseconds.
func (a *ACLINT) period() uint64 { return 1_000_000_000 / a.cfg.Hz }

func (a *ACLINT) ticks() uint64 { return a.cfg.Clock.Now() / a.period() }
func (a *ACLINT) mtime() uint64 { return a.ticks() + a.offset }

// update drives a hart's lines and arms its timer.
func (a *ACLINT) update(i int) {
	h := &a.cfg.Harts[i]
	h.Software.Set(a.msip[i])
	due := a.mtime() >= a.mtimecmp[i]
	h.Timer.Set(due)
	if due {
		a.timers[i].Stop()
		return
	}
	// mtime passes mtimecmp at this clock time, unless that is beyond the
	// end of time, which no machine reaches.
	wait := a.mtimecmp[i] - a.mtime()
	now := a.ticks()
	if wait > math.MaxUint64/a.period()-now {
		a.timers[i].Stop()
		return
	}
	a.timers[i].Arm((now + wait) * a.period())
}

func (a *ACLINT) expire(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.update(i)
}

// Node implements device.Device.
func (a *ACLINT) Node(w device.Wiring) *fdt.Node {
	n := &fdt.Node{Name: device.UnitName("clint", w.Base)}
	n.Str("compatible", "sifive,clint0", "riscv,clint0")
	n.U64("reg", uint64(w.Base), WindowSize)
	var cells []uint32
	for _, h := range a.cfg.Harts {
		cells = append(cells, h.Phandle, 3, h.Phandle, 7) // MSIP and MTIP
	}
	n.U32("interrupts-extended", cells...)
	return n
}

func (a *ACLINT) StateName() string    { return "aclint" }
func (a *ACLINT) StateVersion() uint32 { return 1 }

// Save implements state.Component. A timer that is due but whose call was
// overtaken by the pause comes first, so that the lines are up to date.
func (a *ACLINT) Save(e *state.Encoder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.cfg.Harts {
		a.update(i)
	}
	e.U64(a.offset)
	e.U32(uint32(len(a.msip)))
	for i := range a.msip {
		e.Bool(a.msip[i])
		e.U64(a.mtimecmp[i])
	}
}

func (a *ACLINT) Restore(d *state.Decoder, _ uint32) error {
	offset := d.U64()
	if n := d.U32(); int(n) != len(a.msip) {
		d.Failf("%d harts, this machine has %d", n, len(a.msip))
	}
	msip, mtimecmp := make([]bool, len(a.msip)), make([]uint64, len(a.msip))
	for i := range msip {
		msip[i], mtimecmp[i] = d.Bool(), d.U64()
	}
	if d.Err() != nil {
		return d.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offset = offset
	a.msip, a.mtimecmp = msip, mtimecmp
	for i := range msip {
		a.update(i)
	}
	return nil
}
