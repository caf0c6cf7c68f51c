//go:build linux && (amd64 || arm64)

package jit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/interp"
	"doppel/internal/riscv/hart"
)

// pair is two machines with the same program: the interpreter runs a, and the
// translator, which is v, runs b.
type pair struct {
	a, b *cputest.Machine
	v    *VCPU
}

func newPair(t *testing.T, o Options, src string, mo cputest.Options) *pair {
	t.Helper()
	a := cputest.NewMachine(t, func(c hart.Config) cputest.Engine { return interp.New(c) }, src, mo)
	b, v := machineOf(t, o, src, mo)
	return &pair{a, b, v}
}

// pairInPages is newPair for S-mode, in pages that shuffle makes of random data.
// The program begins at start; more, if not nil, changes a machine before.
func pairInPages(t *testing.T, o Options, src string, seed uint64, more func(*cputest.Machine)) *pair {
	t.Helper()
	p := newPair(t, o, src, cputest.Options{RAM: 1 << 18})
	for _, m := range p.both() {
		inPages(m, rand.New(rand.NewPCG(7, seed)))
		r := rand.New(rand.NewPCG(5, seed))
		for data := m.RAM.Bytes()[0x4000:0x1c000]; len(data) > 0; data = data[1:] {
			data[0] = byte(r.Uint32())
		}
		h := m.Hart()
		h.PC = m.Sym("start")
		if more != nil {
			more(m)
		}
		h.Refresh()
		m.CPUs[0].FlushTLB()
	}
	return p
}

// both is for what is to be done to each.
func (p *pair) both() [2]*cputest.Machine { return [2]*cputest.Machine{p.a, p.b} }

// spend has both run for a budget, at the end of which they come back. at and
// args say where in the test that is.
func (p *pair) spend(t *testing.T, budget uint64, at string, args ...any) {
	t.Helper()
	for _, m := range p.both() {
		if e := m.CPUs[0].Run(budget); e.Reason != cpu.ExitBudget {
			t.Fatalf("%s: exit %v %v", fmt.Sprintf(at, args...), e.Reason, e.Err)
		}
	}
}

// alike says whether all state and all memory is the same.
func (p *pair) alike() bool {
	return p.a.Hart().State == p.b.Hart().State && bytes.Equal(p.a.RAM.Bytes(), p.b.RAM.Bytes())
}

// compare ends the test, and says what differs, unless the two are alike.
func (p *pair) compare(t *testing.T, at string, args ...any) {
	t.Helper()
	if p.alike() {
		return
	}
	diffState(t, &p.a.Hart().State, &p.b.Hart().State)
	a, b := p.a.RAM.Bytes(), p.b.RAM.Bytes()
	for i := range a {
		if a[i] != b[i] {
			t.Logf("memory at %#x: %#x, translated %#x", cputest.Base+i, a[i], b[i])
			break
		}
	}
	t.Fatalf("%s: the translator differs", fmt.Sprintf(at, args...))
}

// together has both run for a budget, after which they are alike.
func (p *pair) together(t *testing.T, budget uint64, at string, args ...any) {
	t.Helper()
	p.spend(t, budget, at, args...)
	p.compare(t, at, args...)
}

// diffState logs how two states differ.
func diffState(t *testing.T, a, b *hart.State) {
	t.Helper()
	for i := range a.X {
		if a.X[i] != b.X[i] {
			t.Logf("x%d: %#x, translated %#x", i, a.X[i], b.X[i])
		}
		if a.F[i] != b.F[i] {
			t.Logf("f%d: %#x, translated %#x", i, a.F[i], b.F[i])
		}
	}
	t.Logf("pc %#x, %#x; mode %v, %v; instret %d, %d; fflags %#x, %#x; frm %d, %d",
		a.PC, b.PC, a.Priv, b.Priv, a.Instret, b.Instret, a.FFlags, b.FFlags, a.FRM, b.FRM)
	t.Logf("%+v", a.CSR)
	if a.CSR != b.CSR {
		t.Logf("translated: %+v", b.CSR)
	}
}
