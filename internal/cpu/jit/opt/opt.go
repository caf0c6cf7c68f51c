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
	{"hoist checks", hoist},
	{"share checks", share},
	{"dead", dead},
	{"scale", scale},
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
