package hart

import (
	"encoding/binary"

	"doppel/internal/riscv"
)

// Observe makes fn see each trap that the hart takes, on the hart's goroutine
// and before anything has changed: PC and Priv are still those of the
// instruction that traps or, at an interrupt, of the one that would have been
// next. fn changes nothing. Set it before the hart runs; the engine then brings
// every trap here.
func (h *Hart) Observe(fn func(cause riscv.Cause, tval uint64, to Priv)) { h.observe = fn }

// Observed tells whether traps are to be seen.
func (h *Hart) Observed() bool { return h.observe != nil }

// Handler is where mode to would begin to handle a trap now.
func (h *Hart) Handler(cause riscv.Cause, to Priv) uint64 {
	if to == S {
		return handler(h.CSR.Stvec, cause)
	}
	return handler(h.CSR.Mtvec, cause)
}

func handler(tvec uint64, cause riscv.Cause) uint64 {
	pc := tvec &^ riscv.TvecMode
	if tvec&riscv.TvecMode == riscv.TvecVectored && cause.Interrupt() {
		pc += 4 * cause.Code() // priv §3.1.7
	}
	return pc
}

// InstructionAt reads the instruction at va for those who look at the guest.
// Like a fetch that is never executed it may set A bits (priv §12.3.1 allows
// it); it never traps. On the hart's goroutine.
func (h *Hart) InstructionAt(va uint64) (raw uint32, ok bool) {
	var b [4]byte
	for i := range uint64(2) { // each half may lie in a page of its own
		m, _, ok := h.Translate(va+2*i, 2, Fetch)
		if !ok || h.cfg.Memory.ReadAt(b[2*i:2*i+2], m.GPA) != nil {
			return 0, false
		}
		if b[0]&3 != 3 {
			break
		}
	}
	return binary.LittleEndian.Uint32(b[:]), true
}

// WakeReasons are the interrupts that are pending and enabled in mie, as bits
// by their code. On the hart's goroutine.
func (h *Hart) WakeReasons() uint64 { return h.mip() & h.CSR.Mie }
