package amd64

import "doppel/internal/cpu/jit/ir"

// one emits an Inst.
func (e *Emitter) one(in *ir.Inst) {
	word := in.Flags&ir.Word != 0
	imm := in.Flags&ir.Immediate != 0
	switch in.Op {
	case ir.Nop:
	case ir.Const:
		e.setConst(in.Dst, in.Imm)
	case ir.PC:
		d := e.dst(in.Dst)
		if in.Imm == int64(int32(in.Imm)) {
			e.leaPage(d, int32(in.Imm))
		} else {
			e.movRI(d, in.Imm)
			e.leaPage(RCX, 0)
			e.aluRR(aluAdd, true, d, RCX)
		}
		e.put(in.Dst, d)
	case ir.Add:
		e.add(in, word, imm)
	case ir.Sub, ir.And, ir.Or, ir.Xor:
		e.binary(in, [...]alu{aluSub, aluAnd, aluOr, aluXor}[in.Op-ir.Sub], word, imm)
	case ir.AndNot, ir.OrNot, ir.XorNot:
		e.get(RCX, in.B)
		e.rr(wide(0xf7), 2, RCX) // not
		e.get(RAX, in.A)
		e.aluRR([...]alu{aluAnd, aluOr, aluXor}[in.Op-ir.AndNot], true, RAX, RCX)
		e.put(in.Dst, RAX)
	case ir.Shl, ir.Shr, ir.Sar, ir.Rol, ir.Ror:
		e.shift(in, [...]shift{shl, shr, sar, rol, ror}[in.Op-ir.Shl], word, imm)
	case ir.Slt, ir.Sltu:
		c := ccL
		if in.Op == ir.Sltu {
			c = ccB
		}
		e.compare(in.A, in.B, in.Imm, imm)
		e.setcc(c, RAX)
		d := e.dst(in.Dst)
		e.zeroExtend8(d, RAX)
		e.put(in.Dst, d)
	case ir.Min, ir.Max, ir.MinU, ir.MaxU:
		e.get(RAX, in.A)
		b := e.reg(in.B, RCX)
		e.aluRR(aluCmp, true, RAX, b)
		e.cmov([...]cond{ccG, ccL, ccA, ccB}[in.Op-ir.Min], RAX, b)
		e.put(in.Dst, RAX)
	case ir.Mul, ir.MulH, ir.MulHSU, ir.MulHU:
		e.mul(in, word)
	case ir.Div, ir.DivU, ir.Rem, ir.RemU:
		e.div(in, !word)
	case ir.ShlAdd, ir.ZextAdd:
		a := RAX
		if in.Op == ir.ZextAdd {
			e.get32(RAX, in.A)
		} else {
			a = e.reg(in.A, RAX)
		}
		b := e.reg(in.B, RCX)
		d := e.dst(in.Dst)
		e.lea(d, mem{b, a, uint8(in.Imm), 0})
		e.put(in.Dst, d)
	case ir.ZextShl:
		d := e.dst(in.Dst)
		e.get32(d, in.A)
		if n := uint8(in.Imm & 63); n != 0 {
			e.shiftRI(shl, true, d, n)
		}
		e.put(in.Dst, d)
	case ir.BitClr, ir.BitExt, ir.BitInv, ir.BitSet:
		e.bit(in, imm)
	case ir.ZeroIfZero, ir.ZeroIfNonzero:
		c := ccE
		if in.Op == ir.ZeroIfNonzero {
			c = ccNE
		}
		e.get(RAX, in.A)
		e.movRI(RCX, 0)
		b := e.reg(in.B, RDX)
		e.rr(wide(0x85), b, b) // test
		e.cmov(c, RAX, RCX)
		e.put(in.Dst, RAX)
	case ir.Clz, ir.Ctz, ir.Popcnt:
		a := e.reg(in.A, RAX)
		d := e.dst(in.Dst)
		code := [...]uint32{0x0fbd, 0x0fbc, 0x0fb8}[in.Op-ir.Clz] // lzcnt, tzcnt, popcnt
		e.rr(op{code: code, prefix: 0xf3, w: !word}, d, a)
		e.put(in.Dst, d)
	case ir.SextB, ir.SextH, ir.ZextH:
		a := e.reg(in.A, RAX)
		d := e.dst(in.Dst)
		e.rr([...]op{wide(0x0fbe), wide(0x0fbf), {code: 0x0fb7}}[in.Op-ir.SextB], d, a)
		e.put(in.Dst, d)
	case ir.Pack, ir.PackBytes:
		e.pack(in, word)
	case ir.ClMul, ir.ClMulH, ir.ClMulR:
		e.carryless(in)
	case ir.RevBits:
		e.reverseBits(in)
	case ir.ByteSwap:
		e.get(RAX, in.A)
		e.byte(0x48, 0x0f, 0xc8) // bswap rax
		e.put(in.Dst, RAX)
	case ir.OrBytes:
		// Adding 0x7f to the low seven bits of each byte carries into its top
		// bit unless they are zero; the top bits then spread over the bytes.
		e.get(RDX, in.A)
		e.movRI(RCX, 0x7f7f_7f7f_7f7f_7f7f)
		e.movRR(RAX, RDX)
		e.aluRR(aluAnd, true, RAX, RCX)
		e.aluRR(aluAdd, true, RAX, RCX)
		e.aluRR(aluOr, true, RAX, RDX)
		e.rr(wide(0xf7), 2, RCX) // not
		e.aluRR(aluAnd, true, RAX, RCX)
		e.movRR(RDX, RAX)
		e.shiftRI(shr, true, RDX, 7)
		e.movRR(RCX, RAX)
		e.aluRR(aluSub, true, RAX, RDX)
		e.aluRR(aluOr, true, RAX, RCX)
		e.put(in.Dst, RAX)
	case ir.Load:
		e.load(in)
	case ir.Store:
		e.store(in)
	case ir.AmoSwap, ir.AmoAdd, ir.AmoAnd, ir.AmoOr, ir.AmoXor, ir.AmoCas,
		ir.AmoMin, ir.AmoMax, ir.AmoMinU, ir.AmoMaxU:
		e.amo(in)
	case ir.LoadReserved:
		e.loadReserved(in)
	case ir.StoreConditional:
		e.storeConditional(in)
	case ir.Barrier:
		// The host does all in order, but that a load may pass an earlier store.
		if ir.Order(in.Imm)&ir.WriteRead != 0 {
			e.barrier()
		}
	case ir.Branch:
		e.compare(in.A, in.B, 0, false)
		e.sides = append(e.sides, side{e.jcc(branchCond[in.Cond]), in.Target, int32(e.blk.Count) - int32(in.Index) - 1})
	case ir.Jump:
		if isLink(in.Dst) {
			e.leaPage(RAX, int32(in.Imm))
			e.put(in.Dst, RAX)
			e.calls(RAX, int32(in.Imm))
		} else {
			e.returnTo(in.Dst, int32(in.Imm), RAX)
		}
		e.goTo(in.Target, false, 0)
	case ir.JumpReg:
		e.jumpTarget(in)
		e.indirect(in)
	default:
		if !e.float(in) && !e.system(in) {
			e.callSlow(in.Index)
		}
	}
}

