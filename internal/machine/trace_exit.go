package machine

import (
	"math/bits"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/device"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// nsPerTick is a tick of the time CSR in nanoseconds.
const nsPerTick = 1e9 / hart.TimeHz

// serve is handle for a machine that is traced; on the vCPU's goroutine.
func (t *tracer) serve(v *vcpu, exit *cpu.Exit) {
	n := t.begin(v)
	switch exit.Reason {
	case cpu.ExitMMIO:
		n.kind, n.mmio, n.register = noteMMIO, exit.MMIO, t.m.registerName(&exit.MMIO)
	case cpu.ExitCall:
		n.kind, n.args = noteCall, [8]uint64(v.hart.X[10:18])
	case cpu.ExitHalt:
		t.halt(v, n, exit)
		return
	case cpu.ExitError:
		n.kind, n.err = noteFailed, exit.Err
	default: // what only the VMM knows of: the end of a slice, a kick
		t.m.handle(v, exit)
		return
	}
	v.trace.serving, v.trace.trap = true, trap{}
	start := time.Now()
	t.m.handle(v, exit)
	n.took = time.Since(start)
	n.trap, v.trace.serving = v.trace.trap, false
	n.mmio.Data = exit.MMIO.Data // with what was read
	n.ret, n.action = [2]uint64(v.hart.X[10:12]), v.action
	t.add(&n)
}

// begin notes where a vCPU is.
func (t *tracer) begin(v *vcpu) note {
	n := note{cpu: v.ID(), time: t.m.clock.Now(), pc: v.hart.PC, priv: v.hart.Priv}
	n.raw, n.fetched = v.hart.InstructionAt(n.pc)
	return n
}

// halt gives lines to the start of a wait, at once, and to its end. The wait
// may be interrupted, by a pause for example.
func (t *tracer) halt(v *vcpu, n note, exit *cpu.Exit) {
	const wfi = 4 // bytes that PC has gone on by
	n.kind, n.pc = noteHalt, n.pc-wfi
	n.raw, n.fetched = v.hart.InstructionAt(n.pc)
	if v.trace.halted.IsZero() {
		v.trace.halted = time.Now()
		t.add(&n)
	}
	t.m.handle(v, exit)
	if n.set = v.hart.WakeReasons(); n.set == 0 {
		return // it waits on
	}
	n.kind, n.took, n.time = noteWake, time.Since(v.trace.halted), t.m.clock.Now()
	v.trace.halted = time.Time{}
	t.add(&n)
}

// left notes that a vCPU has lost its processor though it could run on.
func (t *tracer) left(v *vcpu) {
	n := t.begin(v)
	n.kind, n.loss, n.processor = noteLeft, v.seat.slot.Lost(), v.trace.processor
	v.trace.left = time.Now()
	t.add(&n)
}

// got notes that a vCPU has a processor, unless it is the one that it gave up
// by itself.
func (t *tracer) got(v *vcpu) {
	p := v.seat.slot.Processor()
	if v.trace.placed && v.trace.left.IsZero() && v.trace.processor == p {
		return
	}
	n := t.begin(v)
	n.kind, n.processor = noteGot, p
	if !v.trace.left.IsZero() {
		n.took = time.Since(v.trace.left)
	}
	v.trace.placed, v.trace.processor, v.trace.left = true, p, time.Time{}
	t.add(&n)
}

// started notes that another hart asked for one that was stopped; any
// goroutine.
func (t *tracer) started(id int) {
	t.add(&note{kind: noteStart, cpu: id, time: t.m.clock.Now()})
}

// trapped is called by the hart before it takes a trap.
func (t *tracer) trapped(v *vcpu, what trap) {
	if v.trace.serving {
		v.trace.trap = what
		return
	}
	n := t.begin(v)
	n.kind, n.trap = noteTrap, what
	if what.cause == riscv.SupervisorTimerInterrupt {
		if hi, due := bits.Mul64(v.hart.CSR.Stimecmp, nsPerTick); hi == 0 {
			n.due = due
		}
	}
	t.add(&n)
}

// reset notes a reset; the vCPUs are held.
func (t *tracer) reset() {
	for _, v := range t.m.vcpus {
		v.trace.halted = time.Time{}
	}
	t.add(&note{kind: noteReset, time: t.m.clock.Now()})
}

// registerName names the device and the register of an access, as far as they
// are known.
func (m *Machine) registerName(a *cpu.MMIO) string {
	s := m.bus.Slot(a.Addr, int(a.Size))
	if s == nil {
		return ""
	}
	name := s.StateName()
	if d, ok := s.Device.(device.Registers); ok {
		if r := d.RegisterName(uint64(a.Addr-s.Base), a.Write); r != "" {
			name += "." + r
		}
	}
	return name
}
