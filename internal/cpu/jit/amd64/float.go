package amd64

import "doppel/internal/cpu/jit/ir"

// Floating point is SSE4.2 and FMA3. XMM0 to XMM2 are free, the others hold
// copies of guest registers (fregs). Exceptions are masked and their flags
// gather in MXCSR, whose rounding mode is frm's; the engine takes the flags
// when code is left. What differs from the host is mended out of line, or goes
// to the interpreter: NaN results are canonical (unpriv §21.3), singles are
// NaN-boxed (§21.2), conversions that overflow saturate (§21.7).
const (
	xmm0 Reg = iota
	xmm1
	xmm2
)

const (
	canonical64 = 0x7ff8_0000_0000_0000
	canonical32 = ^int64(0xffff_ffff) | 0x7fc0_0000
)

func canonical(size uint8) int64 {
	if size == 4 {
		return canonical32
	}
	return canonical64
}

const defaultMXCSR = 0x1f80 // to nearest, all exceptions masked, no flags

// scalar is an SSE operation on a double or a single.
func scalar(code uint32, size uint8) op {
	if size == 4 {
		return op{code: 0x0f00 | code, prefix: 0xf3}
	}
	return op{code: 0x0f00 | code, prefix: 0xf2}
}

// packed is one of those whose prefix is 0x66 for doubles.
func packed(code uint32, size uint8) op {
	if size == 4 {
		return op{code: 0x0f00 | code}
	}
	return op{code: 0x0f00 | code, prefix: 0x66}
}

// fpMoves leaves to the interpreter unless registers may be moved, which
// writes of CSRs alone change.
func (e *Emitter) fpMoves() (slow []int) {
	if e.fp.moves || e.fp.armed {
		return nil
	}
	e.fp.moves = true
	e.aluMI(aluCmp, false, at(state, e.l.FPMoves), 0)
	return []int{e.jcc(ccE)}
}

// fpArm is fpMoves for what rounds or raises flags: MXCSR must be the guest's.
// The engine makes it that again when it resumes a block.
func (e *Emitter) fpArm(n int) {
	if e.fp.armed {
		return
	}
	e.fp.armed = true
	e.aluMI(aluCmp, false, at(state, e.l.FPUsed), 0)
	arm := e.jcc(ccE)
	back := e.pos()
	e.colds = append(e.colds, func() {
		e.here(arm)
		e.aluMI(aluCmp, false, at(state, e.l.FPOn), 0)
		e.slows[n].from = append(e.slows[n].from, e.jcc(ccE))
		e.ldmxcsr(e.fpClean())
		e.movMI(false, at(state, e.l.FPUsed), 1)
		e.patch(e.jmp(), back)
	})
}

// checkBoxed leads to the stub that odd is for unless all of rs hold singles.
func (e *Emitter) checkBoxed(size uint8, rs ...ir.Reg) (odd []int) {
	if size != 4 {
		return nil
	}
	for _, r := range rs {
		if e.fp.boxed>>(r-ir.F0)&1 != 0 {
			continue
		}
		e.fp.setBoxed(r, 4)
		e.aluMI(aluCmp, false, e.l.fHigh(r), -1)
		odd = append(odd, e.jcc(ccNE))
	}
	return odd
}

// putCanonical makes r what xmm0 holds, or the canonical NaN for any NaN.
func (e *Emitter) putCanonical(size uint8, r ir.Reg) {
	e.rr(packed(0x2e, size), xmm0, xmm0) // ucomis
	nan := e.jcc(ccP)
	done := e.pos()
	e.xput(r, size, xmm0)
	e.colds = append(e.colds, func() {
		e.here(nan)
		e.loadCanonical(size)
		e.patch(e.jmp(), done)
	})
}

// loadCanonical makes xmm0 the canonical NaN.
func (e *Emitter) loadCanonical(size uint8) {
	e.movRI(RAX, canonical(size))
	e.movqTo(xmm0, RAX)
}

func (a *asm) movqTo(dst, general Reg) { a.rr(op{code: 0x0f6e, prefix: 0x66, w: true}, dst, general) }

// movFrom copies the low bytes of an XMM register.
func (a *asm) movFrom(general, src Reg, size uint8) {
	a.rr(op{code: 0x0f7e, prefix: 0x66, w: size == 8}, src, general)
}

