package machine

import (
	"slices"

	"doppel/internal/cpu"
	"doppel/internal/cpu/interp"
	"doppel/internal/riscv/hart"
)

// newEngine makes the vCPU for a hart. There is one engine so far, so "auto"
// chooses it too.
func newEngine(cfg hart.Config) (cpu.VCPU, *hart.Hart) {
	v := interp.New(cfg)
	return v, v.Hart()
}

// extensions lists what the harts implement, in the canonical order of the ISA
// string (unpriv, "ISA extension naming conventions").
func extensions(supervisor bool) []string {
	all := append(slices.Clone(unprivileged), hart.Extensions(supervisor)...)
	if !interp.HasQuadCAS {
		all = slices.DeleteFunc(all, func(e string) bool { return e == "zacas" })
	}
	return all
}

// unprivileged is what every engine executes; Zacas only on hosts that can
// compare and swap 16 bytes.
var unprivileged = []string{
	"i", "m", "a", "f", "d", "c",
	"zicbom", "zicbop", "zicboz", "zicntr", "zicond", "zicsr", "zifencei", "zihintntl", "zihintpause", "zihpm", "zimop",
	"zacas", "zawrs",
	"zfa", "zfhmin",
	"zca", "zcb", "zcd", "zcmop",
	"zba", "zbb", "zbc", "zbkb", "zbs",
	"zkr",
}
