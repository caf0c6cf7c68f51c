package opt

import (
	"testing"

	"doppel/internal/cpu/jit/ir"
)

// TestWords: a loop whose extensions are needed in the first pass, from
// outside, and not where all ways lead from words.
func TestWords(t *testing.T) {
	sext := func(dst, a ir.Reg) ir.Inst {
		return ir.Inst{Op: ir.Add, Flags: ir.Immediate | ir.Word, Dst: dst, A: a}
	}
	move := ir.Inst{Op: ir.Add, Flags: ir.Immediate, Dst: 12, A: 11}
	jump := func(to int32) ir.Inst { return ir.Inst{Op: ir.Jump, Target: to} }
	r := &ir.Region{Blocks: []ir.RegionBlock{
		{Start: 0, Insts: []ir.Inst{
			sext(12, 11), // from outside: kept
			{Op: ir.Mul, Flags: ir.Word, Dst: 11, A: 11, B: 13},
			sext(12, 11), // a move
			sext(11, 11), // nothing
			{Op: ir.Branch, A: 11, B: 12, Target: 64},
			{Op: ir.Add, Dst: 14, A: 11, B: 12},
			sext(15, 14), // a sum of words is none
			jump(32),
		}},
		{Start: 32, Insts: []ir.Inst{
			sext(12, 11), // a move: words lead here
			sext(16, 14), // 14 is none
			jump(64),
		}},
		{Start: 64, Insts: []ir.Inst{
			sext(12, 11), // a move
			sext(17, 16), // a word on one way only: kept
			{Op: ir.Sar, Flags: ir.Immediate | ir.Word, Dst: 12, A: 11, Imm: 35},
			jump(0),
		}},
	}}
	words(r)
	for _, c := range []struct {
		block, inst int
		want        ir.Inst
	}{
		{0, 0, sext(12, 11)}, {0, 2, move}, {0, 3, ir.Inst{}}, {0, 6, sext(15, 14)},
		{1, 0, move}, {1, 1, sext(16, 14)},
		{2, 0, move}, {2, 1, sext(17, 16)}, {2, 2, ir.Inst{Op: ir.Sar, Flags: ir.Immediate, Dst: 12, A: 11, Imm: 3}},
	} {
		if got := r.Blocks[c.block].Insts[c.inst]; got != c.want {
			t.Errorf("block %d: %v, want %v", c.block, got, c.want)
		}
	}
}
