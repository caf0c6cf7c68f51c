package interp

import (
	"doppel/internal/cpu"
	"doppel/internal/riscv/hart"
)

// watchEvery is how many instructions are executed between two looks at the
// time, some ten microseconds.
const watchEvery = 1 << 14

// proceed executes until the budget is spent, or there is another exit or a
// block that is hot. Who leaves soon, again and again, comes to look at the time
// too; who is brought out has often waited for it.
func (v *VCPU) proceed() {
	if !v.h.Watched() {
		v.exec(v.Left())
		return
	}
	for {
		left := v.Left()
		rest := max(left-watchEvery, 0)
		v.mark -= rest
		v.exec(v.Left())
		v.mark += rest
		end := rest == 0 || v.hot != nil || v.exit.Reason != cpu.ExitBudget
		if v.exit.Reason == cpu.ExitKicked {
			v.h.Watch(hart.WatchWork)
		} else {
			v.h.Watch(1 + int32((left-v.Left())*hart.WatchWork/watchEvery))
		}
		if end {
			return
		}
	}
}