var branchCond = [...]cond{ir.EQ: ccE, ir.NE: ccNE, ir.LT: ccL, ir.GE: ccGE, ir.LTU: ccB, ir.GEU: ccAE}

// returnTo makes r, unless x0, the address at an offset.
func (e *Emitter) returnTo(r ir.Reg, off int32, tmp Reg) {
	if r != 0 {
		d := e.dst2(r, tmp)
		e.leaPage(d, off)
		e.put(r, d)
	}
}

// jumpTarget puts where a JumpReg leads into RAX, and does the rest of it.
func (e *Emitter) jumpTarget(in *ir.Inst) {
	e.get(RAX, in.A)
	if in.Imm != 0 {
		e.aluRI(aluAdd, true, RAX, int32(in.Imm))
	}
	e.aluRI(aluAnd, true, RAX, -2)
	e.returnTo(in.Dst, in.Target, RCX)
}

// reg is the host register that holds r: its home, or else tmp.
func (e *Emitter) reg(r ir.Reg, tmp Reg) Reg {
	if h := e.home[r]; h != noHome {
		return h
	}
	e.get(tmp, r)
	return tmp
}

// get copies r.
func (e *Emitter) get(dst Reg, r ir.Reg) {
	switch h := e.home[r]; {
	case r == 0:
		e.movRI(dst, 0)
	case h != noHome:
		e.movRR(dst, h)
	default:
		e.movRM(dst, e.l.x(r))
	}
}

// get32 copies the low half of r and clears the upper half.
func (e *Emitter) get32(dst Reg, r ir.Reg) {
	switch h := e.home[r]; {
	case r == 0:
		e.movRI(dst, 0)
	case h != noHome:
		e.mov32RR(dst, h)
	default:
		e.mov32RM(dst, e.l.x(r))
	}
}

// dst is where to compute r, for put to finish.
func (e *Emitter) dst(r ir.Reg) Reg { return e.dst2(r, RAX) }