// float emits a floating-point Inst, or returns false if it has no form here.
func (e *Emitter) float(in *ir.Inst) bool {
	switch in.Op {
	case ir.FCSRRead, ir.FCSRWrite, ir.FCSRSet, ir.FCSRClear:
		e.fcsrAccess(in)
		return true
	}
	if in.Op < ir.FAdd {
		return false
	}
	n := e.leaving()
	var odd []int
	switch in.Op {
	case ir.FLoad, ir.FStore, ir.FSgnj, ir.FSgnjN, ir.FSgnjX, ir.FToX, ir.FFromX, ir.FConst, ir.FClass:
		odd = append(e.fpMoves(), e.floatMove(in)...)
	case ir.FToI:
		e.fpArm(n)
		odd = e.checkBoxed(in.Size, in.A)
		e.toInt(in)
	case ir.FToU:
		e.fpArm(n)
		odd = e.checkBoxed(in.Size, in.A)
		odd = append(odd, e.toUnsigned(in, n)...)
	default:
		e.fpArm(n)
		e.inMode(in.Round, func() { odd = e.floatArith(in) })
	}
	e.slows[n].from = append(e.slows[n].from, odd...)
	return true
}

// leaving makes a stub that has the interpreter execute the current instruction
// and does not go on in the block: what it has found out may not hold any more.
func (e *Emitter) leaving(from ...int) (n int) {
	e.slows = append(e.slows, stub{from: e.keep(from), index: e.cur.Index, leave: true, next: e.cur.Target})
	return len(e.slows) - 1
}

// floatArith emits what rounds or raises flags.
func (e *Emitter) floatArith(in *ir.Inst) (odd []int) {
	size := in.Size
	switch in.Op {
	case ir.FAdd, ir.FSub, ir.FMul, ir.FDiv:
		odd = e.checkBoxed(size, in.A, in.B)
		b := e.xget(in.B, size)
		e.xcopy(xmm0, in.A, size)
		code := [...]uint32{0x58, 0x5c, 0x59, 0x5e}[in.Op-ir.FAdd]
		e.rr(scalar(code, size), xmm0, b)
		e.putCanonical(size, in.Dst)
	case ir.FSqrt:
		odd = e.checkBoxed(size, in.A)
		e.xcopy(xmm0, in.A, size)
		e.rr(scalar(0x51, size), xmm0, xmm0)
		e.putCanonical(size, in.Dst)
	case ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd:
		odd = e.checkBoxed(size, in.A, in.B, in.C)
		e.fma(in)
	case ir.FMin, ir.FMax, ir.FMinM, ir.FMaxM:
		odd = e.checkBoxed(size, in.A, in.B)
		e.minMax(in)
	case ir.FEq, ir.FLt, ir.FLe, ir.FLtQ, ir.FLeQ:
		odd = e.checkBoxed(size, in.A, in.B)
		odd = append(odd, e.floatCompare(in)...)
	case ir.FFromI, ir.FFromU:
		e.fromInt(in)
	case ir.FToF:
		odd = e.checkBoxed(12-size, in.A)
		e.xcopy(xmm0, in.A, 12-size)
		e.rr(scalar(0x5a, 12-size), xmm0, xmm0)
		e.putCanonical(size, in.Dst)
	case ir.FRound, ir.FRoundNX:
		odd = e.checkBoxed(size, in.A)
		mode := uint8(4) // MXCSR's
		if in.Op == ir.FRound {
			mode |= 8 // does not raise NX
		}
		e.roundHost(size, xmm0, e.xget(in.A, size), mode)
		e.putCanonical(size, in.Dst)
	}
	return odd
}

