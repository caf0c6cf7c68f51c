// Package uart is the National Semiconductor NS16550A, the serial port of the
// reference board.
//
// It keeps no baud rate: a byte leaves as soon as the backend has room and
// arrives as soon as the receiver has. The divisor only sets the length of the
// receive timeout. A byte that the backend holds is never lost: it is taken
// when the receive FIFO has room for it, so a pasted page of text arrives whole.
//
// Threads: Read and Write from any vCPU, Poke from the backend's goroutines,
// the receive timeout from the clock's. Lock order: UART.mu, then the
// interrupt line; the backend's functions are called with UART.mu held.
package uart

import (
	"sync"

	"doppel/internal/clock"
	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/state"
)

// Backend is the other end of the serial line. Its functions never block.
type Backend interface {
	// Output takes bytes to send and returns how many it had room for. If
	// fewer than offered, it calls Poke once there is room.
	Output(p []byte) int
	// Input fills p with bytes that have arrived and returns how many. When
	// bytes arrive later, it calls Poke.
	Input(p []byte) int
}

// Config says what a UART is connected to.
type Config struct {
	Name    string // of the state section
	Clock   clock.Clock
	Line    device.Line
	Backend Backend
}

const (
	// WindowSize is the length of the register window.
	WindowSize = 0x100
	// ClockHz is the frequency of the baud rate generator's input.
	ClockHz = 3_686_400

	fifoSize = 16
)

// UART is one serial port.
type UART struct {
	cfg   Config
	timer clock.Timer

	mu sync.Mutex
	registers
}

// registers is the state of the chip, under the data sheet's names.
type registers struct {
	ier, fcr, lcr, mcr, scr uint8
	lsr                     uint8 // the error bits only; DR, THRE and TEMT follow from the FIFOs
	msr                     uint8 // the delta bits only; the level bits are constant
	dll, dlm                uint8
	rx, tx                  fifo
	arriving                fifo   // at most one byte that a poll of LSR has seen on the line
	thrPending              bool   // THRE interrupt not yet acknowledged
	timeout                 bool   // receive timeout interrupt
	timeoutAt               uint64 // guest time at which it is due, 0 if it is not
}

// New returns a UART after power-on.
func New(cfg Config) *UART {
	u := &UART{cfg: cfg}
	u.timer = cfg.Clock.NewTimer(u.receiveTimeout)
	u.Reset()
	return u
}

// Size implements device.Device.
func (u *UART) Size() uint64 { return WindowSize }

// Reset implements device.Device. Bytes in the FIFOs are lost.
func (u *UART) Reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.registers = registers{mcr: mcrOut2, dll: 12} // 19200 Bd, as firmware expects to find some rate
	u.timer.Stop()
	u.update()
}

// Poke tells that the backend has bytes to receive or room to send.
func (u *UART) Poke() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.transmit()
	u.receive()
	u.update()
}

// Break makes a break arrive, and a character behind it: Linux takes the
// character for a command then (magic SysRq). False: the driver does not listen
// or has not read what came before; the caller may try again.
func (u *UART) Break(then byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ier&ierReceive == 0 || u.mcr&mcrLoop != 0 || !u.fifoEnabled() || u.rx.n+u.arriving.n != 0 {
		return false
	}
	// A break is a zero byte with its bit in LSR, which is about the oldest
	// byte and is cleared when it is read: the next byte has none.
	u.lsr |= lsrBI
	u.rx.push(0)
	u.rx.push(then)
	u.armTimeout()
	u.update()
	return true
}

// Node implements device.Device.
func (u *UART) Node(w device.Wiring) *fdt.Node {
	n := &fdt.Node{Name: device.UnitName("serial", w.Base)}
	n.Str("compatible", "ns16550a")
	n.U64("reg", uint64(w.Base), WindowSize)
	n.U32("clock-frequency", ClockHz)
	n.U32("interrupts", w.IRQ)
	n.U32("interrupt-parent", w.IRQParent)
	return n
}

// transmit moves the transmit FIFO to the backend as far as it has room.
func (u *UART) transmit() {
	if u.tx.n == 0 || u.mcr&mcrLoop != 0 {
		return
	}
	var buf [fifoSize]byte
	p := buf[:u.tx.copy(buf[:])]
	sent := u.cfg.Backend.Output(p)
	u.tx.drop(min(max(sent, 0), len(p)))
	if u.tx.n == 0 {
		u.thrPending = true
	}
}

// receive moves waiting bytes from the backend to the receive FIFO, no more
// than it has room for: overruns come only from the loop-back.
//
// A driver clears the FIFOs when it opens the port. What is typed before stays
// with the backend, and is not lost by that: bytes come in when the driver
// enables the receive interrupt or, one by one, as it polls LSR.
func (u *UART) receive() {
	if u.ier&ierReceive == 0 || u.mcr&mcrLoop != 0 {
		return
	}
	n := 0
	for ; u.rx.n < u.rxDepth() && u.arriving.n > 0; n++ {
		u.rx.push(u.arriving.pop())
	}
	var buf [fifoSize]byte
	for _, b := range buf[:u.input(buf[:u.rxDepth()-min(u.rx.n, u.rxDepth())])] {
		u.rx.push(b)
		n++
	}
	if n > 0 {
		u.armTimeout()
	}
}

