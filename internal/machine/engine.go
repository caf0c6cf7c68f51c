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
	return append(slices.Clone(unprivileged), hart.Extensions(supervisor)...)
}

// unprivileged is what every engine executes.
var unprivileged = []string{
	"i", "m", "a", "f", "d", "c",
	"zicbom", "zicbop", "zicboz", "zicntr", "zicond", "zicsr", "zifencei", "zihintntl", "zihintpause", "zihpm", "zimop",
	"zacas", "zawrs",
	"zfa", "zfhmin",
	"zca", "zcb", "zcd", "zcmop",
	"zba", "zbb", "zbc", "zbkb", "zbs",
	"zkr",
}