func (e *Emitter) dst2(r ir.Reg, tmp Reg) Reg {
	if h := e.home[r]; h != noHome {
		return h
	}
	return tmp
}

// put makes r what d holds.
func (e *Emitter) put(r ir.Reg, d Reg) {
	switch h := e.home[r]; {
	case r == 0:
	case h != noHome:
		e.movRR(h, d)
	default:
		e.movMR(e.l.x(r), d)
	}
}

func (e *Emitter) setConst(r ir.Reg, v int64) {
	if e.home[r] == noHome && v == int64(int32(v)) {
		e.movMI(true, e.l.x(r), int32(v))
		return
	}
	d := e.dst(r)
	e.movRI(d, v)
	e.put(r, d)
}

// aluR is dst = dst o r, r being a guest register.
func (e *Emitter) aluR(o alu, w bool, dst Reg, r ir.Reg) {
	switch h := e.home[r]; {
	case r == 0:
		e.aluRI(o, w, dst, 0)
	case h != noHome:
		e.aluRR(o, w, dst, h)
	default:
		e.aluRM(o, w, dst, e.l.x(r))
	}
}

// add makes moves of additions of zero, and uses lea.
func (e *Emitter) add(in *ir.Inst, word, imm bool) {
	a, b := in.A, in.B
	if !imm && a == 0 {
		a, b = b, a
	}
	d := e.dst(in.Dst)
	switch {
	case imm && a == 0:
		e.setConst(in.Dst, in.Imm)
		return
	case (imm && in.Imm == 0 || !imm && b == 0) && word:
		if h := e.home[a]; h != noHome {
			e.movsxd(d, h)
		} else if a == 0 {
			e.movRI(d, 0)
		} else {
			e.rm(wide(0x63), d, e.l.x(a))
		}
	case imm && in.Imm == 0 || !imm && b == 0:
		e.get(d, a)
	case imm && a == in.Dst && !word:
		if d == RAX {
			e.aluMI(aluAdd, true, e.l.x(a), int32(in.Imm))
			return
		}
		e.aluRI(aluAdd, true, d, int32(in.Imm))
	case imm && e.home[a] != noHome:
		e.rm(op{code: 0x8d, w: !word}, d, at(e.home[a], int32(in.Imm)))
		if word && in.Flags&ir.Loose == 0 {
			e.movsxd(d, d)
		}
	case !imm && e.home[a] != noHome && e.home[b] != noHome && a != in.Dst && b != in.Dst:
		e.rm(op{code: 0x8d, w: !word}, d, mem{e.home[a], e.home[b], 0, 0})
		if word && in.Flags&ir.Loose == 0 {
			e.movsxd(d, d)
		}
	default:
		in := *in
		in.A, in.B = a, b
		e.binary(&in, aluAdd, word, imm)
		return
	}
	e.put(in.Dst, d)
}

func (e *Emitter) binary(in *ir.Inst, o alu, word, imm bool) {
	a, b := in.A, in.B
	d := e.dst(in.Dst)
	if !imm && b == in.Dst && a != b {
		if o != aluSub {
			a, b = b, a
		} else {
			d = RAX
		}
	}
	e.get(d, a)
	if imm {
		e.aluRI(o, !word, d, int32(in.Imm))
	} else {
		e.aluR(o, !word, d, b)
	}
	if word && in.Flags&ir.Loose == 0 {
		e.movsxd(d, d)
	}
	e.put(in.Dst, d)
}

func (e *Emitter) shift(in *ir.Inst, o shift, word, imm bool) {
	d := e.dst(in.Dst)
	if imm {
		e.get(d, in.A)
		mask := uint8(63)
		if word {
			mask = 31
		}
		n := uint8(in.Imm) & mask
		if n != 0 || word {
			e.shiftRI(o, !word, d, n)
		}
		if o == shr && n != 0 { // not negative as a word
			word = false
		}
	} else {
		e.get32(RCX, in.B)
		e.get(d, in.A)
		e.shiftCL(o, !word, d)
	}
	if word && in.Flags&ir.Loose == 0 {
		e.movsxd(d, d)
	}
	e.put(in.Dst, d)
}

func (e *Emitter) cmov(c cond, dst, src Reg) { e.rr(wide(0x0f40|uint32(c)), dst, src) }

