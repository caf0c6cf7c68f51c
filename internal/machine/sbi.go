package machine

import (
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// supervisor is the SBI, as the vCPU goroutines use it.
type supervisor interface {
	state.Component
	// Enter is called before each Run: false means that the hart is stopped
	// or suspended.
	Enter(id int) bool
	// Call serves an ecall from S-mode.
	Call(h *hart.Hart)
	Reset()
}

func newSupervisor(m *Machine) supervisor { return nil }
