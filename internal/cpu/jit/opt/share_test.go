package opt

import (
	"slices"
	"testing"

	"doppel/internal/cpu/jit/ir"
)

func TestShare(t *testing.T) {
	load := func(base ir.Reg, off int64) ir.Inst { return ir.Inst{Op: ir.Load, Size: 8, Dst: 20, A: base, Imm: off} }
	store := func(base ir.Reg, off int64) ir.Inst { return ir.Inst{Op: ir.Store, Size: 8, A: base, B: 20, Imm: off} }
	addi := func(dst, a ir.Reg, by int64) ir.Inst {
		return ir.Inst{Op: ir.Add, Flags: ir.Immediate, Dst: dst, A: a, Imm: by}
	}
	type access struct {
		site, span uint16
		low        int32
		stores     bool
	}
	for _, c := range []struct {
		name  string
		insts []ir.Inst
		want  []access // of the memory accesses
	}{
		{"one base", []ir.Inst{load(10, 8), load(10, 0), load(11, 0)}, []access{{1, 16, 0, false}, {1, 0, 0, false}, {2, 8, 0, false}}},
		{"a store later", []ir.Inst{load(10, 8), store(10, -8)}, []access{{1, 24, -8, true}, {1, 0, 0, true}}},
		{"the base moves", []ir.Inst{load(10, 0), addi(10, 10, 16), store(10, -16), load(10, 0)},
			[]access{{1, 24, 0, true}, {1, 0, 0, true}, {1, 0, 0, true}}},
		{"a copy", []ir.Inst{load(10, 0), {Op: ir.Add, Dst: 12, B: 10}, addi(13, 12, -8), load(13, 0), load(10, 8)},
			[]access{{1, 24, -8, false}, {1, 0, 0, false}, {1, 0, 0, false}}},
		{"of what was not accessed", []ir.Inst{addi(11, 10, 8), load(10, 0), load(11, 0)}, []access{{1, 8, 0, false}, {2, 8, 0, false}}},
		{"another value", []ir.Inst{load(10, 0), load(10, 8), {Op: ir.Add, Dst: 10, A: 10, B: 11}, load(10, 0)},
			[]access{{1, 16, 0, false}, {1, 0, 0, false}, {2, 8, 0, false}}},
		{"a load of the base", []ir.Inst{{Op: ir.Load, Size: 8, Dst: 10, A: 10}, load(10, 0)}, []access{{1, 8, 0, false}, {2, 8, 0, false}}},
		{"a word", []ir.Inst{load(10, 0), {Op: ir.Add, Flags: ir.Immediate | ir.Word, Dst: 10, A: 10, Imm: 8}, load(10, 0)},
			[]access{{1, 8, 0, false}, {2, 8, 0, false}}},
		{"what may change translations", []ir.Inst{load(10, 0), load(10, 8), {Op: ir.Slow}, load(10, 16), {Op: ir.CSRSet, A: 5}, load(10, 24), {Op: ir.Barrier}, load(10, 32)},
			[]access{{1, 16, 0, false}, {1, 0, 0, false}, {2, 8, 16, false}, {3, 16, 24, false}, {3, 0, 0, false}}},
		{"a store behind a branch", []ir.Inst{load(10, 0), {Op: ir.Branch}, load(10, 8), store(10, 16), store(10, 24), load(10, 32)},
			[]access{{1, 16, 0, false}, {1, 0, 0, false}, {2, 24, 16, true}, {2, 0, 0, true}, {2, 0, 0, true}}},
		{"too far", []ir.Inst{load(10, 0), addi(10, 10, 2000), load(10, 0), load(10, 8)},
			[]access{{1, 8, 0, false}, {2, 16, 0, false}, {2, 0, 0, false}}},
	} {
		alone := ir.Block{Insts: slices.Clone(c.insts)}
		new(Sharer).Block(&alone)
		r := &ir.Region{Blocks: []ir.RegionBlock{{Insts: c.insts}}}
		share(r)
		if !slices.Equal(alone.Insts, c.insts) {
			t.Errorf("%s: by itself %v, in a region %v", c.name, alone.Insts, c.insts)
		}
		i := 0
		for _, in := range c.insts {
			if !in.IsMemory() {
				continue
			}
			if got := (access{in.Site, in.Span, in.Low, in.Flags&ir.Stores != 0}); got != c.want[i] {
				t.Errorf("%s: access %d is %v, want %v", c.name, i, got, c.want[i])
			}
			i++
		}
	}
}
