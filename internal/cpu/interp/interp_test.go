package interp

import (
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv/hart"
)

func newEngine(cfg hart.Config) cputest.Engine { return New(cfg) }

func TestContract(t *testing.T) { cputest.Run(t, newEngine) }

func FuzzRun(f *testing.F) {
	f.Add(uint64(0), []byte{0x73, 0x00, 0x10, 0x00})
	f.Fuzz(func(t *testing.T, seed uint64, code []byte) {
		cputest.Hostile(t, newEngine, seed, code)
	})
}
