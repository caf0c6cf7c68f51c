package interp

import (
	"fmt"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv/hart"
)

// visitor runs in Commons only, or in turn with its own caches after some
// instructions.
type visitor struct {
	*VCPU
	commons *Commons
	every   uint64 // instructions; 0: never in its own
	own     bool
}

func (t *visitor) Run(budget uint64) cpu.Exit {
	if t.every == 0 {
		return t.visit(budget)
	}
	for {
		n := min(budget, t.every)
		t.own = !t.own
		run := t.VCPU.Run
		if !t.own {
			run = t.visit
		}
		if e := run(n); e.Reason != cpu.ExitBudget || n == budget {
			return e
		}
		budget -= n
	}
}

func (t *visitor) visit(budget uint64) cpu.Exit {
	c := t.commons.Take(t.h)
	defer t.commons.Give(c)
	return t.RunIn(c, budget)
}

func visitors(every uint64) cputest.New {
	commons := &Commons{}
	return func(cfg hart.Config) cputest.Engine { return &visitor{VCPU: New(cfg), commons: commons, every: every} }
}

// TestCommonContract: what runs in Commons, all the time or in turn with the
// VCPU's own caches, keeps the contract. All checks use the same Commons.
func TestCommonContract(t *testing.T) {
	for _, every := range []uint64{0, 37} {
		t.Run(fmt.Sprintf("every %d", every), func(t *testing.T) { cputest.Run(t, visitors(every)) })
	}
}

func FuzzCommon(f *testing.F) {
	f.Add(uint64(0), []byte{0x73, 0x00, 0x10, 0x00})
	engine := visitors(5)
	f.Fuzz(func(t *testing.T, seed uint64, code []byte) {
		cputest.Hostile(t, engine, seed, code)
	})
}

// TestCommonApart: machines that have other code, other data and other page
// tables at the same addresses do not see each other's, however they take turns
// in one Common, and what is in both is decoded once.
func TestCommonApart(t *testing.T) {
	program := func(n int) string {
		return fmt.Sprintf(`
	la a0, data
loop:	ld a1, 0(a0)
	addi a1, a1, %d
	sd a1, 0(a0)
	jal same
	jal other
	j loop
	.balign 4096
same:	addi s0, s0, 1
	ret
	.balign 4096
other:	addi s1, s1, %d
	ret
	.balign 4096
data:	.dword %d
`, n, n, 1000*n)
	}
	var all []*cputest.Machine
	commons := &Commons{}
	for n := 1; n <= 3; n++ {
		all = append(all, cputest.NewMachine(t, func(cfg hart.Config) cputest.Engine {
			return &visitor{VCPU: New(cfg), commons: commons}
		}, program(n), cputest.Options{}))
	}
	for round := range 300 {
		for _, m := range all {
			if e := m.CPUs[0].Run(uint64(7 + round%90)); e.Reason != cpu.ExitBudget {
				t.Fatalf("exit %v (%v)", e.Reason, e.Err)
			}
		}
	}
	for i, m := range all {
		n, h := uint64(i+1), m.Hart()
		if rounds := h.X[8]; rounds < 100 || h.X[9]/n+1 < rounds || h.X[11]/n < 1000+rounds-1 || h.X[11]/n > 1000+rounds+1 {
			t.Errorf("machine %d: %d rounds added up to %d and %d", n, h.X[8], h.X[9], h.X[11])
		}
	}
	if len(commons.free) != 1 {
		t.Fatalf("%d Commons for one VCPU at a time", len(commons.free))
	}
	v := &commons.free[0].v
	if v.h != nil || v.mem != nil {
		t.Error("a Common that nobody is in keeps a machine")
	}
	for i := range v.loads {
		if v.loads[i].tag != 0 || v.stores[i].tag != 0 || v.fetches[i%fetchTLBSize].tag != 0 {
			t.Fatalf("entry %d of the TLBs is left", i)
		}
	}
	for i := range sets * ways {
		if v.moreLoads[i/ways][i%ways].tag != 0 || v.moreStores[i/ways][i%ways].tag != 0 {
			t.Fatalf("entry %d of the second level is left", i)
		}
	}
	for _, b := range allBlocks(v) {
		if b.host != nil {
			t.Fatal("a block keeps a place in a machine's memory")
		}
	}
}

// TestCommonFull: a Common forgets more pages than it counts, and more code than
// it holds, and runs right.
func TestCommonFull(t *testing.T) {
	const size = 32 << 20
	m := cputest.NewMachine(t, visitors(0), `
	la a0, data
	li a1, 4096
	li a2, 6000
loop:	sd a2, 0(a0)
	ld a3, 0(a0)
	add a4, a4, a3
	add a0, a0, a1
	addi a2, a2, -1
	bnez a2, loop
done:	j done
	.balign 4096
data:
`, cputest.Options{RAM: size})
	m.Finish()
	if got, want := m.Hart().X[14], uint64(6000*6001/2); got != want {
		t.Errorf("the sum is %d, want %d", got, want)
	}
	v := &m.CPUs[0].(*visitor).commons.free[0].v
	for i := range v.loads {
		if v.loads[i].tag != 0 || v.stores[i].tag != 0 {
			t.Fatalf("entry %d of the TLBs is left", i)
		}
	}
}

// TestCommons: a VCPU gets the Common that has its kernel, if one is free, and
// few are kept.
func TestCommons(t *testing.T) {
	var s Commons
	at := func(kernel uint64) *hart.Hart {
		h := new(hart.Hart)
		h.CSR.Stvec = kernel
		return h
	}
	var out []*Common
	for kernel := range uint64(maxFree + 2) {
		out = append(out, s.Take(at(kernel)))
	}
	for _, c := range out {
		s.Give(c)
	}
	if len(s.free) != maxFree {
		t.Fatalf("%d are kept, want %d", len(s.free), maxFree)
	}
	if s.Take(at(1)) != out[1] {
		t.Error("not the one that knows the kernel")
	}
	s.Give(out[1])
	if s.Take(at(99)) != out[0] {
		t.Error("not the one that was not used longest")
	}
	broken := s.Take(at(2))
	broken.broken = true
	if s.Give(broken); len(s.free) != maxFree-2 {
		t.Error("one that has failed is kept")
	}
	s.Join()
	s.Join()
	if s.Leave(); s.Kept() != maxFree-2 {
		t.Error("none is kept for who is left")
	}
	if s.Leave(); s.Kept() != 0 {
		t.Error("some are kept for nobody")
	}
}
