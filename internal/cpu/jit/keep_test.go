//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"testing"
)

// TestKeptAddends: an inner loop loads from one page again and again, between
// accesses that go to other pages, which are elsewhere in the host's memory.
// What is known of the one page is still right when another had to be looked
// up, when a slice has ended, and when the page itself has changed.
func TestKeptAddends(t *testing.T) {
	if !hasRegions {
		t.Skip("no regions on this host")
	}
	const program = `
start:	li   s0, 0x80006100	# the page of the loads
		li   s1, 0x80004000
		li   s2, 20
outer:	li   a5, 0
inner:	lw   a0, 0(s0)
		slli a1, a5, 8
		add  a1, a1, s1
		add  a2, a2, a0
		sw   a2, 8(a1)		# another page each sixteenth time
		bltz a2, odd
even:	addi a5, a5, 1
		xor  a3, a3, a2
		bne  a5, s2, inner
		add  s0, s0, a4		# a page further, at times
		xori a4, a4, 1024
		li   t0, 0x80009000
		bltu s0, t0, outer
		li   s0, 0x80006100
		j    outer
odd:	ld   a6, 16(a1)
		add  a3, a3, a6
		j    even
	`
	for slice := range int64(12) {
		t.Run(fmt.Sprint(slice), func(t *testing.T) {
			p := pairInPages(t, Options{Threshold: -1, Samples: 1, Slice: 60 + 11*slice}, program, uint64(slice), nil)
			for round := range 60 {
				p.together(t, uint64(3000+13*round), "round %d", round)
			}
			if n := p.v.stats.Regions; n < 2 {
				t.Errorf("%d regions: this test shows nothing", n)
			}
			if h := p.a.Hart(); h.CSR.Mcause != 0 || h.PC > p.a.Sym("odd")+8 {
				t.Errorf("cause %d, pc %#x: this test shows nothing", h.CSR.Mcause, h.PC)
			}
		})
	}
}
