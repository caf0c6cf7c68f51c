package amd64

import (
	"math"

	"doppel/internal/cpu/jit/ir"
)

// Floating point is SSE2 and FMA3 in the rounding mode to nearest; XMM0 to XMM2
// are free, and the guest's registers are in memory. Exceptions are masked and
// their flags gather in MXCSR, from where the engine takes them when code is
// left. What differs from the host goes to the interpreter or is mended out of
// line: NaN results are canonical (unpriv §21.3), singles are NaN-boxed
// (§21.2), conversions that overflow saturate (§21.7).
const (
	xmm0 Reg = iota
	xmm1
	xmm2
)

const (
	canonical64 = 0x7ff8_0000_0000_0000
	canonical32 = ^int64(0xffff_ffff) | 0x7fc0_0000
)

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

// fpOn leaves to the interpreter unless floating point may run inline.
func (e *Emitter) fpOn() (slow int) {
	e.aluMI(aluCmp, false, at(state, e.l.FPOn), 0)
	return e.jcc(ccE)
}

// fpArm is fpOn for what raises flags: MXCSR must be the guest's.
func (e *Emitter) fpArm() (slow int) {
	e.aluMI(aluCmp, false, at(state, e.l.FPUsed), 0)
	// The slow path comes first out of line: MXCSR is armed but once.
	arm := e.jcc(ccE)
	back := e.pos()
	n := len(e.slows)
	e.slow() // resume is set when the Inst is complete
	e.colds = append(e.colds, func() {
		e.here(arm)
		e.aluMI(aluCmp, false, at(state, e.l.FPOn), 0)
		e.slows[n].from = append(e.slows[n].from, e.jcc(ccE))
		e.rm(op{code: 0x0fae}, 2, at(state, e.l.FPClean)) // ldmxcsr
		e.movMI(false, at(state, e.l.FPUsed), 1)
		e.patch(e.jmp(), back)
	})
	return n
}

// boxed leaves to the interpreter unless r holds a single.
func (e *Emitter) boxed(size uint8, rs ...ir.Reg) (slow []int) {
	if size != 4 {
		return nil
	}
	for i, r := range rs {
		if i > 0 && r == rs[i-1] {
			continue
		}
		m := e.l.f(r)
		m.disp += 4
		e.aluMI(aluCmp, false, m, -1)
		slow = append(slow, e.jcc(ccNE))
	}
	return slow
}

// box fills the upper half of a single.
func (e *Emitter) box(size uint8, r ir.Reg) {
	if size == 4 {
		m := e.l.f(r)
		m.disp += 4
		e.movMI(false, m, -1)
	}
}

// putF stores xmm0.
func (e *Emitter) putF(size uint8, r ir.Reg) {
	e.rm(scalar(0x11, size), xmm0, e.l.f(r))
	e.box(size, r)
}

// putCanonical stores xmm0, or the canonical NaN for any NaN.
func (e *Emitter) putCanonical(size uint8, r ir.Reg) {
	e.rr(packed(0x2e, size), xmm0, xmm0) // ucomis
	nan := e.jcc(ccP)
	e.putF(size, r)
	done := e.pos()
	e.colds = append(e.colds, func() {
		e.here(nan)
		v := int64(canonical64)
		if size == 4 {
			v = canonical32
		}
		e.movRI(RAX, v)
		e.movMR(e.l.f(r), RAX)
		e.patch(e.jmp(), done)
	})
}

// float emits a floating-point Inst, or returns false if it has no form here.
func (e *Emitter) float(in *ir.Inst) bool {
	size := in.Size
	switch in.Op {
	case ir.FLoad, ir.FStore, ir.FSgnj, ir.FSgnjN, ir.FSgnjX, ir.FToX, ir.FFromX:
		slow := []int{e.fpOn()}
		slow = append(slow, e.floatMove(in)...)
		e.slow(slow...)
		return true
	case ir.FAdd, ir.FSub, ir.FMul, ir.FDiv, ir.FSqrt, ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd,
		ir.FMin, ir.FMax, ir.FEq, ir.FLt, ir.FLe, ir.FToI, ir.FToU, ir.FFromI, ir.FFromU, ir.FToF:
	default:
		return false
	}
	n := e.fpArm()
	var slow []int
	switch in.Op {
	case ir.FAdd, ir.FSub, ir.FMul, ir.FDiv:
		slow = e.boxed(size, in.A, in.B)
		e.rm(scalar(0x10, size), xmm0, e.l.f(in.A))
		code := [...]uint32{0x58, 0x5c, 0x59, 0x5e}[in.Op-ir.FAdd]
		e.rm(scalar(code, size), xmm0, e.l.f(in.B))
		e.putCanonical(size, in.Dst)
	case ir.FSqrt:
		slow = e.boxed(size, in.A)
		e.rm(scalar(0x10, size), xmm0, e.l.f(in.A))
		e.rr(scalar(0x51, size), xmm0, xmm0)
		e.putCanonical(size, in.Dst)
	case ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd:
		slow = e.fma(in)
	case ir.FMin, ir.FMax:
		slow = e.minMax(in)
	case ir.FEq, ir.FLt, ir.FLe:
		slow = e.floatCompare(in)
	case ir.FToI, ir.FToU:
		slow = e.toInt(in)
	case ir.FFromI, ir.FFromU:
		slow = e.fromInt(in)
	case ir.FToF:
		slow = e.boxed(12-size, in.A)
		e.rm(scalar(0x10, 12-size), xmm0, e.l.f(in.A))
		e.rr(scalar(0x5a, 12-size), xmm0, xmm0)
		e.putCanonical(size, in.Dst)
	}
	s := &e.slows[n]
	s.from, s.resume = append(s.from, slow...), e.pos()
	return true
}