// poll looks for a byte on behalf of a driver that does not use interrupts.
func (u *UART) poll() {
	if u.rx.n+u.arriving.n == 0 && u.mcr&mcrLoop == 0 {
		var b [1]byte
		if u.input(b[:]) == 1 {
			u.arriving.push(b[0])
		}
	}
}

// input takes from the backend, which is not trusted with lengths.
func (u *UART) input(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	return min(max(u.cfg.Backend.Input(p), 0), len(p))
}

// dataReady tells whether RBR has a byte.
func (u *UART) dataReady() bool {
	return u.rx.n > 0 || u.arriving.n > 0 && u.mcr&mcrLoop == 0
}

// readRBR takes the oldest byte, 0 if there is none.
func (u *UART) readRBR() uint8 {
	from := &u.rx
	if u.rx.n == 0 && u.mcr&mcrLoop == 0 {
		from = &u.arriving
	}
	b := from.pop()
	u.receive()
	u.armTimeout()
	return b
}

func (u *UART) fifoEnabled() bool { return u.fcr&fcrEnable != 0 }

// rxDepth is the number of bytes that the receiver holds.
func (u *UART) rxDepth() int {
	if u.fifoEnabled() {
		return fifoSize
	}
	return 1
}

// rxTrigger is the level at which received data raises an interrupt.
func (u *UART) rxTrigger() int {
	if !u.fifoEnabled() {
		return 1
	}
	return [4]int{1, 4, 8, 14}[u.fcr>>fcrTriggerShift]
}

// armTimeout starts the receive timeout: four characters' time without a
// receiver access while data below the trigger level waits.
func (u *UART) armTimeout() {
	u.timeout = false
	if u.rx.n == 0 || !u.fifoEnabled() {
		u.timeoutAt = 0
		u.timer.Stop()
		return
	}
	u.timeoutAt = u.cfg.Clock.Now() + u.timeoutLength()
	u.timer.Arm(u.timeoutAt)
}

// timeoutLength is four characters of ten bits, in nanoseconds. The divisor is
// the guest's: zero stops a real baud rate generator and counts as one here.
func (u *UART) timeoutLength() uint64 {
	divisor := max(uint64(u.dlm)<<8|uint64(u.dll), 1)
	return 4 * 10 * 16 * divisor * 1_000_000_000 / ClockHz // at most 2^16 · 6.4e11: no overflow
}

func (u *UART) receiveTimeout() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.checkTimeout()
}

func (u *UART) checkTimeout() {
	if u.timeoutAt == 0 || u.cfg.Clock.Now() < u.timeoutAt {
		return
	}
	u.timeoutAt = 0
	u.timeout = u.rx.n > 0 && u.fifoEnabled()
	u.update()
}

// update drives the interrupt line from the pending interrupts. OUT2 gates
// the line on PC boards only; here, as on the reference board, it does not.
func (u *UART) update() { u.cfg.Line.Set(u.interruptID() != iirNone) }

// interruptID is the pending interrupt of the highest priority.
func (u *UART) interruptID() uint8 {
	switch {
	case u.ier&ierLineStatus != 0 && u.lsr&lsrErrors != 0:
		return iirLineStatus
	case u.ier&ierReceive != 0 && u.rx.n >= u.rxTrigger():
		return iirReceive
	case u.ier&ierReceive != 0 && u.timeout:
		return iirTimeout
	case u.ier&ierTransmit != 0 && u.thrPending:
		return iirTransmit
	case u.ier&ierModem != 0 && u.msr&msrDeltas != 0:
		return iirModem
	}
	return iirNone
}

func (u *UART) StateName() string    { return u.cfg.Name }
func (u *UART) StateVersion() uint32 { return 1 }

// Save implements state.Component. A timeout that is due comes first.
func (u *UART) Save(e *state.Encoder) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.checkTimeout()
	for _, v := range []uint8{u.ier, u.fcr, u.lcr, u.mcr, u.scr, u.lsr, u.msr, u.dll, u.dlm} {
		e.U8(v)
	}
	u.rx.save(e)
	u.tx.save(e)
	u.arriving.save(e)
	e.Bool(u.thrPending)
	e.Bool(u.timeout)
	e.U64(u.timeoutAt)
}

func (u *UART) Restore(d *state.Decoder, _ uint32) error {
	var r registers
	for _, p := range []*uint8{&r.ier, &r.fcr, &r.lcr, &r.mcr, &r.scr, &r.lsr, &r.msr, &r.dll, &r.dlm} {
		*p = d.U8()
	}
	r.rx.restore(d)
	r.tx.restore(d)
	r.arriving.restore(d)
	r.thrPending, r.timeout, r.timeoutAt = d.Bool(), d.Bool(), d.U64()
	if r.ier&^ierMask != 0 || r.mcr&^mcrMask != 0 || r.lsr&^lsrErrors != 0 || r.msr&^msrDeltas != 0 || r.fcr&^fcrMask != 0 {
		d.Failf("a register has a reserved bit set")
	}
	if d.Err() != nil {
		return d.Err()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.registers = r
	u.timer.Stop()
	if u.timeoutAt != 0 {
		u.timer.Arm(u.timeoutAt)
	}
	u.update()
	return nil
}
