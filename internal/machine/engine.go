package machine

import (
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

// extensions is what the harts implement, in the canonical order of the ISA
// string (unpriv, "ISA extension naming conventions").
var extensions = []string{
	"i", "m", "a", "f", "d", "c",
	"zicbom", "zicbop", "zicboz", "zicntr", "zicond", "zicsr", "zifencei", "zihintntl", "zihintpause", "zihpm", "zimop",
	"zacas", "zawrs",
	"zfa", "zfhmin",
	"zca", "zcb", "zcd", "zcmop",
	"zba", "zbb", "zbc", "zbkb", "zbs",
	"zkr",
	"smstateen", "sscofpmf", "sstc", "svade", "svadu", "svinval", "svnapot", "svpbmt",
}
