package opt

import "doppel/internal/cpu/jit/ir"

// words drops sign extensions of what is a sign-extended word already.
// Compilers extend again what they have just computed, since they do not keep
// track of it across operations that may give other values.
//
// Unlike other passes it carries what it knows from block to block: a register
// is a word at the start of a block if it is one at the end of all that lead
// there. The region's first block is entered from outside.
func words(r *ir.Region) {
	in := wordsAtStart(r)
	for n := range r.Blocks {
		known := in[n]
		for i := range r.Blocks[n].Insts {
			x := &r.Blocks[n].Insts[i]
			known.shorten(x)
			known = known.after(x)
		}
	}
}

// wordsAtStart gives the words at the start of each block.
func wordsAtStart(r *ir.Region) []wordSet {
	in := make([]wordSet, len(r.Blocks))
	for i := range in {
		in[i] = ^wordSet(0)
	}
	in[0] = 1
	for changed := true; changed; {
		changed = false
		for n := range r.Blocks {
			b := &r.Blocks[n]
			known := in[n]
			flow := func(target int32) {
				if to := r.Find(target); to > 0 && in[to]&^known != 0 {
					in[to] &= known
					changed = true
				}
			}
			if b.Rolled != 0 {
				flow(b.Rolled)
			}
			for i := range b.Insts {
				x := &b.Insts[i]
				if x.Op == ir.Branch {
					flow(x.Target)
				}
				known = known.after(x)
				if x.Op == ir.Jump {
					flow(x.Target)
				}
			}
			for _, target := range b.Returns {
				flow(target)
			}
		}
	}
	return in
}

// wordSet has a bit for each integer register that is known to hold a
// sign-extended word. x0 does.
type wordSet uint32

func (s wordSet) has(r ir.Reg) bool { return s>>r&1 != 0 }

// after is what is known after x.
func (s wordSet) after(x *ir.Inst) wordSet {
	d := x.Def()
	if d == 0 || d >= ir.F0 {
		return s
	}
	if s.gives(x) {
		return s | 1<<d
	}
	return s &^ (1 << d)
}

// gives tells whether the integer result of x is a sign-extended word.
func (s wordSet) gives(x *ir.Inst) bool {
	imm := x.Flags&ir.Immediate != 0
	word := x.Flags&ir.Word != 0
	switch x.Op {
	case ir.Const:
		return fits(x.Imm)
	case ir.Add, ir.Sub, ir.Shl, ir.Rol, ir.Ror, ir.Mul, ir.Div, ir.DivU, ir.Rem, ir.RemU, ir.FToI, ir.FToU, ir.Pack:
		return word || x.Op == ir.Add && imm && x.Imm == 0 && s.has(x.A)
	case ir.Sar:
		return word || s.has(x.A) || imm && x.Imm&63 >= 32
	case ir.Shr:
		return word || imm && x.Imm&63 > 32
	case ir.And:
		if imm {
			return x.Imm >= 0 || s.has(x.A)
		}
		return s.has(x.A) && s.has(x.B)
	case ir.Or, ir.Xor, ir.AndNot, ir.OrNot, ir.XorNot, ir.Min, ir.Max, ir.MinU, ir.MaxU:
		return s.has(x.A) && (imm || s.has(x.B))
	case ir.ZeroIfZero, ir.ZeroIfNonzero:
		return s.has(x.A)
	case ir.Slt, ir.Sltu, ir.BitExt, ir.Clz, ir.Ctz, ir.Popcnt, ir.SextB, ir.SextH, ir.ZextH, ir.PackBytes,
		ir.FEq, ir.FLt, ir.FLe, ir.FLtQ, ir.FLeQ, ir.FClass, ir.StoreConditional, ir.FCSRRead:
		return true
	case ir.Load:
		return x.Size < 4 || x.Size == 4 && x.Flags&ir.Signed != 0
	case ir.AmoSwap, ir.AmoAdd, ir.AmoAnd, ir.AmoOr, ir.AmoXor, ir.AmoCas, ir.AmoMin, ir.AmoMax, ir.AmoMinU, ir.AmoMaxU, ir.LoadReserved:
		return x.Size == 4
	case ir.FToX:
		return x.Size == 4
	}
	return false
}

// shorten makes x do less, given what is known before it.
func (s wordSet) shorten(x *ir.Inst) {
	if x.Flags&ir.Word == 0 || !s.has(x.A) {
		return
	}
	imm := x.Flags&ir.Immediate != 0
	switch {
	case x.Op == ir.Add && (imm && x.Imm == 0 || !imm && x.B == 0):
		*x = ir.Inst{Op: ir.Add, Flags: ir.Immediate, Dst: x.Dst, A: x.A, Index: x.Index} // a move
		if x.Dst == x.A {
			*x = ir.Inst{Op: ir.Nop, Index: x.Index}
		}
	case x.Op == ir.Sar && imm:
		x.Flags &^= ir.Word
		x.Imm &= 31
	}
}
