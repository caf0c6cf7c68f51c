package interp

import (
	"doppel/internal/cpu"
	"doppel/internal/riscv/hart"
)

// watchEvery is how many instructions are executed between two looks at the
// time, some ten microseconds.
const watchEvery = 1 << 14

// proceed executes until the budget is spent, or there is another exit or a block
// that is hot.
func (v *VCPU) proceed() {
	if !v.h.Watched() {
		v.exec(v.Left())
		return
	}
	for {
		rest := max(v.Left()-watchEvery, 0)
		v.mark -= rest
		v.exec(v.Left())
		v.mark += rest
		if rest == 0 || v.hot != nil || v.exit.Reason != cpu.ExitBudget {
			return
		}
		v.h.Watch(hart.WatchWork)
	}
}
