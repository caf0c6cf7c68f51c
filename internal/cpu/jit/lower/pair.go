package lower

import "doppel/internal/cpu/jit/ir"

// fusePairs makes one operation of what takes two instructions for want of
// bits: a constant or an address within 2 GiB, and a jump to one. It looks at
// neighbours only, between which a block is not left.
func fusePairs(insts []ir.Inst) {
	for i := 1; i < len(insts); i++ {
		first, second := &insts[i-1], &insts[i]
		if first.Dst == 0 || second.A != first.Dst {
			continue
		}
		switch {
		case second.Op == ir.Add && second.Flags&ir.Immediate != 0 && (first.Op == ir.Const || first.Op == ir.PC && second.Flags&ir.Word == 0):
			sum := first.Imm + second.Imm
			if second.Flags&ir.Word != 0 {
				sum = int64(int32(sum))
			}
			*second = ir.Inst{Op: first.Op, Dst: second.Dst, Imm: sum, Index: second.Index}
			if first.Dst == second.Dst {
				*first = ir.Inst{Op: ir.Nop, Index: first.Index}
			}
		case second.Op == ir.JumpReg && first.Op == ir.PC:
			to := (first.Imm + second.Imm) &^ 1
			if to != int64(int32(to)) {
				continue
			}
			*second = ir.Inst{Op: ir.Jump, Dst: second.Dst, Imm: int64(second.Target), Target: int32(to), Index: second.Index}
			if first.Dst == second.Dst {
				*first = ir.Inst{Op: ir.Nop, Index: first.Index}
			}
		}
	}
}
