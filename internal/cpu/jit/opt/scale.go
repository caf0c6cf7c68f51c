package opt

import "doppel/internal/cpu/jit/ir"

// scale makes one operation of a shift and an addition that both write the
// register that is shifted: the address of an element, as compilers make it
// without Zba.
func scale(r *ir.Region) {
	for n := range r.Blocks {
		insts := r.Blocks[n].Insts
		for i := range insts {
			shift := &insts[i]
			if !scaled(shift) || shift.Dst == 0 {
				continue
			}
			for j := i + 1; j < len(insts); j++ {
				in := &insts[j]
				if in.Op == ir.Add && in.Flags == 0 && in.Dst == shift.Dst && (in.A == in.Dst) != (in.B == in.Dst) {
					absorb(in, shift)
					break
				}
				if leaves(in) || in.Def() == shift.Dst || reads(in, shift.Dst) || shift.A != shift.Dst && in.Def() == shift.A {
					break
				}
			}
		}
	}
}

// absorb makes the addition in do what shift does, too.
func absorb(in, shift *ir.Inst) {
	other := in.A
	if in.A == in.Dst {
		other = in.B
	}
	op := ir.ShlAdd
	if shift.Op == ir.ZextShl {
		op = ir.ZextAdd
	}
	*in = ir.Inst{Op: op, Dst: in.Dst, A: shift.A, B: other, Imm: shift.Imm, Index: in.Index}
	*shift = ir.Inst{Op: ir.Nop, Index: shift.Index}
}
