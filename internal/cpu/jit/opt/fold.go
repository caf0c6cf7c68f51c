package opt

import (
	"doppel/internal/cpu/jit/ir"
)

// value is what is known of a register in the middle of a block.
type value struct {
	inst    *ir.Inst // that computed it, if its operands are unchanged since
	isConst bool
	c       int64
}

// fold computes what is constant, makes constants immediate operands, and
// reads through shifts and additions to what they were computed from, so that
// a pair becomes one operation of the host.
func fold(r *ir.Region) {
	for n := range r.Blocks {
		var known [64]value
		known[0] = value{isConst: true}
		insts := r.Blocks[n].Insts
		for i := range insts {
			in := &insts[i]
			if in.Op == ir.Branch || in.Pure() {
				immediate(in, &known)
			}
			if in.Pure() {
				combine(in, &known)
				evaluate(in, &known)
			}
			d := in.Def()
			if d == 0 {
				continue
			}
			for j := range known {
				if s := known[j].inst; s != nil && reads(s, d) {
					known[j].inst = nil
				}
			}
			v := value{inst: in}
			if in.Op == ir.Const {
				v.isConst, v.c = true, in.Imm
			}
			if !in.Pure() || reads(in, d) {
				v.inst = nil
			}
			known[d] = v
		}
	}
}

func reads(in *ir.Inst, r ir.Reg) (yes bool) {
	in.Uses(func(u ir.Reg) { yes = yes || u == r })
	return yes
}

// immediate makes a constant operand an immediate one.
func immediate(in *ir.Inst, known *[64]value) {
	switch in.Op {
	case ir.Add, ir.And, ir.Or, ir.Xor:
		if in.Flags&ir.Immediate == 0 && known[in.A].isConst && !known[in.B].isConst {
			in.A, in.B = in.B, in.A
		}
	case ir.Sub, ir.Shl, ir.Shr, ir.Sar, ir.Rol, ir.Ror, ir.Slt, ir.Sltu, ir.BitClr, ir.BitExt, ir.BitInv, ir.BitSet, ir.Branch:
	default:
		return
	}
	if in.Flags&ir.Immediate != 0 || in.B == 0 || !known[in.B].isConst {
		return
	}
	c, op := known[in.B].c, in.Op
	switch op {
	case ir.Sub:
		op, c = ir.Add, -c
	case ir.Shl, ir.Shr, ir.Sar, ir.Rol, ir.Ror, ir.BitClr, ir.BitExt, ir.BitInv, ir.BitSet:
		c &= 63
		if in.Flags&ir.Word != 0 {
			c &= 31
		}
	}
	if !fits(c) {
		return
	}
	in.Op = op
	in.Flags |= ir.Immediate
	in.B, in.Imm = 0, c
}

// combine reads through what computed an operand.
func combine(in *ir.Inst, known *[64]value) {
	imm := in.Flags&ir.Immediate != 0
	word := in.Flags&ir.Word != 0
	a := known[in.A].inst
	switch {
	case in.Op == ir.Add && imm && !word && a != nil && a.Op == ir.PC:
		// auipc and addi
		*in = ir.Inst{Op: ir.PC, Dst: in.Dst, Imm: a.Imm + in.Imm, Index: in.Index}
	case in.Op == ir.Add && imm && a != nil && a.Op == ir.Add && a.Flags == in.Flags && fits(a.Imm+in.Imm):
		in.A, in.Imm = a.A, a.Imm+in.Imm
	case in.Op == ir.Add && !imm && !word:
		b := known[in.B].inst
		if !scaled(b) || b.Imm == 0 && scaled(a) {
			in.A, in.B = in.B, in.A
			a, b = b, a
		}
		if scaled(b) {
			// slli and add
			op := ir.ShlAdd
			if b.Op == ir.ZextShl {
				op = ir.ZextAdd
			}
			*in = ir.Inst{Op: op, Dst: in.Dst, A: b.A, B: in.A, Imm: b.Imm, Index: in.Index}
		}
	case (in.Op == ir.Shr || in.Op == ir.Sar) && imm && !word && a != nil && a.Op == ir.Shl && a.Flags == ir.Immediate:
		extend(in, a)
	}
}

func fits(v int64) bool { return v == int64(int32(v)) }

func scaled(in *ir.Inst) bool {
	return in != nil && (in.Op == ir.Shl && in.Flags == ir.Immediate || in.Op == ir.ZextShl) && in.Imm >= 0 && in.Imm <= 3
}

// extend makes one extension of a shift to the left and one to the right.
func extend(in, left *ir.Inst) {
	l, n := left.Imm&63, in.Imm&63
	out := ir.Inst{Dst: in.Dst, A: left.A, Index: in.Index}
	switch signed := in.Op == ir.Sar; {
	case l == 32 && n <= 32 && !signed:
		out.Op, out.Flags, out.Imm = ir.ZextShl, ir.Immediate, 32-n
	case l == 32 && n == 32:
		out.Op, out.Flags = ir.Add, ir.Immediate|ir.Word
	case l == 48 && n == 48 && !signed:
		out.Op = ir.ZextH
	case l == 48 && n == 48:
		out.Op = ir.SextH
	case l == 56 && n == 56 && !signed:
		out.Op, out.Flags, out.Imm = ir.And, ir.Immediate, 0xff
	case l == 56 && n == 56:
		out.Op = ir.SextB
	default:
		return
	}
	*in = out
}

// evaluate makes a Const of what is constant.
func evaluate(in *ir.Inst, known *[64]value) {
	switch in.Op {
	case ir.Add, ir.And, ir.Or, ir.Xor, ir.Shl, ir.Shr, ir.Sar:
	default:
		return
	}
	if in.Flags&ir.Immediate == 0 || !known[in.A].isConst {
		return
	}
	a, b := known[in.A].c, in.Imm
	word := in.Flags&ir.Word != 0
	var v int64
	switch in.Op {
	case ir.Add:
		v = a + b
	case ir.And:
		v = a & b
	case ir.Or:
		v = a | b
	case ir.Xor:
		v = a ^ b
	case ir.Shl:
		v = a << (b & 63)
	case ir.Shr:
		v = int64(uint64(a) >> (b & 63))
		if word {
			v = int64(uint32(a) >> (b & 31))
		}
	case ir.Sar:
		v = a >> (b & 63)
		if word {
			v = int64(int32(a) >> (b & 31))
		}
	}
	if word {
		v = int64(int32(v))
	}
	*in = ir.Inst{Op: ir.Const, Dst: in.Dst, Imm: v, Index: in.Index}
}
