package machine

import (
	"time"

	"doppel/internal/riscv/hart"
	"doppel/internal/riscv/sbi"
)

// platform is the machine as its SBI sees it.
type platform struct{ *Machine }

var _ sbi.Platform = platform{}

func newSBI(m *Machine) *sbi.SBI {
	var harts []*hart.Hart
	for _, v := range m.vcpus {
		harts = append(harts, v.hart)
	}
	s := sbi.New(harts, platform{m})
	s.StealTime = m.offersSteal()
	return s
}

// Wake implements sbi.Platform.
func (p platform) Wake(id int) {
	if p.trace != nil {
		p.trace.started(id)
	}
	p.vcpus[id].notify()
}

// Reset implements sbi.Platform.
func (p platform) Reset(kind sbi.ResetType, reason sbi.ResetReason) {
	switch {
	case kind != sbi.Shutdown:
		p.post(event{reset: true})
	case reason == sbi.SystemFailure:
		p.post(event{result: Result{Finished, 1}})
	default:
		p.post(event{result: Result{PowerOff, 0}})
	}
}

// WriteConsole implements sbi.Platform.
func (p platform) WriteConsole(b []byte) int { return p.console.Output(b) }

// ReadConsole implements sbi.Platform.
func (p platform) ReadConsole(b []byte) int { return p.console.Input(b) }

// consoleRetry is how soon a call that found the console busy comes again.
const consoleRetry = time.Millisecond

// call serves an ecall from S-mode. What keeps the hart from running on
// (Enter, the gate) is looked at before the next Run.
func (m *Machine) call(v *vcpu) {
	if v.action = m.sbi.Call(v.hart); v.action != sbi.Retry {
		return
	}
	t := time.NewTimer(consoleRetry)
	defer t.Stop()
	m.stand(v)
	select {
	case <-v.wake:
	case <-t.C:
	}
}
