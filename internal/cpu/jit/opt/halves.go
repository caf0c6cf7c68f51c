package opt

import "doppel/internal/cpu/jit/ir"

// halves leaves out the sign extension of words whose upper half nobody reads
// before it is written again and before the region can be left.
func halves(r *ir.Region) {
	for n := range r.Blocks {
		insts := r.Blocks[n].Insts
		var unread [64]bool // registers whose upper half does not matter
		for i := len(insts) - 1; i >= 0; i-- {
			in := &insts[i]
			if leaves(in) {
				unread = [64]bool{}
				continue
			}
			low := lowOnly(in)
			if d := in.Def(); d != 0 {
				if low && unread[d] {
					in.Flags |= ir.Loose
				}
				unread[d] = true
			}
			if !low {
				in.Uses(func(r ir.Reg) { unread[r] = false })
			}
		}
	}
}

// lowOnly tells whether in makes a word of the low halves of its operands.
func lowOnly(in *ir.Inst) bool {
	switch in.Op {
	case ir.Add, ir.Sub, ir.Shl, ir.Shr, ir.Sar, ir.Mul:
		return in.Flags&ir.Word != 0
	}
	return false
}