// compare sets the flags of A - B.
func (e *Emitter) compare(a, b ir.Reg, v int64, imm bool) {
	ha := e.home[a]
	switch {
	case imm || b == 0:
		switch {
		case ha != noHome && v == 0:
			e.rr(wide(0x85), ha, ha)
		case ha != noHome:
			e.aluRI(aluCmp, true, ha, int32(v))
		case a == 0:
			e.movRI(RAX, 0)
			e.aluRI(aluCmp, true, RAX, int32(v))
		default:
			e.aluMI(aluCmp, true, e.l.x(a), int32(v))
		}
	case ha == noHome && a != 0 && e.home[b] != noHome:
		e.aluMR(aluCmp, true, e.l.x(a), e.home[b])
	default:
		e.aluR(aluCmp, true, e.reg(a, RAX), b)
	}
}

func (e *Emitter) mul(in *ir.Inst, word bool) {
	switch in.Op {
	case ir.Mul:
		a, b := in.A, in.B
		if b == in.Dst {
			a, b = b, a // so that the other is still there
		}
		r := e.reg(b, RCX)
		d := e.dst(in.Dst)
		e.get(d, a)
		if a == b {
			r = d
		}
		e.rr(op{code: 0x0faf, w: !word}, d, r)
		if word && in.Flags&ir.Loose == 0 {
			e.movsxd(d, d)
		}
		e.put(in.Dst, d)
		return
	case ir.MulH:
		e.get(RAX, in.A)
		e.rr(wide(0xf7), 5, e.reg(in.B, RCX)) // imul
	case ir.MulHU:
		e.get(RAX, in.A)
		e.rr(wide(0xf7), 4, e.reg(in.B, RCX)) // mul
	case ir.MulHSU: // the unsigned product, less b if a is negative
		e.get(RAX, in.A)
		e.get(RCX, in.B)
		e.rr(wide(0xf7), 4, RCX)
		e.get(RAX, in.A)
		e.shiftRI(sar, true, RAX, 63)
		e.aluRR(aluAnd, true, RAX, RCX)
		e.aluRR(aluSub, true, RDX, RAX)
	}
	e.put(in.Dst, RDX)
}

// div avoids what makes the host trap: division by zero gives all ones and
// leaves the dividend, the most negative number over -1 is itself.
func (e *Emitter) div(in *ir.Inst, w bool) {
	signed := in.Op == ir.Div || in.Op == ir.Rem
	rem := in.Op == ir.Rem || in.Op == ir.RemU
	e.get(RCX, in.B)
	e.get(RAX, in.A)
	var odd int
	if signed {
		e.rm(op{code: 0x8d, w: w}, RDX, at(RCX, 1)) // -1 and 0 are at most 1 now
		e.aluRI(aluCmp, w, RDX, 1)
		odd = e.jcc(ccBE)
		if w {
			e.byte(0x48)
		}
		e.byte(0x99) // cqo, cdq
		e.rr(op{code: 0xf7, w: w}, 7, RCX)
	} else {
		e.rr(op{code: 0x85, w: w}, RCX, RCX)
		odd = e.jcc(ccE)
		e.movRI(RDX, 0)
		e.rr(op{code: 0xf7, w: w}, 6, RCX)
	}
	if rem {
		e.movRR(RAX, RDX)
	}
	done := e.pos()
	if !w {
		e.movsxd(RAX, RAX)
	}
	e.put(in.Dst, RAX)
	e.colds = append(e.colds, func() {
		e.here(odd)
		switch {
		case signed && rem:
			e.rr(op{code: 0x85, w: w}, RCX, RCX)
			e.patch(e.jcc(ccE), done)
			e.movRI(RAX, 0)
		case signed:
			e.rr(op{code: 0xf7, w: w}, 3, RAX) // neg
			e.rr(op{code: 0x85, w: w}, RCX, RCX)
			e.patch(e.jcc(ccNE), done)
			e.movRI(RAX, -1)
		case !rem:
			e.movRI(RAX, -1)
		}
		e.patch(e.jmp(), done)
	})
}

func (e *Emitter) bit(in *ir.Inst, imm bool) {
	e.get(RAX, in.A)
	if in.Op == ir.BitExt {
		if imm {
			e.shiftRI(shr, true, RAX, uint8(in.Imm&63))
		} else {
			e.get32(RCX, in.B)
			e.shiftCL(shr, true, RAX)
		}
		e.aluRI(aluAnd, false, RAX, 1)
		e.put(in.Dst, RAX)
		return
	}
	n := Reg(6) // btr
	switch in.Op {
	case ir.BitSet:
		n = 5 // bts
	case ir.BitInv:
		n = 7 // btc
	}
	if imm {
		e.rr(wide(0x0fba), n, RAX)
		e.byte(uint8(in.Imm & 63))
	} else {
		e.rr(wide(0x0f83|uint32(n)<<3), e.reg(in.B, RCX), RAX)
	}
	e.put(in.Dst, RAX)
}