func (e *Emitter) fma(in *ir.Inst) (slow []int) {
	size := in.Size
	slow = e.boxed(size, in.A, in.B, in.C)
	e.rm(scalar(0x10, size), xmm0, e.l.f(in.A))
	e.rm(scalar(0x10, size), xmm1, e.l.f(in.B))
	e.rm(scalar(0x10, size), xmm2, e.l.f(in.C))
	// vfmadd213, vfmsub213, vfnmadd213, vfnmsub213 xmm0, xmm1, xmm2. RISC-V's
	// FNMSUB is what x86 calls fnmadd: -(a*b)+c.
	w := byte(0x71)
	if size == 8 {
		w = 0xf1
	}
	e.byte(0xc4, 0xe2, w, [...]byte{0xa9, 0xab, 0xad, 0xaf}[in.Op-ir.FMAdd], 0xc2)
	// unpriv §21.6: infinity times zero is invalid even if a quiet NaN is
	// added, which x86 does not say: the interpreter sorts NaNs out.
	e.rr(packed(0x2e, size), xmm0, xmm0)
	slow = append(slow, e.jcc(ccP))
	e.putF(size, in.Dst)
	return slow
}

// minMax: equal operands are the same but for the sign of zero, where the
// smaller is -0 (unpriv §21.6).
func (e *Emitter) minMax(in *ir.Inst) (slow []int) {
	size := in.Size
	slow = e.boxed(size, in.A, in.B)
	e.rm(scalar(0x10, size), xmm0, e.l.f(in.A))
	e.rm(scalar(0x10, size), xmm1, e.l.f(in.B))
	e.rr(packed(0x2e, size), xmm0, xmm1)
	slow = append(slow, e.jcc(ccP))
	equal := e.jcc(ccE)
	code, bits := uint32(0x5d), uint32(0x56) // min, or
	if in.Op == ir.FMax {
		code, bits = 0x5f, 0x54 // max, and
	}
	e.rr(scalar(code, size), xmm0, xmm1)
	done := e.pos()
	e.putF(size, in.Dst)
	e.colds = append(e.colds, func() {
		e.here(equal)
		e.rr(packed(bits, size), xmm0, xmm1)
		e.patch(e.jmp(), done)
	})
	return slow
}

func (e *Emitter) floatCompare(in *ir.Inst) (slow []int) {
	size := in.Size
	slow = e.boxed(size, in.A, in.B)
	e.rm(scalar(0x10, size), xmm0, e.l.f(in.B))
	switch in.Op {
	case ir.FEq: // quiet
		e.rm(packed(0x2e, size), xmm0, e.l.f(in.A))
		e.setcc(ccNP, RAX)
		e.setcc(ccE, RCX)
		e.aluRR(aluAnd, false, RAX, RCX)
	case ir.FLt: // a < b is b above a, which unordered is not
		e.rm(packed(0x2f, size), xmm0, e.l.f(in.A))
		e.setcc(ccA, RAX)
	case ir.FLe:
		e.rm(packed(0x2f, size), xmm0, e.l.f(in.A))
		e.setcc(ccAE, RAX)
	}
	e.zeroExtend8(RAX, RAX)
	e.put(in.Dst, RAX)
	return slow
}

