package machine

import (
	"errors"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/riscv/hart"
)

// TestAuto: auto is the translator where the host allows it, and else the
// interpreter with the reason; who asks for the translator gets it or an error.
func TestAuto(t *testing.T) {
	forbidden := errors.New("executable memory is forbidden")
	ours := newTranslator
	defer func() { newTranslator = ours }()
	for _, c := range []struct {
		engine             string
		deny, translator   bool
		wantErr, wantFalls bool
	}{
		{"auto", false, jit.Available(), false, !jit.Available()},
		{"", false, jit.Available(), false, !jit.Available()},
		{"jit", false, true, !jit.Available(), false},
		{"interp", false, false, false, false},
		{"auto", true, false, false, true},
		{"jit", true, false, true, false},
		{"interp", true, false, false, false},
	} {
		newTranslator = ours
		if c.deny {
			newTranslator = func(hart.Config, jit.Options) (cpu.VCPU, *hart.Hart, error) { return nil, nil, forbidden }
		}
		cfg := bare(t, digits)
		cfg.Engine, cfg.CPUs = c.engine, 2
		m, err := New(cfg)
		if (err != nil) != c.wantErr {
			t.Errorf("%q, denied %v: error %v", c.engine, c.deny, err)
		}
		if err != nil {
			continue
		}
		for i, v := range m.vcpus {
			if _, is := v.VCPU.(*interp.VCPU); is == c.translator {
				t.Errorf("%q, denied %v: hart %d is a %T", c.engine, c.deny, i, v.VCPU)
			}
		}
		if why := m.Fallback(); (why != nil) != c.wantFalls || c.deny && c.wantFalls && !errors.Is(why, forbidden) {
			t.Errorf("%q, denied %v: fallback %v", c.engine, c.deny, why)
		}
		m.Close()
	}
}
