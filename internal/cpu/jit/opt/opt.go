// Package opt improves regions before code is made of them. It knows neither
// the guest's instruction set nor a host. Each pass keeps what the region
// does, wherever it is left: at every Inst that can leave, all registers are
// what they would have been.
//
// Passes go through one block after the other and look at no other block.
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
			if leaves(in) {
				unread = [64]bool{}
			}
			if d := in.Def(); d != 0 {
				if in.Pure() && unread[d] {
					*in = ir.Inst{Op: ir.Nop, Index: in.Index}
					continue
				}
				unread[d] = true
			}
			in.Uses(func(r ir.Reg) { unread[r] = false })
		}
	}
}

// maxSpan is how far apart accesses may be that share a check: the less, the
// less likely is it that they lie in two pages.
const maxSpan = 512

// share gives every access that has a base register a site, and one to all
// those that have the same value as base. If one of them stores, the check is
// that for stores, which lets loads pass too.
func share(r *ir.Region) {
	r.Sites = 1
	type group struct {
		members []*ir.Inst
		lo, hi  int64
		stores  bool
	}
	for n := range r.Blocks {
		groups := map[ir.Reg]*group{} // by base
		end := func(base ir.Reg) {
			g := groups[base]
			if g == nil {
				return
			}
			delete(groups, base)
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
		insts := r.Blocks[n].Insts
		for i := range insts {
			in := &insts[i]
			if in.IsMemory() && in.A != 0 && r.Sites < maxSites {
				lo, hi := in.Imm, in.Imm+int64(in.Size)
				g := groups[in.A]
				if g != nil && max(hi, g.hi)-min(lo, g.lo) > maxSpan {
					end(in.A)
					g = nil
				}
				if g == nil {
					g = &group{lo: lo, hi: hi}
					groups[in.A] = g
				}
				g.members = append(g.members, in)
				g.lo, g.hi = min(lo, g.lo), max(hi, g.hi)
				g.stores = g.stores || in.Op == ir.Store || in.Op == ir.FStore
			}
			if d := in.Def(); d != 0 {
				end(d)
			}
		}
		for base := ir.Reg(1); base < 32; base++ { // in order: the same code every time
			end(base)
		}
	}
}

// maxSites is how many sites a region may have.
const maxSites = 1 << 10
