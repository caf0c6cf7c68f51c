package machine

import (
	"slices"

	"doppel/internal/cpu"
	"doppel/internal/cpu/check"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/riscv/hart"
)

// newEngine makes the vCPU for a hart. Auto is the translator, or the
// interpreter on hosts where there is none: fallback then says why.
func newEngine(name string, cfg hart.Config, o jit.Options, g *check.Group) (c cpu.VCPU, h *hart.Hart, fallback, err error) {
	if name == engineCheck {
		v, err := g.NewVCPU(cfg)
		if err != nil {
			return nil, nil, nil, err
		}
		return v, v.Hart(), nil, nil
	}
	if name != "interp" {
		c, h, err := newTranslator(cfg, o)
		switch {
		case err == nil:
			return c, h, nil, nil
		case name == "jit" || o.Dump != nil || o.PerfMap != nil: // which need it
			return nil, nil, nil, err
		}
		fallback = err
	}
	v := interp.New(cfg)
	return v, v.Hart(), fallback, nil
}

// newTranslator fails on hosts that the translator has no back end for, and on
// those that forbid executable memory.
var newTranslator = func(cfg hart.Config, o jit.Options) (cpu.VCPU, *hart.Hart, error) {
	v, err := jit.New(cfg, o)
	if err != nil {
		return nil, nil, err
	}
	return v, v.Hart(), nil
}

// Fallback tells why the interpreter runs a machine whose engine is auto; nil
// if it does not.
func (m *Machine) Fallback() error { return m.fallback }

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
