package system

import (
	"os"
	"strconv"
	"testing"
	"time"

	"doppel/internal/riscv"
	"doppel/test/bare"
	"doppel/test/oracle"
)

// seed is the seed of this run: the one that DOPPEL_SEED gives, or a new one.
func seed(t *testing.T) uint64 {
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("DOPPEL_SEED"); text != "" {
		v, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatalf("DOPPEL_SEED: %v", err)
		}
		s = v
	}
	t.Logf("DOPPEL_SEED=%d repeats this run", s)
	return s
}

// count is how many programs a run compares; DOPPEL_PROGRAMS asks for more.
func count(t *testing.T) int {
	n := 3000
	if testing.Short() {
		n = 300
	}
	if text := os.Getenv("DOPPEL_PROGRAMS"); text != "" {
		v, err := strconv.Atoi(text)
		if err != nil || v < 1 {
			t.Fatalf("DOPPEL_PROGRAMS: %q is not a number from 1", text)
		}
		n = v
	}
	return n
}

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
	g := newGenerator(seed(t))
	for i := range count(t) {
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
