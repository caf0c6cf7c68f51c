package arm64

import "doppel/internal/cpu/jit/ir"

// one emits an Inst.
func (e *Emitter) one(in *ir.Inst) {
	word := in.Flags&ir.Word != 0
	imm := in.Flags&ir.Immediate != 0
	d := e.dst(in.Dst)
	switch in.Op {
	case ir.Nop:
		return
	case ir.Const:
		e.movI(d, in.Imm)
	case ir.PC:
		e.leaPage(d, in.Imm)
	case ir.Add, ir.Sub, ir.And, ir.Or, ir.Xor:
		e.binary(in, d, word, imm)
	case ir.AndNot, ir.OrNot, ir.XorNot:
		code := [...]uint32{opBic, opOrn, opEon}[in.Op-ir.AndNot]
		e.rrr(code, true, d, e.reg(in.A, X0), e.reg(in.B, X1))
	case ir.Shl, ir.Shr, ir.Sar, ir.Rol, ir.Ror:
		e.shift(in, d, word, imm)
	case ir.Slt, ir.Sltu:
		e.compare(in.A, in.B, in.Imm, imm)
		c := lt
		if in.Op == ir.Sltu {
			c = lo
		}
		e.cset(d, c)
	case ir.Min, ir.Max, ir.MinU, ir.MaxU:
		a, b := e.reg(in.A, X0), e.reg(in.B, X1)
		e.cmp(true, a, b)
		e.csel(true, d, a, b, [...]cond{lt, gt, lo, hi}[in.Op-ir.Min])
	case ir.Mul, ir.MulH, ir.MulHSU, ir.MulHU:
		e.mul(in, d, word)
	case ir.Div, ir.DivU, ir.Rem, ir.RemU:
		e.div(in, d, !word)
	case ir.ShlAdd:
		e.shifted(opAdd, true, d, e.reg(in.B, X1), e.reg(in.A, X0), lsl, uint8(in.Imm))
	case ir.ZextAdd:
		if in.B == 0 {
			e.ubfiz(d, e.reg(in.A, X0), uint8(in.Imm), 32)
		} else {
			e.addUXTW(d, e.reg(in.B, X1), e.reg(in.A, X0), uint8(in.Imm))
		}
	case ir.ZextShl:
		n := uint8(in.Imm & 63)
		e.ubfiz(d, e.reg(in.A, X0), n, min(32, 64-n))
	case ir.BitClr, ir.BitExt, ir.BitInv, ir.BitSet:
		e.bit(in, d, imm)
	case ir.ZeroIfZero, ir.ZeroIfNonzero:
		c := eq
		if in.Op == ir.ZeroIfNonzero {
			c = ne
		}
		e.cmp(true, e.reg(in.B, X1), ZR)
		e.csel(true, d, ZR, e.reg(in.A, X0), c)
	case ir.Clz:
		e.clz(!word, d, e.reg(in.A, X0))
	case ir.Ctz:
		e.rbit(!word, X1, e.reg(in.A, X0))
		e.clz(!word, d, X1)
	case ir.Popcnt:
		size := uint8(8)
		if word {
			size = 4
		}
		e.fmovF(size, V0, e.reg(in.A, X0))
		e.cnt(V0, V0)
		e.addv(V0, V0)
		e.fmovX(4, d, V0)
	case ir.SextB:
		e.sbfx(true, d, e.reg(in.A, X0), 0, 8)
	case ir.SextH:
		e.sbfx(true, d, e.reg(in.A, X0), 0, 16)
	case ir.ZextH:
		e.ubfx(true, d, e.reg(in.A, X0), 0, 16)
	case ir.Pack:
		if word {
			e.ubfx(true, X2, e.reg(in.A, X0), 0, 16)
			e.shifted(opOrr, false, X2, X2, e.reg(in.B, X1), lsl, 16)
			e.sxtw(d, X2)
		} else {
			e.mov32(X2, e.reg(in.A, X0))
			e.shifted(opOrr, true, d, X2, e.reg(in.B, X1), lsl, 32)
		}
	case ir.PackBytes:
		e.ubfx(true, X2, e.reg(in.A, X0), 0, 8)
		e.ubfx(true, X1, e.reg(in.B, X1), 0, 8)
		e.shifted(opOrr, true, d, X2, X1, lsl, 8)
	case ir.RevBits:
		e.fmovF(8, V0, e.reg(in.A, X0))
		e.rbitV(V0, V0)
		e.fmovX(8, d, V0)
	case ir.ByteSwap:
		e.rev(d, e.reg(in.A, X0))
	case ir.OrBytes:
		e.fmovF(8, V0, e.reg(in.A, X0))
		e.cmtst(V0, V0, V0)
		e.fmovX(8, d, V0)
	case ir.Load:
		e.load(in)
		return
	case ir.Store:
		e.store(in)
		return
	case ir.AmoSwap, ir.AmoAdd, ir.AmoAnd, ir.AmoOr, ir.AmoXor, ir.AmoCas, ir.AmoMin, ir.AmoMax, ir.AmoMinU, ir.AmoMaxU:
		e.amo(in)
		return
	case ir.LoadReserved:
		e.loadReserved(in)
		return
	case ir.StoreConditional:
		e.storeConditional(in)
		return
	case ir.Barrier:
		e.barrier(ir.Order(in.Imm))
		return
	case ir.Branch:
		from := e.branchIf(in, in.Cond)
		back := int32(e.blk.Count) - int32(in.Index) - 1
		if back == 0 && in.Target == e.blk.Start && !e.apart {
			e.patch(from, 0)
		} else {
			e.sides = append(e.sides, side{from, in.Target, back})
		}
		return
	case ir.Jump:
		if isLink(in.Dst) {
			e.leaPage(X0, in.Imm)
			e.put(in.Dst, X0)
			e.calls(X0, int32(in.Imm))
		} else {
			e.returnTo(in.Dst, in.Imm)
		}
		e.goTo(in.Target)
		return
	case ir.JumpReg:
		e.jumpTarget(in)
		e.indirect(in)
		return
	default:
		if !e.float(in) && !e.system(in) {
			e.singles = 0
			e.callSlow(in.Index)
		}
		return
	}
	e.put(in.Dst, d)
}

