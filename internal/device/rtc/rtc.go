// Package rtc is the goldfish real-time clock: nanoseconds since the epoch and
// one alarm.
//
// Threads: Read and Write from any vCPU, the alarm from the clock's goroutine.
// Lock order: RTC.mu, then the clock, then the interrupt line.
package rtc

import (
	"sync"
	"time"

	"doppel/internal/clock"
	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/state"
)

// WindowSize is the length of the register window.
const WindowSize = 0x1000

// Register offsets (goldfish virtual hardware).
const (
	regTimeLow        = 0x00 // reading it latches the high half
	regTimeHigh       = 0x04
	regAlarmLow       = 0x08 // writing it arms the alarm
	regAlarmHigh      = 0x0c
	regIRQEnabled     = 0x10
	regClearAlarm     = 0x14
	regAlarmStatus    = 0x18
	regClearInterrupt = 0x1c
)

const maxWait = uint64(24 * time.Hour)

// RTC is the clock.
type RTC struct {
	clk   clock.Clock
	line  device.Line
	timer clock.Timer

	mu sync.Mutex
	registers
}

type registers struct {
	offset     uint64 // guest time minus wall-clock time, ns
	timeHigh   uint32 // latched by a read, or written before the low half
	alarm      uint64 // ns since the epoch
	alarmHigh  uint32
	armed      bool
	irqEnabled bool
	pending    bool
}

// New returns an RTC that shows the clock's wall time.
func New(clk clock.Clock, line device.Line) *RTC {
	r := &RTC{clk: clk, line: line}
	r.timer = clk.NewTimer(r.expire)
	r.Reset()
	return r
}

// Size implements device.Device.
func (r *RTC) Size() uint64 { return WindowSize }

// Reset implements device.Device. A battery keeps the time that the guest set.
func (r *RTC) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registers = registers{offset: r.offset}
	r.update()
}

func (r *RTC) now() uint64 { return uint64(r.clk.Wall().UnixNano()) + r.offset }

// update drives the line and arms the timer.
func (r *RTC) update() {
	now := r.now()
	if r.armed && now >= r.alarm {
		r.armed, r.pending = false, true
	}
	r.line.Set(r.pending && r.irqEnabled)
	if !r.armed {
		r.timer.Stop()
		return
	}
	// A far alarm is looked at again after maxWait: the guest's value must not
	// overflow the clock.
	r.timer.Arm(r.clk.Now() + min(r.alarm-now, maxWait))
}

func (r *RTC) expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.update()
}

// Read implements device.Device. Registers are 32 bits wide.
func (r *RTC) Read(off uint64, size int) (uint64, bool) {
	if size != 4 {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch off {
	case regTimeLow:
		t := r.now()
		r.timeHigh = uint32(t >> 32)
		return t & 0xffff_ffff, true
	case regTimeHigh:
		return uint64(r.timeHigh), true
	case regAlarmLow:
		return r.alarm & 0xffff_ffff, true
	case regAlarmHigh:
		return r.alarm >> 32, true
	case regIRQEnabled:
		return bit(r.irqEnabled), true
	case regAlarmStatus:
		return bit(r.armed), true
	}
	return 0, true
}

// Write implements device.Device.
func (r *RTC) Write(off uint64, size int, val uint64) bool {
	if size != 4 {
		return false
	}
	v := uint32(val)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch off {
	case regTimeHigh:
		r.timeHigh = v
	case regTimeLow:
		r.offset += (uint64(r.timeHigh)<<32 | uint64(v)) - r.now() // wraps as it should
	case regAlarmHigh:
		r.alarmHigh = v
	case regAlarmLow:
		r.alarm, r.armed = uint64(r.alarmHigh)<<32|uint64(v), true
	case regIRQEnabled:
		r.irqEnabled = v&1 != 0
	case regClearAlarm:
		r.armed = false
	case regClearInterrupt:
		r.pending = false
	}
	r.update()
	return true
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Node implements device.Device.
func (r *RTC) Node(w device.Wiring) *fdt.Node {
	n := &fdt.Node{Name: device.UnitName("rtc", w.Base)}
	n.Str("compatible", "google,goldfish-rtc")
	n.U64("reg", uint64(w.Base), WindowSize)
	n.U32("interrupts", w.IRQ)
	n.U32("interrupt-parent", w.IRQParent)
	return n
}

func (r *RTC) StateName() string    { return "rtc" }
func (r *RTC) StateVersion() uint32 { return 1 }

// Save implements state.Component. An alarm that is due comes first.
func (r *RTC) Save(e *state.Encoder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.update()
	e.U64(r.offset)
	e.U32(r.timeHigh)
	e.U64(r.alarm)
	e.U32(r.alarmHigh)
	e.Bool(r.armed)
	e.Bool(r.irqEnabled)
	e.Bool(r.pending)
}

func (r *RTC) Restore(d *state.Decoder, _ uint32) error {
	s := registers{offset: d.U64(), timeHigh: d.U32(), alarm: d.U64(), alarmHigh: d.U32(),
		armed: d.Bool(), irqEnabled: d.Bool(), pending: d.Bool()}
	if d.Err() != nil {
		return d.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registers = s
	r.update()
	return nil
}