// fma: unpriv §21.6: infinity times zero is invalid even if a quiet NaN is
// added, which x86 does not say.
func (e *Emitter) fma(in *ir.Inst) {
	size := in.Size
	b, c := e.xget(in.B, size), e.xget(in.C, size)
	e.xcopy(xmm0, in.A, size)
	// vfmadd213, vfmsub213, vfnmadd213, vfnmsub213. RISC-V's FNMSUB is what
	// x86 calls fnmadd: -(a*b)+c.
	code := [...]byte{0xa9, 0xab, 0xad, 0xaf}[in.Op-ir.FMAdd]
	e.fma213(code, size, xmm0, b, c)
	e.rr(packed(0x2e, size), xmm0, xmm0)
	nan := e.jcc(ccP)
	done := e.pos()
	e.xput(in.Dst, size, xmm0)
	e.colds = append(e.colds, func() {
		e.here(nan)
		ma, mb := e.l.f(in.A), e.l.f(in.B)
		if size == 4 {
			e.mov32RM(RAX, ma)
			e.mov32RM(RCX, mb)
			e.shiftRI(shl, true, RAX, 33)
			e.shiftRI(shl, true, RCX, 33)
		} else {
			e.movRM(RAX, ma)
			e.movRM(RCX, mb)
			e.aluRR(aluAdd, true, RAX, RAX)
			e.aluRR(aluAdd, true, RCX, RCX)
		}
		e.callRoutine(e.r.zeroTimesInf[size>>3])
		e.loadCanonical(size)
		e.patch(e.jmp(), done)
	})
}

// fma213 is dst = dst*b+c, or as the opcode says.
func (a *asm) fma213(code, size uint8, dst, b, c Reg) {
	w := byte(0)
	if size == 8 {
		w = 0x80
	}
	a.byte(0xc4, 0x42|^byte(dst>>3)<<7&0x80|^byte(c>>3)<<5&0x20, w|^byte(b)&15<<3|1, code, 0xc0|byte(dst&7)<<3|byte(c&7))
}

// zeroTimesInf is the routine that raises NV if one of RAX and RCX is zero and
// the other infinity; both lack their sign and begin at the top.
func (e *Emitter) zeroTimesInf(size uint8) {
	inf := int64(-0x20_0000_0000_0000) // 0x7ff0 << 1
	if size == 4 {
		inf = -0x100_0000_0000_0000 // 0xff at the top
	}
	e.movRR(RDX, RAX)
	e.aluRR(aluOr, true, RDX, RCX)
	e.rr(wide(0x85), RAX, RAX)
	zero := e.jcc(ccE)
	e.rr(wide(0x85), RCX, RCX)
	neither := e.jcc(ccNE)
	e.here(zero)
	e.movRI(RAX, inf)
	e.aluRR(aluCmp, true, RAX, RDX)
	other := e.jcc(ccNE)
	e.aluMI(aluOr, false, at(state, e.l.FFlags), 1<<4)
	e.here(neither, other)
	e.byte(0xc3)
}

// minMax: equal operands are the same but for the sign of zero, where the
// smaller is -0; of a number and a NaN the number is the result (unpriv
// §21.6).
func (e *Emitter) minMax(in *ir.Inst) {
	size := in.Size
	e.xcopy(xmm1, in.B, size)
	e.xcopy(xmm0, in.A, size)
	e.rr(packed(0x2e, size), xmm0, xmm1)
	nan := e.jcc(ccP)
	equal := e.jcc(ccE)
	code, bits := uint32(0x5d), uint32(0x56) // min, or
	if in.Op == ir.FMax || in.Op == ir.FMaxM {
		code, bits = 0x5f, 0x54 // max, and
	}
	e.rr(scalar(code, size), xmm0, xmm1)
	done := e.pos()
	e.xput(in.Dst, size, xmm0)
	e.colds = append(e.colds, func() {
		e.here(equal)
		e.rr(packed(bits, size), xmm0, xmm1)
		e.patch(e.jmp(), done)
		e.here(nan)
		if in.Op == ir.FMin || in.Op == ir.FMax {
			// One of the two at least; comparing a quiet NaN raises nothing,
			// and a signaling one has already raised NV.
			e.rr(packed(0x2e, size), xmm1, xmm1)
			b := e.jcc(ccP)
			e.movaps(xmm0, xmm1)
			e.patch(e.jmp(), done)
			e.here(b)
			e.rr(packed(0x2e, size), xmm0, xmm0)
			e.patch(e.jcc(ccNP), done)
		}
		e.loadCanonical(size)
		e.patch(e.jmp(), done)
	})
}

