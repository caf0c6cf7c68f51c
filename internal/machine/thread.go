package machine

import (
	"runtime"
	"time"

	"doppel/internal/cpu"
)

// A vCPU that computes keeps its thread. The host's scheduler spreads threads over
// processors by what it has seen of them, and Go moves goroutines that compute
// to other threads, some hundred times a second: two vCPUs then often share one
// processor of a host that has another, for as long as both compute.
//
// One that idles, or that takes turns with others, keeps none: goroutines change
// in less than a microsecond, threads take ten times as long.
const (
	threadWindow = 100 * time.Millisecond // that a vCPU is looked at for
	threadRate   = 50_000_000             // instructions a second that keep a thread
)

// thread is what a vCPU's goroutine knows of its thread.
type thread struct {
	kept  bool
	since uint64 // the window's start, by the guest's clock
	insns uint64 // then
}

// keepThread is called after a Run, on the vCPU's goroutine.
func (m *Machine) keepThread(v *vcpu, why cpu.ExitReason) {
	t := &v.thread
	switch why {
	case cpu.ExitBudget: // it has computed for milliseconds
		if !t.kept && len(m.cfg.Share.Affinity) == 0 && !m.cfg.Scheduler.Crowded() {
			runtime.LockOSThread()
			t.kept, t.since, t.insns = true, m.clock.Now(), v.insns.Load()
		}
	case cpu.ExitHalt:
		if !t.kept {
			return
		}
		now := m.clock.Now()
		took := now - t.since
		if took < uint64(threadWindow) {
			return
		}
		insns := v.insns.Load()
		if (insns-t.insns)/(took/uint64(time.Millisecond)) < threadRate/1000 {
			m.leaveThread(v)
		}
		t.since, t.insns = now, insns
	}
}

// leaveThread undoes keepThread.
func (m *Machine) leaveThread(v *vcpu) {
	if v.thread.kept {
		v.thread.kept = false
		runtime.UnlockOSThread()
	}
}
