//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv"
)

// TestMergedSites: pointers go through pages side by side, so that their
// accesses have one site. Each access still gets what is in its own page: near
// the ends of pages, where one of the pointers is in the next and where an
// access lies in two; in a page that may only be read, in which stores trap;
// and where an access relies on a check that lies before another's.
func TestMergedSites(t *testing.T) {
	if !hasMerged {
		t.Skip("no merged sites on this host")
	}
	const program = `
start:	li   s0, 0x80004000
		li   s1, 0x80009000
again:	mv   a0, s0
outer:	lwu  t0, 0(a0)
		addi a1, a0, 4
		li   a2, 3
inner:	ld   t1, 0(a1)
		addi a1, a1, 6
		xor  a3, a3, t1
		addi a2, a2, -1
		bnez a2, inner
		lbu  t5, 0(a1)
		add  a3, a3, t0
		sw   a3, 4(a0)		# traps in the page that is read only
		bltz a3, odd
		sub  a3, a3, t5
odd:	lbu  t2, 0(a0)
		lbu  t3, 200(a1)
		lbu  t4, 2(a0)		# relies on the check of the first
		add  a3, a3, t2
		sub  a4, a4, t3
		xor  a4, a4, t4
		addi a0, a0, 12
		bltu a0, s1, outer
		j    again
		.align 2
trap:	csrr a5, sepc
		addi a5, a5, 4
		csrw sepc, a5
		addi a6, a6, 1
		sret
	`
	for slice := range int64(12) {
		t.Run(fmt.Sprint(slice), func(t *testing.T) {
			p := pairInPages(t, Options{Threshold: -1, Samples: 3, Slice: 60 + 11*slice}, program, uint64(slice), func(m *cputest.Machine) {
				m.RAM.Bytes()[leafTable+8*6] &^= byte(riscv.PTEW)
				h := m.Hart()
				h.CSR.Stvec, h.CSR.Medeleg = m.Sym("trap"), 1<<riscv.StorePageFault
			})
			for round := range 60 {
				p.together(t, uint64(3000+13*round), "round %d", round)
			}
			if p.v.stats.Merged == 0 || p.a.Hart().X[16] == 0 {
				t.Errorf("%d accesses have the site of another, %d traps: this test shows nothing", p.v.stats.Merged, p.a.Hart().X[16])
			}
		})
	}
}
