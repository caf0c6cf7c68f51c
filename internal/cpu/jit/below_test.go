//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"doppel/internal/cpu/cputest"
)

// belowChecks finds a check before the turns of a loop that lies on a page before
// its region's, and where it leads.
var belowChecks = regexp.MustCompile(`(?m)^  block at (-0x[0-9a-f]+), .*\n(?:.* (?:add|nop)\..*\n)* *[0-9]+ check \[.*, (-0x[0-9a-f]+)$`)

// TestLoopBelow: the loop that compares two texts lies on the page before the one
// where the loop around it begins, as a compressor's may: where it is, counted from
// the region's page, is less than 0. Where the texts reach the ends of pages the
// checks that its turns share fail, and control goes on nevertheless.
func TestLoopBelow(t *testing.T) {
	const program = `
		la   s0, text
		li   s9, 4030
		li   s1, 6364136223846793005
		li   s3, 60
		li   t0, 4096		# so that no access is left to the interpreter,
					# of which blocks come in the middle of loops
		lbu  t1, 0(s0)
		add  t2, s0, t0
		lbu  t1, 0(t2)
		add  t2, t2, t0
		lbu  t1, 0(t2)
		j    start
		.balign 4096
match:	sub  a4, a5, s2
		add  a4, a4, a1
		lbu  a2, 0(a5)
		lbu  a4, 0(a4)
		addi a5, a5, 1
		bne  a2, a4, done
		addiw a3, a3, 1
		blt  a3, a0, match
done:	add  s5, s5, a3
		xor  s6, s6, a5
		addi s7, s7, 1
		addi s8, s8, -1
		beqz s8, 1f
		j    outer
1:		j    start
		.balign 4096
start:	csrr t0, mscratch	# which no region has: from here the loop is
					# entered, so that its head is on this page
		li   s8, 30
		j    outer
		nop
outer:	mul  s4, s4, s1		# where to compare, near the end of a page
		addi s4, s4, 1
		srli t0, s4, 40
		remu t0, t0, s3
		add  s2, s0, s9
		add  s2, s2, t0
		srli t1, s4, 20
		remu t1, t1, s3
		add  a1, s0, s9
		add  a1, a1, t1
		mv   a5, s2
		li   a3, 0
		li   a0, 131
		j    match
		.balign 4096
text:	.zero 12288
	`
	checks := 0
	for slice := range int64(8) {
		t.Run(fmt.Sprint(slice), func(t *testing.T) {
			dump := filepath.Join(t.TempDir(), "dump")
			d, err := CreateDump(dump)
			if err != nil {
				t.Fatal(err)
			}
			p := newPair(t, Options{Threshold: -1, Samples: 3, Slice: 400 + 61*slice, Dump: d}, program, cputest.Options{RAM: 1 << 18})
			for _, m := range p.both() { // long matches, and short ones
				text := m.RAM.Bytes()[m.Sym("text")-cputest.Base:]
				for i := range 12288 {
					if i%37 == 0 {
						text[i] = byte(i / 37)
					}
				}
			}
			for round := range 60 {
				// The first goes on until the region has been made twice: blocks
				// that start where a Run has ended, in the middle of the loop,
				// would make that look like the region's head.
				n := uint64(3000 + 77*round)
				if round == 0 {
					n = 100_000
				}
				p.together(t, n, "round %d", round)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(dump)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range belowChecks.FindAllSubmatch(text, -1) {
				if checks++; string(m[1]) == string(m[2]) {
					t.Errorf("the check of the block at %s leads to itself", m[1])
				}
			}
			if checkCycles != nil {
				checkCycles(t, dump)
			}
		})
	}
	if hasChecks && checks < 4 {
		t.Errorf("%d regions have turns that share checks on a page before: this test shows nothing", checks)
	}
}
