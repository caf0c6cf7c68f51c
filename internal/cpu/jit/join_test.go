//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"testing"

	"doppel/internal/cpu/cputest"
)

// TestEntersAtBlocks: a region may be made again while the hart is where blocks
// have been joined since. The loads before and behind that place share a check,
// which the code behind must not go without: it does not go on in the region there.
func TestEntersAtBlocks(t *testing.T) {
	if !hasRegions {
		t.Skip("no regions on this host")
	}
	// What follows each of the first two branches, which are never taken, is a block
	// of the first region, and joined in the second.
	const program = `
		la   s0, data
		li   s1, 100000
		li   s2, 1
loop:	ld   a0, 0(s0)
		beqz s2, other
joined:	bltz a0, loop
		ld   a1, 8(s0)
		add  a2, a2, a1
		sd   a2, 16(s0)
		addi s1, s1, -1
		bnez s1, loop
other:	j    other
		.align 3
data:	.dword 5, 7, 0
	`
	again := 0
	for slice := range int64(40) {
		t.Run(fmt.Sprint(slice), func(t *testing.T) {
			p := newPair(t, Options{Threshold: -1, Samples: 1, Slice: 20 + slice}, program, cputest.Options{RAM: 1 << 18})
			joined := int32(p.b.Sym("joined") & pageMask)
			for round := range 10 {
				p.together(t, 700, "round %d", round)
			}
			for _, b := range p.v.code.blocks {
				if r := b.inside(); r != nil && r.source == nil && r.heat[joined] > 0 {
					if r.entries[joined] != 0 {
						t.Errorf("the region can be entered at %#x, in the middle of a block", joined)
					}
					again++
					break
				}
			}
		})
	}
	if again < 4 {
		t.Errorf("only %d regions were made again after a slice had ended at the place: this test shows nothing", again)
	}
}
