package interp

import (
	"doppel/internal/cpu"
	"doppel/internal/riscv/hart"
)

// TranslationCounts are for a translator's cpu.Counter.
func (v *VCPU) TranslationCounts() []cpu.Count {
	return []cpu.Count{
		{Name: "TLB misses of loads", N: v.misses[hart.Load]},
		{Name: "TLB misses of stores", N: v.misses[hart.Store]},
		{Name: "TLB misses of fetches", N: v.misses[hart.Fetch]},
		{Name: "fence.i", N: v.gen - 1},
	}
}
