package arm64

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// maxReach is how far from a pointer an access can be.
const maxReach = 4096

// randomRegion makes a region of what regions can have, whose sites are as
// opt.share leaves them: the first access of a block has the check of a site, and
// those that follow some of the same.
func randomRegion(r *rand.Rand, insts []ir.Inst) *ir.Region {
	reg := &ir.Region{Context: abi.NoContext, Sites: 1, Joined: r.IntN(2) == 0}
	if r.IntN(4) == 0 {
		reg.Context = 1234
	}
	n := 1 + r.IntN(4)
	for i := range n {
		b := ir.RegionBlock{Start: int32(256 * i), Depth: 1 + r.IntN(3), Loose: r.Uint32() &^ 1}
		add := func(in ir.Inst) {
			in.Index = uint8(len(b.Offsets))
			b.Offsets = append(b.Offsets, b.Start+4*int32(len(b.Offsets)))
			b.Insts = append(b.Insts, in)
		}
		target := func() int32 { return int32(256 * r.IntN(n+2)) }
		first := map[uint16]bool{}
		for range r.IntN(20) {
			in := insts[r.IntN(len(insts))]
			if in.Op == ir.Branch && !reg.Joined {
				continue
			}
			in.Target = target()
			if in.IsMemory() && in.A != 0 && r.IntN(8) != 0 {
				in.Site = uint16(reg.Sites + r.IntN(4))
				if in.Imm = int64(r.IntN(600) - 300); !first[in.Site] {
					first[in.Site] = true
					in.Span, in.Low = uint16(1+r.IntN(512)), int32(r.IntN(2000)-1000)
					in.Flags |= []ir.Flags{0, ir.Stores, ir.Roams, ir.Stores | ir.Roams}[r.IntN(4)]
				}
			}
			add(in)
		}
		reg.Sites += 4
		if r.IntN(20) == 0 {
			reg.Sites += 1 + r.IntN(900-reg.Sites)
		}
		if r.IntN(2) == 0 {
			add(ir.Inst{Op: ir.Branch, Cond: ir.Cond(r.IntN(6)), A: ir.Reg(r.IntN(32)), B: ir.Reg(r.IntN(3)), Target: target()})
		}
		if r.IntN(3) == 0 {
			b.Returns = []int32{target(), target()}
			add(ir.Inst{Op: ir.JumpReg, Dst: ir.Reg(r.IntN(2)), A: 1, Target: 8})
		} else {
			in := ir.Inst{Op: ir.Jump, Target: target()}
			if r.IntN(2) == 0 { // no instruction
				in.Index = uint8(len(b.Offsets))
				b.Insts = append(b.Insts, in)
			} else {
				in.Dst = ir.Reg(r.IntN(2))
				add(in)
			}
		}
		if len(b.Offsets) == 0 {
			b.Offsets = []int32{b.Start}
		}
		reg.Blocks = append(reg.Blocks, b)
	}
	return reg
}

// TestRegionDecodes is TestDecodes for regions.
func TestRegionDecodes(t *testing.T) {
	var insts []ir.Inst
	seen := map[ir.Op]bool{}
	for _, in := range sample() {
		if RegionOp(&in) && in.Op != ir.Across {
			insts = append(insts, in)
			seen[in.Op] = true
		}
	}
	if len(seen) < 90 {
		t.Errorf("regions can have %d Ops only", len(seen))
	}
	for _, far := range []int32{0x800, 0x123400} {
		u := newAuditor(far, far > 0x800)
		u.region = true
		e := NewEmitter(u.l, u.r)
		r := rand.New(rand.NewPCG(uint64(far), 1))
		for range 300 {
			reg := randomRegion(r, insts)
			const at = 0x1000
			code := e.Region(reg, 0x30000, at, 7)
			u.check(t, reg, code, at)
			if t.Failed() {
				return
			}
			if (code.Context != 0) != (reg.Context != abi.NoContext) {
				t.Fatalf("%v: the context is at %d", reg, code.Context)
			}
			for off, entry := range code.Entries {
				if i := reg.Find(off); i < 0 || entry <= 0 || entry >= len(code.Bytes) {
					t.Fatalf("%v: entered at %d for %#x", reg, entry, off)
				}
			}
		}
		if e.home != mappedHomes || e.fhome != mappedFHomes || e.region != nil {
			t.Error("blocks no longer have their homes")
		}
	}
}

// TestPointers: where accesses alternate between two places, each is one
// instruction once both are checked, though their bases move.
func TestPointers(t *testing.T) {
	b := ir.RegionBlock{Depth: 1}
	add := func(in ir.Inst) {
		in.Index = uint8(len(b.Offsets))
		b.Offsets = append(b.Offsets, 4*int32(len(b.Offsets)))
		b.Insts = append(b.Insts, in)
	}
	const pairs = 4
	for i := range int64(pairs) {
		load := ir.Inst{Op: ir.Load, Size: 8, Dst: 12, A: 10, Imm: 8 * i, Site: 1}
		store := ir.Inst{Op: ir.Store, Size: 8, A: 11, B: 12, Imm: 8 * i, Site: 2, Flags: ir.Stores}
		if i == 0 {
			load.Span, store.Span = 8*pairs, 8*pairs
		}
		if i >= 2 { // one of the bases has moved
			load.Imm -= 16
		}
		add(load)
		add(store)
		if i == 1 {
			add(ir.Inst{Op: ir.Add, Flags: ir.Immediate, Dst: 10, A: 10, Imm: 16})
		}
	}
	add(ir.Inst{Op: ir.Branch, Cond: ir.NE, A: 12, Target: 0})
	b.Insts = append(b.Insts, ir.Inst{Op: ir.Jump, Target: 4 * int32(len(b.Offsets)), Index: uint8(len(b.Offsets))})
	u := newAuditor(0x800, true)
	u.region = true
	code := NewEmitter(u.l, u.r).Region(&ir.Region{Context: abi.NoContext, Sites: 3, Blocks: []ir.RegionBlock{b}}, 0x30000, 0x1000, 7)
	u.check(t, "copy", code, 0x1000)
	a := asm{buf: code.Bytes}
	text := strings.Split(decode(t, &a), "; ")
	first := slices.IndexFunc(text, func(s string) bool { return strings.HasPrefix(s, "subs x20") })
	last := slices.IndexFunc(text, func(s string) bool { return strings.HasPrefix(s, "cbnz x12") })
	// Two for the budget, six for each check, the accesses, the addition and the branch.
	if want := 2 + 2*6 + 2*pairs + 2; last-first+1 != want {
		t.Errorf("a pass is %d instructions, want %d:\n%s", last-first+1, want, strings.Join(text[first:last+1], "\n"))
	}
}