// toInt converts where the host agrees. What overflows gives the host's
// "indefinite" integer, which is the interpreter's, as flags are the same:
// invalid. Unsigned conversions keep out what they would raise other flags for.
func (e *Emitter) toInt(in *ir.Inst) (slow []int) {
	size := in.Size
	word := in.Flags&ir.Word != 0
	code := uint32(0x2d)
	if in.Flags&ir.Truncate != 0 {
		code = 0x2c
	}
	slow = e.boxed(size, in.A)
	o := scalar(code, size)
	if in.Op == ir.FToU {
		limit := math.Ldexp(1, 63)
		switch {
		case word && in.Flags&ir.Truncate != 0:
			limit = math.Ldexp(1, 32)
		case word:
			limit = math.Ldexp(1, 31) // rounding does not lead beyond 32 bits
		}
		// As integers the bits of numbers from 0 are in order, and negative
		// ones and NaNs are above.
		if size == 8 {
			e.movRI(RCX, int64(math.Float64bits(limit)))
			e.aluMR(aluCmp, true, e.l.f(in.A), RCX)
		} else {
			e.aluMI(aluCmp, false, e.l.f(in.A), int32(math.Float32bits(float32(limit))))
		}
		slow = append(slow, e.jcc(ccAE))
		o.w = true
		e.rm(o, RAX, e.l.f(in.A))
	} else {
		o.w = !word
		e.rm(o, RAX, e.l.f(in.A))
		if word {
			e.aluRI(aluCmp, false, RAX, math.MinInt32)
		} else {
			e.movRI(RCX, math.MinInt64)
			e.aluRR(aluCmp, true, RAX, RCX)
		}
		slow = append(slow, e.jcc(ccE))
	}
	if word {
		e.movsxd(RAX, RAX)
	}
	e.put(in.Dst, RAX)
	return slow
}

func (e *Emitter) fromInt(in *ir.Inst) (slow []int) {
	word := in.Flags&ir.Word != 0
	o := scalar(0x2a, in.Size)
	o.w = true
	switch {
	case word && in.Op == ir.FFromI:
		e.get32(RAX, in.A)
		o.w = false
	case word:
		e.get32(RAX, in.A)
	default:
		e.get(RAX, in.A)
		if in.Op == ir.FFromU {
			e.rr(wide(0x85), RAX, RAX)
			slow = append(slow, e.jcc(ccS))
		}
	}
	e.rr(op{code: 0x0f57}, xmm0, xmm0) // xorps: no dependence on what it held
	e.rr(o, xmm0, RAX)
	e.putF(in.Size, in.Dst)
	return slow
}

// floatMove emits what neither rounds nor raises flags.
func (e *Emitter) floatMove(in *ir.Inst) (slow []int) {
	size := in.Size
	w := size == 8
	switch in.Op {
	case ir.FLoad:
		e.address(in)
		slow = append(slow, e.translate(e.l.Loads, size))
		e.rm(op{code: 0x8b, w: w}, RAX, at(RAX, 0))
		e.rm(op{code: 0x89, w: w}, RAX, e.l.f(in.Dst))
		e.box(size, in.Dst)
	case ir.FStore:
		e.address(in)
		slow = append(slow, e.translate(e.l.Stores, size))
		e.rm(op{code: 0x8b, w: w}, RCX, e.l.f(in.B))
		e.rm(op{code: 0x89, w: w}, RCX, at(RAX, 0))
	case ir.FToX:
		if w {
			e.movRM(RAX, e.l.f(in.A))
		} else {
			e.rm(wide(0x63), RAX, e.l.f(in.A))
		}
		e.put(in.Dst, RAX)
	case ir.FFromX:
		e.get(RAX, in.A)
		e.rm(op{code: 0x89, w: w}, RAX, e.l.f(in.Dst))
		e.box(size, in.Dst)
	default:
		slow = e.sign(in)
	}
	return slow
}

func (e *Emitter) sign(in *ir.Inst) (slow []int) {
	bit := in.Size*8 - 1
	slow = e.boxed(in.Size, in.A, in.B)
	e.movRM(RAX, e.l.f(in.A))
	change := func(n Reg) { // bts, btr or btc
		e.rr(wide(0x0fba), n, RAX)
		e.byte(bit)
	}
	if in.A == in.B {
		switch in.Op {
		case ir.FSgnjN:
			change(7)
		case ir.FSgnjX:
			change(6)
		}
	} else {
		e.movRM(RCX, e.l.f(in.B))
		if in.Op == ir.FSgnjN {
			e.rr(wide(0xf7), 2, RCX) // not
		}
		e.shiftRI(shr, true, RCX, bit)
		e.aluRI(aluAnd, false, RCX, 1)
		e.shiftRI(shl, true, RCX, bit)
		if in.Op == ir.FSgnjX {
			e.aluRR(aluXor, true, RAX, RCX)
		} else {
			change(6)
			e.aluRR(aluOr, true, RAX, RCX)
		}
	}
	e.movMR(e.l.f(in.Dst), RAX)
	return slow
}
