//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv/hart"
)

func engineOf(o Options) cputest.New {
	return func(cfg hart.Config) cputest.Engine {
		v, err := New(cfg, o)
		if err != nil {
			panic(err)
		}
		return v
	}
}

// TestContract runs the suite with code made as usual, of everything at once,
// and with loops made regions as soon as slices have ended in them.
func TestContract(t *testing.T) {
	t.Run("Usual", func(t *testing.T) { cputest.Run(t, engineOf(Options{})) })
	t.Run("Eager", func(t *testing.T) { cputest.Run(t, engineOf(Options{Threshold: -1, CodeBytes: 1 << 20})) })
	t.Run("Squeezed", func(t *testing.T) { cputest.Run(t, engineOf(Options{Threshold: -1, CodeBytes: 64 << 10})) })
	t.Run("Regions", func(t *testing.T) { cputest.Run(t, engineOf(Options{Threshold: -1, Samples: 1, Slice: 150})) })
}

// FuzzRun runs bytes as code, page tables and state.
func FuzzRun(f *testing.F) {
	f.Add(uint64(0), []byte{0x73, 0x00, 0x10, 0x00})
	f.Fuzz(func(t *testing.T, seed uint64, code []byte) {
		cputest.Hostile(t, engineOf(Options{Threshold: -1, CodeBytes: 64 << 10}), seed, code)
	})
}
