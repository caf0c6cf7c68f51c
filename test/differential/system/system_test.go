package system

import (
	"testing"

	"doppel/internal/riscv"
	"doppel/test/bare"
	"doppel/test/differential/repeat"
	"doppel/test/oracle"
)

// qemu finds a full-system QEMU that has what the programs use, or skips.
func qemu(t *testing.T) *oracle.QEMU {
	q, err := oracle.System()
	if err != nil {
		t.Skip(err)
	}
	if !q.AtLeast(10, 0) {
		t.Skipf("%v lacks extensions that this test uses: run `go run ./tools/oracle` for a newer one", q)
	}
	return q
}

func TestAgainstQEMU(t *testing.T) {
	q := qemu(t)
	t.Logf("comparing with full-system %v", q)
	m := start(t, q)
	for pc := range stops {
		if err := m.breakpoint(pc); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.store(setupAt, setup); err != nil {
		t.Fatal(err)
	}
	var engines []*engine
	for _, e := range bare.Engines {
		engines = append(engines, newEngine(t, e))
	}
	g := newGenerator(repeat.Seed(t))
	for i := range repeat.Count(t, 3000, 300) {
		p := g.next()
		want, err := m.execute(p)
		if err != nil {
			t.Fatalf("program %d on QEMU: %v\n%v", i, err, p)
		}
		for _, e := range engines {
			if !compare(t, m, e, p, want, i) {
				return
			}
		}
	}
}

func compare(t *testing.T, m *machine, e *engine, p *program, want *state, index int) bool {
	got, err := e.execute(p)
	if err == nil && agree(p, want, got) {
		return whole(t, e, p, got, index)
	}
	small := p.minimize(func(q *program) bool {
		w, err := m.execute(q)
		if err != nil {
			t.Fatalf("QEMU: %v", err)
		}
		g, err := e.execute(q)
		return err != nil || !agree(q, w, g)
	})
	w, err := m.execute(small)
	if err != nil {
		t.Fatalf("QEMU: %v", err)
	}
	text := ""
	if g, err := e.execute(small); err != nil {
		text = err.Error()
	} else {
		text = difference(w, g)
	}
	t.Errorf("program %d differs on %s:\n%vat the end:\n%s", index, e.name, small, text)
	return false
}

// agree tells whether two final states are the same, or differ where they may.
func agree(p *program, want, got *state) bool {
	return difference(want, got) == "" || tolerated(p, want, got) >= 0
}

// whole compares the engine with itself: instructions one by one, and all in
// one go.
func whole(t *testing.T, e *engine, p *program, want *state, index int) bool {
	if want.priv != riscv.Machine || want.of(riscv.CSRMstatus)&riscv.MstatusMPRV != 0 {
		return true // the handler's store would go elsewhere
	}
	got, err := e.executeWhole(p)
	if err != nil {
		t.Errorf("program %d on %s, in one go: %v\n%v", index, e.name, err, p)
		return false
	}
	if d := difference(want, got); d != "" {
		t.Errorf("program %d on %s: one by one (QEMU here) and in one go differ:\n%vat the end:\n%s", index, e.name, p, d)
		return false
	}
	return true
}
