package amd64

import (
	"math"

	"doppel/internal/cpu/jit/ir"
)

// nx is inexact in fflags.
const nx = 1

// roundTo makes xmm0 what size bytes of src are as an integer, without raising
// NX, in a mode that is not Dynamic.
func (e *Emitter) roundTo(r ir.Round, size uint8, src Reg) {
	if r != ir.Away {
		e.roundHost(size, xmm0, src, hostRounding(r)|8)
		return
	}
	// The fraction is exact, and so is what is added to a number that has one.
	e.roundHost(size, xmm0, src, hostRounding(ir.Zero)|8)
	e.movaps(xmm1, src)
	e.rr(scalar(0x5c, size), xmm1, xmm0) // sub
	e.movaps(xmm2, xmm1)
	rest, signs, half, one := e.r.rest64, e.r.sign64, e.r.half64, e.r.one64
	if size == 4 {
		rest, signs, half, one = e.r.rest32, e.r.sign32, e.r.half32, e.r.one32
	}
	e.shared(op{code: 0x0f54}, xmm2, rest)
	e.shared(packed(0x2e, size), xmm2, half)
	below := e.jcc(ccB)
	e.shared(op{code: 0x0f54}, xmm1, signs)
	e.shared(op{code: 0x0f56}, xmm1, one)
	e.rr(scalar(0x58, size), xmm0, xmm1)
	e.here(below)
}

// roundHost is roundss or roundsd.
func (e *Emitter) roundHost(size uint8, dst, src Reg, mode uint8) {
	code := uint32(0x0f3a0a)
	if size == 8 {
		code++
	}
	e.rr(op{code: code, prefix: 0x66}, dst, src)
	e.byte(mode)
}

// toInt converts to an integer. Static rounding modes, but for towards zero,
// round first.
//
// The host gives the most negative number for what overflows and for NaNs, and
// raises the same flag. Unsigned conversions keep out what they would raise
// other flags for.
func (e *Emitter) toInt(in *ir.Inst) {
	size, word := in.Size, in.Flags&ir.Word != 0
	src := e.xget(in.A, size)
	o := toIntOp(in)
	o.w = !word
	value := src
	if in.Round != ir.Dynamic {
		e.roundTo(in.Round, size, src)
		value = xmm0
	}
	e.rr(o, RAX, value)
	if word {
		e.aluRI(aluCmp, false, RAX, math.MinInt32)
	} else {
		e.movRI(RCX, math.MinInt64)
		e.aluRR(aluCmp, true, RAX, RCX)
	}
	least := e.jcc(ccE)
	if in.Round != ir.Dynamic {
		e.raiseInexact(size, src)
	}
	done := e.pos()
	if word {
		e.movsxd(RAX, RAX)
	}
	e.put(in.Dst, RAX)
	e.colds = append(e.colds, func() {
		e.here(least)
		// It is that, or less, or else beyond the other end or a NaN.
		e.rr(op{code: 0x0f57}, xmm1, xmm1)
		e.rr(packed(0x2e, size), xmm1, value)
		high := e.jcc(ccB)
		if in.Round != ir.Dynamic {
			// Inexact if it is that.
			back := scalar(0x2a, size)
			back.w = !word
			e.rr(back, xmm1, RAX)
			e.rr(packed(0x2e, size), xmm1, xmm0)
			e.patch(e.jcc(ccNE), done)
			e.raiseInexact(size, src)
		}
		e.patch(e.jmp(), done)
		e.here(high)
		if word {
			e.movRI(RAX, math.MaxInt32)
		} else {
			e.movRI(RAX, math.MaxInt64)
		}
		e.patch(e.jmp(), done)
	})
}

func toIntOp(in *ir.Inst) op {
	code := uint32(0x2d) // as MXCSR says
	if in.Flags&ir.Truncate != 0 || in.Round != ir.Dynamic {
		code = 0x2c
	}
	return scalar(code, in.Size)
}