// branchIf branches where the registers of a Branch compare so.
func (e *Emitter) branchIf(in *ir.Inst, c ir.Cond) (from int) {
	imm := in.Flags&ir.Immediate != 0
	if zero := imm && in.Imm == 0 || !imm && in.B == 0; zero && c <= ir.NE {
		a := e.reg(in.A, X0)
		if c == ir.EQ {
			return e.cbz(true, a)
		}
		return e.cbnz(true, a)
	}
	e.compare(in.A, in.B, in.Imm, imm)
	return e.bc([...]cond{ir.EQ: eq, ir.NE: ne, ir.LT: lt, ir.GE: ge, ir.LTU: lo, ir.GEU: hs}[c])
}

// returnTo makes r, unless x0, the address at an offset. X0 is kept.
func (e *Emitter) returnTo(r ir.Reg, off int64) {
	if r != 0 {
		d := e.dst2(r, X1)
		e.leaPage(d, off)
		e.put(r, d)
	}
}

// jumpTarget puts where a JumpReg leads into X0, and does the rest of it.
func (e *Emitter) jumpTarget(in *ir.Inst) {
	if in.A == 0 {
		e.movI(X0, in.Imm)
	} else {
		e.addI(true, X0, e.reg(in.A, X0), in.Imm, X1)
	}
	e.logicalI(opAnd, true, X0, X0, -2, X1)
	e.returnTo(in.Dst, int64(in.Target))
}

// reg is the host register that holds r: its home, or else tmp.
func (e *Emitter) reg(r ir.Reg, tmp Reg) Reg {
	if h := e.home[r]; h != noHome {
		return h
	}
	e.field(load64, tmp, e.l.x(r))
	return tmp
}

// dst is where to compute r, for put to finish.
func (e *Emitter) dst(r ir.Reg) Reg { return e.dst2(r, X0) }

func (e *Emitter) dst2(r ir.Reg, tmp Reg) Reg {
	if r&31 != r || r == 0 || e.home[r] == noHome {
		return tmp
	}
	return e.home[r]
}

// put makes r what d holds.
func (e *Emitter) put(r ir.Reg, d Reg) {
	switch h := e.home[r]; {
	case r == 0:
	case h != noHome:
		e.mov(h, d)
	default:
		e.field(store64, d, e.l.x(r))
	}
}

func (e *Emitter) binary(in *ir.Inst, d Reg, word, imm bool) {
	switch code := [...]uint32{opAdd, opSub, opAnd, opOrr, opEor}[in.Op-ir.Add]; {
	case !imm:
		e.rrr(code, !word, d, e.reg(in.A, X0), e.reg(in.B, X1))
	case in.A == 0:
		e.movI(X1, in.Imm)
		e.rrr(code, !word, d, ZR, X1)
	case code == opAdd && in.Imm == 0 && word:
		e.sxtw(d, e.reg(in.A, X0))
		return
	case code == opAdd && in.Imm == 0:
		e.mov(d, e.reg(in.A, d))
	case code == opAdd:
		e.addI(!word, d, e.reg(in.A, X0), in.Imm, X1)
	case code == opSub:
		e.addI(!word, d, e.reg(in.A, X0), -in.Imm, X1)
	default:
		e.logicalI(code, !word, d, e.reg(in.A, X0), in.Imm, X1)
	}
	e.extendWord(in, d)
}

