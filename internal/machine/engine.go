package machine

import (
	"slices"

	"doppel/internal/cpu"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/riscv/hart"
)

// newEngine makes the vCPU for a hart.
func newEngine(name string, cfg hart.Config) (cpu.VCPU, *hart.Hart, error) {
	if name == "jit" {
		v, err := jit.New(cfg, jit.Options{})
		if err != nil {
			return nil, nil, err
		}
		return v, v.Hart(), nil
	}
	v := interp.New(cfg)
	return v, v.Hart(), nil
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