// raiseInexact raises NX unless xmm0 equals src, neither of which is a NaN.
func (e *Emitter) raiseInexact(size uint8, src Reg) {
	e.rr(packed(0x2e, size), xmm0, src)
	same := e.jcc(ccE)
	e.aluMI(aluOr, false, at(state, e.l.FFlags), nx)
	e.here(same)
}

// toUnsigned: as integers the bits of numbers from 0 are in order, and those of
// negative ones and NaNs are above. n is the stub for what goes to the
// interpreter.
func (e *Emitter) toUnsigned(in *ir.Inst, n int) (odd []int) {
	size, word := in.Size, in.Flags&ir.Word != 0
	src, o := e.xget(in.A, size), toIntOp(in)
	limit := math.Ldexp(1, 63)
	switch {
	case word && (in.Flags&ir.Truncate != 0 || size == 4):
		limit = math.Ldexp(1, 32)
	case word:
		limit = math.Ldexp(1, 32) - 1 // rounding does not lead beyond
	}
	e.movFrom(RAX, src, size)
	e.compareBits(size, limit)
	high := e.jcc(ccAE)
	o.w = true
	if in.Round != ir.Dynamic {
		e.roundTo(in.Round, size, src)
		e.rr(o, RAX, xmm0)
		e.raiseInexact(size, src)
	} else {
		e.rr(o, RAX, src)
	}
	done := e.pos()
	if word {
		e.movsxd(RAX, RAX)
	}
	e.put(in.Dst, RAX)
	if word {
		return []int{high}
	}
	e.colds = append(e.colds, func() {
		// Numbers from 2^63 are integers.
		e.here(high)
		e.compareBits(size, math.Ldexp(1, 64))
		e.slows[n].from = append(e.slows[n].from, e.jcc(ccAE))
		e.movaps(xmm0, src)
		two63 := e.r.two63d
		if size == 4 {
			two63 = e.r.two63s
		}
		e.shared(scalar(0x5c, size), xmm0, two63)
		e.rr(o, RAX, xmm0)
		e.byte(0x48, 0x0f, 0xba, 0xf8, 63) // btc rax, 63
		e.patch(e.jmp(), done)
	})
	return nil
}

// compareBits compares RAX with the bits of a number.
func (e *Emitter) compareBits(size uint8, f float64) {
	if size == 4 {
		e.aluRI(aluCmp, false, RAX, int32(math.Float32bits(float32(f))))
		return
	}
	e.movRI(RCX, int64(math.Float64bits(f)))
	e.aluRR(aluCmp, true, RAX, RCX)
}

func (e *Emitter) fromInt(in *ir.Inst) {
	word := in.Flags&ir.Word != 0
	o := scalar(0x2a, in.Size)
	o.w = true
	e.rr(op{code: 0x0f57}, xmm0, xmm0) // xorps: no dependence on what it held
	switch {
	case word && in.Op == ir.FFromI:
		o.w = false
		e.rr(o, xmm0, e.reg(in.A, RAX))
	case word:
		e.get32(RAX, in.A)
		e.rr(o, xmm0, RAX)
	case in.Op == ir.FFromI:
		e.rr(o, xmm0, e.reg(in.A, RAX))
	default:
		e.get(RAX, in.A)
		e.rr(wide(0x85), RAX, RAX)
		high := e.jcc(ccS)
		e.rr(o, xmm0, RAX)
		done := e.pos()
		e.colds = append(e.colds, func() {
			// Half of it, the last bit kept so that it rounds alike, twice.
			e.here(high)
			e.mov32RR(RCX, RAX)
			e.aluRI(aluAnd, false, RCX, 1)
			e.shiftRI(shr, true, RAX, 1)
			e.aluRR(aluOr, true, RAX, RCX)
			e.rr(o, xmm0, RAX)
			e.rr(scalar(0x58, in.Size), xmm0, xmm0)
			e.patch(e.jmp(), done)
		})
	}
	e.xput(in.Dst, in.Size, xmm0)
}