// extendWord makes the result of in, if that is one of 32 bits, a word.
func (e *Emitter) extendWord(in *ir.Inst, d Reg) {
	if in.Flags&ir.Word != 0 && in.Flags&ir.Loose == 0 {
		e.sxtw(d, d)
	}
}

func (e *Emitter) shift(in *ir.Inst, d Reg, word, imm bool) {
	a := e.reg(in.A, X0)
	if !imm {
		b := e.reg(in.B, X1)
		code := [...]uint32{opLslv, opLsrv, opAsrv, opRorv, opRorv}[in.Op-ir.Shl]
		if in.Op == ir.Rol {
			e.rrr(opSub, true, X1, ZR, b)
			b = X1
		}
		e.rrr(code, !word, d, a, b)
		e.extendWord(in, d)
		return
	}
	size := uint8(64)
	if word {
		size = 32
	}
	n := uint8(in.Imm) & (size - 1)
	switch in.Op {
	case ir.Shl: // a word's sign goes up with it
		e.sbfiz(d, a, n, size-n)
	case ir.Sar:
		e.sbfx(true, d, a, n, size-n)
	case ir.Shr:
		if word && n == 0 {
			e.sxtw(d, a)
		} else {
			e.ubfx(true, d, a, n, size-n)
		}
	default:
		if in.Op == ir.Rol {
			n = -n & (size - 1)
		}
		e.rorI(!word, d, a, n)
		if word {
			e.sxtw(d, d)
		}
	}
}

// compare sets the flags of A - B.
func (e *Emitter) compare(a, b ir.Reg, v int64, imm bool) {
	switch {
	case !imm:
		e.cmp(true, e.reg(a, X0), e.reg(b, X1))
	case a != 0 && v >= 0 && v < 1<<12:
		e.subsI(true, ZR, e.reg(a, X0), uint32(v))
	case a != 0 && v < 0 && v > -1<<12:
		e.cmnI(true, e.reg(a, X0), uint32(-v))
	default:
		e.movI(X1, v)
		e.cmp(true, e.reg(a, X0), X1)
	}
}

func (e *Emitter) mul(in *ir.Inst, d Reg, word bool) {
	a, b := e.reg(in.A, X0), e.reg(in.B, X1)
	switch in.Op {
	case ir.Mul:
		e.madd(!word, d, a, b, ZR)
		e.extendWord(in, d)
	case ir.MulH:
		e.rrr(opSmulh, true, d, a, b)
	case ir.MulHU:
		e.rrr(opUmulh, true, d, a, b)
	case ir.MulHSU: // the unsigned product, less b if a is negative
		e.rrr(opUmulh, true, X2, a, b)
		e.shifted(opAnd, true, X1, b, a, asr, 63)
		e.rrr(opSub, true, d, X2, X1)
	}
}

// div: the host gives zero for division by zero, where RISC-V has all ones, and
// agrees in the rest (unpriv §12.2).
func (e *Emitter) div(in *ir.Inst, d Reg, w bool) {
	a, b := e.reg(in.A, X0), e.reg(in.B, X1)
	code := uint32(opUdiv)
	if in.Op == ir.Div || in.Op == ir.Rem {
		code = opSdiv
	}
	e.rrr(code, w, X2, a, b)
	if in.Op == ir.Rem || in.Op == ir.RemU {
		e.msub(w, d, X2, b, a)
	} else {
		e.cmp(w, b, ZR)
		e.csinv(w, d, X2, ZR, ne)
	}
	if !w {
		e.sxtw(d, d)
	}
}

func (e *Emitter) bit(in *ir.Inst, d Reg, imm bool) {
	a := e.reg(in.A, X0)
	n := uint8(in.Imm & 63)
	if in.Op == ir.BitExt {
		if imm {
			e.ubfx(true, d, a, n, 1)
			return
		}
		e.rrr(opLsrv, true, X1, a, e.reg(in.B, X1))
		e.ubfx(true, d, X1, 0, 1)
		return
	}
	code := map[ir.Op]uint32{ir.BitClr: opBic, ir.BitInv: opEor, ir.BitSet: opOrr}[in.Op]
	if imm {
		e.movI(X2, 1<<n)
	} else {
		b := e.reg(in.B, X1)
		e.movI(X2, 1)
		e.rrr(opLslv, true, X2, X2, b)
	}
	e.rrr(code, true, d, a, X2)
}
