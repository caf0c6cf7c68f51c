package machine

import (
	"strings"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/jit"
)

// A pause makes the translator's counts known; the interpreter has none.
func TestCounts(t *testing.T) {
	for _, engine := range []string{"interp", "jit"} {
		if engine == "jit" && !jit.Available() {
			t.Skip("no translator on this host")
		}
		t.Run(engine, func(t *testing.T) {
			cfg := bare(t, digits)
			cfg.Engine = engine
			m, out, _ := start(t, cfg)
			eventually(t, "output", func() bool { return len(out.String()) > 3 })
			if err := m.Pause(); err != nil {
				t.Fatal(err)
			}
			s := m.Stats()
			counts := map[string]uint64{}
			for _, c := range s.CPUs[0].Counts {
				counts[c.Name] = c.N
			}
			if got := counts["blocks"] > 0 && counts["bytes of code"] > 0; got != (engine == "jit") {
				t.Errorf("counts are %v", s.CPUs[0].Counts)
			}
			if got := strings.Contains(s.String(), "translator:"); got != (engine == "jit") {
				t.Errorf("as text: %s", s)
			}
			if _, ok := m.vcpus[0].VCPU.(cpu.Counter); ok != (engine == "jit") {
				t.Error("not what was asked for runs")
			}
		})
	}
}
