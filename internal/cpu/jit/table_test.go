//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"doppel/internal/cpu/cputest"
)

// TestTableJumps: a loop around a jump through a table becomes one region with
// what the table leads to, and does what it should, also where the jump leads
// elsewhere and wherever slices end.
func TestTableJumps(t *testing.T) {
	if !hasTables {
		t.Skip("no tables of jumps on this host")
	}
	for _, cases := range []int{3, 12} { // compared one by one, and through a table of addresses
		var sb strings.Builder
		sb.WriteString(`
		la   s0, table
		li   s2, 88172645463325252
loop:	slli t0, s2, 13
		xor  s2, s2, t0
		srli t0, s2, 7
		xor  s2, s2, t0
		slli t0, s2, 17
		xor  s2, s2, t0
		srli t0, s2, 40
`)
		fmt.Fprintf(&sb, "\t\tli   t1, %d\n", cases)
		sb.WriteString(`
		remu t0, t0, t1
		slli t0, t0, 2
		add  t0, t0, s0
		lw   t0, 0(t0)
		add  t0, t0, s0
		jr   t0
`)
		for i := range cases {
			fmt.Fprintf(&sb, "case%d:\taddi a%d, a%d, %d\n", i, i%6, (i+1)%6, i+1)
			switch i % 3 {
			case 0:
				sb.WriteString("\t\tj loop\n")
			case 1:
				fmt.Fprintf(&sb, "\t\tbltz a%d, loop\n\t\txor a5, a5, s2\n\t\tj loop\n", i%6)
			} // or into the next
		}
		sb.WriteString("\t\tj loop\n\t\t.align 3\ntable:\n")
		for i := range cases {
			fmt.Fprintf(&sb, "\t\t.word case%d-table\n", i)
		}
		program := sb.String()
		most, tables := 0, 0
		for slice := range int64(12) {
			t.Run(fmt.Sprint(cases, " ", slice), func(t *testing.T) {
				dump := filepath.Join(t.TempDir(), "dump")
				d, err := CreateDump(dump)
				if err != nil {
					t.Fatal(err)
				}
				p := newPair(t, Options{Threshold: 2, Samples: 1, Slice: 50 + 7*slice, Dump: d}, program, cputest.Options{RAM: 1 << 18})
				for round := range 60 {
					p.together(t, uint64(400+13*round), "round %d", round)
				}
				for _, b := range p.v.code.blocks {
					if r := b.inside(); r != nil {
						most = max(most, r.blocks)
					}
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				_, _, n := checkCycles(t, dump)
				tables += n
			})
		}
		if cases > 4 && tables < 12 {
			t.Error("no region has a table")
		}
		if most < cases {
			t.Errorf("no region has more than %d blocks of a loop with %d cases: this test shows nothing", most, cases)
		}
	}
}
