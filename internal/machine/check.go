package machine

import (
	"doppel/internal/cpu/check"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/device"
	"doppel/internal/riscv/hart"
)

// engineCheck is the translator, checked against the interpreter.
const engineCheck = "jit,check"

// newSubject makes the engine that is checked.
var newSubject = func(cfg hart.Config, o jit.Options) (check.Engine, error) { return jit.New(cfg, o) }

// checkers makes the group of vCPUs of a machine that is checked.
func (m *Machine) checkers() *check.Group {
	return check.NewGroup(check.Options{
		Subject: func(cfg hart.Config) (check.Engine, error) { return newSubject(cfg, m.cfg.JIT) },
		Oracle:  func(cfg hart.Config) (check.Engine, error) { return interp.New(cfg), nil },
		Rest:    m.rest,
	})
}

// rest makes the devices that store to memory leave it alone until work is
// called. Pauses of theirs nest.
func (m *Machine) rest() (work func()) {
	for _, w := range m.workers {
		if w != device.Worker(m.console) { // which only has a line
			w.Pause()
		}
	}
	return func() {
		for _, w := range m.workers {
			if w != device.Worker(m.console) {
				w.Resume()
			}
		}
	}
}
