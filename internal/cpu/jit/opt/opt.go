// Package opt improves regions before code is made of them. It knows neither
// the guest's instruction set nor a host. Each pass keeps what the region
// does, wherever it is left: at every Inst that can leave, all registers are
// what they would have been.
//
// Passes go through one block after the other and, but for words and loosen,
// look at no other block.
package opt

import "doppel/internal/cpu/jit/ir"

// Pass is one improvement.
type Pass struct {
	Name string
	Run  func(*ir.Region)
}

// Passes are run in this order.
var Passes = []Pass{
	{"fold", fold},
	{"words", words},
	{"share checks", share},
	{"dead", dead},
	{"halves", halves},
	{"loosen", loosen},
}

// Run runs all passes.
func Run(r *ir.Region) {
	for _, p := range Passes {
		p.Run(r)
	}
}

// leaves tells whether the region may be left at in.
func leaves(in *ir.Inst) bool {
	return !in.Pure() && !(in.IsMemory() && in.Site != 0 && in.Span == 0)
}

// dead drops writes to registers that are written again before they are read
// and before the region can be left.
func dead(r *ir.Region) {
	for n := range r.Blocks {
		insts := r.Blocks[n].Insts
		var unread [64]bool // registers whose value does not matter
		for i := len(insts) - 1; i >= 0; i-- {
			in := &insts[i]
			left := leaves(in)
			if left {
				unread = [64]bool{}
			}
			if d := in.Def(); d != 0 {
				if in.Pure() && unread[d] {
					*in = ir.Inst{Op: ir.Nop, Index: in.Index}
					continue
				}
				unread[d] = !left // what it overwrites is seen where it leaves
			}
			in.Uses(func(r ir.Reg) { unread[r] = false })
		}
	}
}

// maxSpan is how far apart accesses may be that share a check: the less, the
// less likely is it that they lie in two pages.
const maxSpan = 512

// share gives every access that has a base register a site, and one to all
// those whose bases are known to be a constant apart. If one of them stores,
// the check is that for stores, which lets loads pass too.
func share(r *ir.Region) {
	r.Sites = 1
	for n := range r.Blocks {
		var bases [32]based
		var groups []*group // in the order of their first accesses
		branches := 0
		insts := r.Blocks[n].Insts
		for i := range insts {
			in := &insts[i]
			if in.IsMemory() && in.A != 0 && r.Sites+len(groups) < maxSites {
				b := &bases[in.A]
				if b.group != nil && !b.group.takes(in, b.delta, branches) {
					b.group = nil
				}
				if b.group == nil {
					*b = based{group: &group{lo: in.Imm, hi: in.Imm + int64(in.Size), branches: branches}}
					groups = append(groups, b.group)
				}
				b.group.add(in, b.delta)
			}
			if in.Op == ir.Branch {
				branches++
			}
			if d := in.Def(); d != 0 && d < ir.F0 {
				bases[d] = after(in, &bases)
			}
		}
		for _, g := range groups {
			for _, in := range g.members {
				in.Site = uint16(r.Sites)
				in.Span = 0
				if g.stores {
					in.Flags |= ir.Stores
				}
			}
			first := g.members[0]
			first.Low, first.Span = int32(g.lo), uint16(g.hi-g.lo)
			r.Sites++
		}
	}
}

// group is accesses that share a site; lo and hi bound them, from the base of
// the first.
type group struct {
	members  []*ir.Inst
	lo, hi   int64
	stores   bool
	branches int // before the first
}

// based says that a register is delta from the base of a group's first access.
type based struct {
	group *group
	delta int64
}

// takes tells whether in can share the group's check. A store must not that is
// executed only sometimes: what is loaded from need not be writable.
func (g *group) takes(in *ir.Inst, delta int64, branches int) bool {
	lo := delta + in.Imm
	if stores := in.Op == ir.Store || in.Op == ir.FStore; stores && !g.stores && branches != g.branches {
		return false
	}
	return max(g.hi, lo+int64(in.Size))-min(g.lo, lo) <= maxSpan && fits(min(g.lo, lo))
}

func (g *group) add(in *ir.Inst, delta int64) {
	lo := delta + in.Imm
	g.members = append(g.members, in)
	g.lo, g.hi = min(g.lo, lo), max(g.hi, lo+int64(in.Size))
	g.stores = g.stores || in.Op == ir.Store || in.Op == ir.FStore
}

// after is what the result of in is based on.
func after(in *ir.Inst, bases *[32]based) based {
	switch {
	case in.Op != ir.Add:
	case in.Flags == ir.Immediate:
		b := bases[in.A]
		if b.delta += in.Imm; fits(b.delta) {
			return b
		}
	case in.Flags == 0 && in.B == 0:
		return bases[in.A]
	case in.Flags == 0 && in.A == 0:
		return bases[in.B]
	}
	return based{}
}

// maxSites is how many sites a region may have.
const maxSites = 1 << 10
