package machine

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"doppel/internal/cpu"
	"doppel/internal/riscv/hart"
	"doppel/internal/riscv/sbi"
)

const (
	// runBudget is how long a vCPU runs without a look at anything but kicks.
	runBudget = 1 << 24
	// htifBudget bounds how late a write to tohost is seen.
	htifBudget = 1 << 18
)

// vcpu is one virtual processor and the goroutine that runs it.
type vcpu struct {
	cpu.VCPU
	hart  *hart.Hart
	wake  chan struct{} // one wake-up may wait
	exits [cpu.ExitError + 1]atomic.Uint64
	insns atomic.Uint64 // as of the last exit

	idle      idleness
	allowance allowance
	visitor   visitor // v.VCPU; nil if it is none
	published published
	seat      seat
	thread    thread

	trace  traceState
	action sbi.Action // of the last supervisor call, for the trace
}

func newVCPU(c cpu.VCPU, h *hart.Hart) *vcpu {
	v := &vcpu{VCPU: c, hart: h, wake: make(chan struct{}, 1)}
	v.visitor, _ = c.(visitor)
	c.OnWake(v.notify)
	return v
}

func (v *vcpu) notify() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// run is a vCPU's goroutine.
func (m *Machine) run(v *vcpu) {
	defer m.gate.leave()
	defer v.publish(true)
	// The seat belt: whatever happens in here ends this machine, not the host.
	defer func() {
		if p := recover(); p != nil {
			m.fail(fmt.Errorf("vCPU %d: internal error: %v\n%s", v.ID(), p, debug.Stack()))
		}
	}()
	defer v.seat.slot.Close()
	defer m.leaveThread(v)
	v.seat.left = m.clock.Now()
	if err := m.bind(); err != nil {
		m.fail(err)
	}
	for m.atGate(v) {
		if m.mem.Stands() {
			m.mem.Ask()
			m.sleep(v) // until LetGo, or the gate is raised
			continue
		}
		if m.sbi != nil && !m.sbi.Enter(v.ID()) {
			m.sleep(v)
			continue
		}
		if !m.sit(v) {
			continue
		}
		calm := v.allowance.calm
		exit := m.execute(v)
		v.insns.Store(v.Instructions())
		v.exits[min(exit.Reason, cpu.ExitError)].Add(1)
		if !calm || exit.Reason == cpu.ExitHalt {
			m.keepThread(v, exit.Reason)
		}
		if m.trace == nil {
			m.handle(v, &exit)
		} else {
			m.trace.serve(v, &exit)
		}
		if m.htif != nil {
			m.htif.poll()
		}
	}
}

// atGate passes the gate. Counts are published before, if somebody asks or the
// machine stops.
func (m *Machine) atGate(v *vcpu) bool {
	if v.published.asked.Load() {
		v.publish(false)
	}
	return m.gate.pass(func() {
		m.stand(v)
		v.publish(false)
	})
}

// handle serves an exit.
func (m *Machine) handle(v *vcpu, exit *cpu.Exit) {
	switch exit.Reason {
	case cpu.ExitMMIO:
		m.mmio(v, &exit.MMIO)
	case cpu.ExitHalt:
		m.trim(v)
		for !v.Runnable() && !m.gate.raised.Load() {
			m.sleep(v)
		}
		v.allowance.woken(m.clock.Now(), v.insns.Load())
	case cpu.ExitCall:
		if m.sbi == nil {
			m.fail(fmt.Errorf("vCPU %d: supervisor call without an SBI", v.ID()))
			return
		}
		m.call(v)
	case cpu.ExitError:
		m.fail(fmt.Errorf("vCPU %d: %w", v.ID(), exit.Err))
	}
}

// sleep waits until the vCPU is woken, and keeps no processor meanwhile. A
// wake-up that came before is not lost.
func (m *Machine) sleep(v *vcpu) {
	m.stand(v)
	v.hart.Sleep()
	<-v.wake
	v.hart.Awake()
}

func (m *Machine) mmio(v *vcpu, a *cpu.MMIO) {
	if a.Write {
		v.CompleteMMIO(0, m.bus.Write(a.Addr, int(a.Size), a.Data))
		return
	}
	var ok bool
	a.Data, ok = m.bus.Read(a.Addr, int(a.Size))
	v.CompleteMMIO(a.Data, ok)
}

// kickAll brings every vCPU out of Run, or out of its sleep.
func (m *Machine) kickAll() {
	for _, v := range m.vcpus {
		v.Kick()
		v.notify()
	}
}

// forgetTranslations makes every vCPU forget its translations before its next
// instruction.
func (m *Machine) forgetTranslations() {
	for _, v := range m.vcpus {
		v.hart.RequestFlush(hart.Fence{})
	}
}