// floatCompare: what a comparison raises, other than for NaNs, is nothing.
func (e *Emitter) floatCompare(in *ir.Inst) (odd []int) {
	size := in.Size
	code := uint32(0x2e) // ucomis
	if in.Op == ir.FLt || in.Op == ir.FLe {
		code = 0x2f // comis: quiet NaNs raise NV
	}
	a, b := e.xget(in.A, size), e.xget(in.B, size)
	e.rr(packed(code, size), b, a)
	if in.Flags&ir.Undone != 0 {
		odd = append(odd, e.jcc(ccP)) // see fcsrAccess
	}
	switch in.Op {
	case ir.FEq:
		e.setcc(ccNP, RAX)
		e.setcc(ccE, RCX)
		e.aluRR(aluAnd, false, RAX, RCX)
	case ir.FLt, ir.FLtQ: // a < b is b above a, which unordered is not
		e.setcc(ccA, RAX)
	case ir.FLe, ir.FLeQ:
		e.setcc(ccAE, RAX)
	}
	d := e.dst(in.Dst)
	e.zeroExtend8(d, RAX)
	e.put(in.Dst, d)
	return odd
}

// floatMove emits what neither rounds nor raises flags.
func (e *Emitter) floatMove(in *ir.Inst) (odd []int) {
	size := in.Size
	w := size == 8
	switch in.Op {
	case ir.FLoad:
		m, check := e.place(in)
		e.rm(scalar(0x10, size), xmm0, m)
		e.xput(in.Dst, size, xmm0)
		e.slowAccess(check)
	case ir.FStore:
		m, check := e.place(in)
		if x, ok := e.xcached(in.B, size); ok {
			e.rm(scalar(0x11, size), x, m)
		} else {
			e.rm(op{code: 0x8b, w: w}, RCX, e.l.f(in.B))
			e.rm(op{code: 0x89, w: w}, RCX, m)
		}
		e.slowAccess(check)
	case ir.FToX:
		d := e.dst(in.Dst)
		x, ok := e.xcached(in.A, size)
		switch {
		case ok:
			e.movFrom(d, x, size)
			if !w {
				e.movsxd(d, d)
			}
		case w:
			e.movRM(d, e.l.f(in.A))
		default:
			e.rm(wide(0x63), d, e.l.f(in.A))
		}
		e.put(in.Dst, d)
	case ir.FFromX:
		e.movqTo(xmm0, e.reg(in.A, RAX))
		e.xput(in.Dst, size, xmm0)
	case ir.FConst:
		e.movRI(RAX, in.Imm)
		e.movqTo(xmm0, RAX)
		e.xput(in.Dst, size, xmm0)
	case ir.FClass:
		odd = e.checkBoxed(size, in.A)
		e.movRM(RAX, e.l.f(in.A))
		if size == 4 {
			e.shiftRI(shl, true, RAX, 32)
		}
		e.callRoutine(e.r.class[size>>3])
		e.put(in.Dst, RAX)
	default:
		odd = e.sign(in)
	}
	return odd
}

func (e *Emitter) sign(in *ir.Inst) (odd []int) {
	size := in.Size
	signs, rest := e.r.sign64, e.r.rest64
	if size == 4 {
		signs, rest = e.r.sign32, e.r.rest32
	}
	const and, or, xor = 0x0f54, 0x0f56, 0x0f57
	odd = e.checkBoxed(size, in.A, in.B)
	e.xcopy(xmm0, in.A, size)
	switch {
	case in.A == in.B && in.Op == ir.FSgnjN:
		e.shared(op{code: xor}, xmm0, signs)
	case in.A == in.B && in.Op == ir.FSgnjX:
		e.shared(op{code: and}, xmm0, rest)
	case in.A != in.B:
		e.xcopy(xmm1, in.B, size)
		if in.Op == ir.FSgnjN {
			e.shared(op{code: xor}, xmm1, signs)
		}
		e.shared(op{code: and}, xmm1, signs)
		if in.Op == ir.FSgnjX {
			e.rr(op{code: xor}, xmm0, xmm1)
		} else {
			e.shared(op{code: and}, xmm0, rest)
			e.rr(op{code: or}, xmm0, xmm1)
		}
	}
	e.xput(in.Dst, size, xmm0)
	return odd
}
