package amd64

import (
	"math"

	"doppel/internal/cpu/jit/ir"
)

// Offsets in Layout.Consts, of 16 bytes each.
const (
	constBox    = 0  // the upper half of a boxed single
	constSign64 = 16 // the sign of a double
	constAbs64  = 32
	constSign32 = 48
	constAbs32  = 64 // with the upper half kept
)

// Consts is what Layout.Consts points to.
var Consts = [10]uint64{
	0xffff_ffff_0000_0000, 0,
	1 << 63, 0,
	1<<63 - 1, 0,
	1 << 31, 0,
	^uint64(1 << 31), 0,
}

func (e *Emitter) constant(off int32) mem { return at(state, e.l.Consts+off) }

// fsrc is the XMM register that holds r: its home, or else tmp.
func (e *Emitter) fsrc(r ir.Reg, tmp Reg) Reg {
	if h := e.region.fhome[r-ir.F0]; h != noHome {
		return h
	}
	e.vload(8, tmp, e.l.f(r))
	return tmp
}

// fdst is where to compute r, for fput to finish.
func (e *Emitter) fdst(r ir.Reg) Reg {
	if h := e.region.fhome[r-ir.F0]; h != noHome {
		return h
	}
	return xmm0
}

func (e *Emitter) fput(size uint8, r ir.Reg, x Reg) {
	if h := e.region.fhome[r-ir.F0]; h == noHome {
		e.vstore(8, e.l.f(r), x)
	} else {
		e.vmov(h, x)
	}
	e.region.boxed[r-ir.F0] = size == 4
}

// fboxed leaves the region unless the registers hold singles. What holds one
// once in a block does so until it is written.
func (e *Emitter) fboxed(size uint8, rs ...ir.Reg) {
	if size != 4 {
		return
	}
	for _, r := range rs {
		if e.region.boxed[r-ir.F0] {
			continue
		}
		if h := e.region.fhome[r-ir.F0]; h != noHome {
			e.vrr(vop{0x16, 1, 3, false}, h, 0, RAX) // vpextrd eax, h, 1
			e.byte(1)
			e.aluRI(aluCmp, false, RAX, -1)
		} else {
			m := e.l.f(r)
			m.disp += 4
			e.aluMI(aluCmp, false, m, -1)
		}
		e.slow(e.jcc(ccNE))
		e.region.boxed[r-ir.F0] = true
	}
}

// fcanonical makes the canonical NaN of any NaN in x.
func (e *Emitter) fcanonical(size uint8, x Reg) {
	e.vrr(vpacked(0x2e, size), x, 0, x) // vucomis
	nan := e.jcc(ccP)
	done := e.pos()
	e.colds = append(e.colds, func() {
		e.here(nan)
		v := int64(canonical64)
		if size == 4 {
			v = canonical32
		}
		e.movRI(RAX, v)
		e.vmovqTo(x, RAX)
		e.patch(e.jmp(), done)
	})
}

// regionFloat emits a floating-point Inst of a region, or returns false if it
// is none. Registers hold all 64 bits; operations on singles take the upper
// half from their first operand.
func (e *Emitter) regionFloat(in *ir.Inst) bool {
	size := in.Size
	switch in.Op {
	case ir.FLoad:
		e.fload(in)
	case ir.FStore:
		e.fstore(in)
	case ir.FAdd, ir.FSub, ir.FMul, ir.FDiv:
		e.fboxed(size, in.A, in.B)
		a := e.fsrc(in.A, xmm1)
		d := e.fdst(in.Dst)
		o := vscalar([...]byte{0x58, 0x5c, 0x59, 0x5e}[in.Op-ir.FAdd], size)
		if h := e.region.fhome[in.B-ir.F0]; h != noHome {
			e.vrr(o, d, a, h)
		} else {
			e.vrm(o, d, a, e.l.f(in.B))
		}
		e.fcanonical(size, d)
		e.fput(size, in.Dst, d)
	case ir.FSqrt:
		e.fboxed(size, in.A)
		a := e.fsrc(in.A, xmm1)
		d := e.fdst(in.Dst)
		e.vrr(vscalar(0x51, size), d, a, a)
		e.fcanonical(size, d)
		e.fput(size, in.Dst, d)
	case ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd:
		e.regionFMA(in)
	case ir.FMin, ir.FMax:
		e.regionMinMax(in)
	case ir.FEq, ir.FLt, ir.FLe:
		e.fboxed(size, in.A, in.B)
		a, b := e.fsrc(in.A, xmm1), e.fsrc(in.B, xmm2)
		if in.Flags&ir.Undone != 0 {
			e.vrr(vpacked(0x2e, size), b, 0, a)
			e.slow(e.jcc(ccP)) // the next instruction takes back what this raises
		}
		switch in.Op {
		case ir.FEq: // quiet
			e.vrr(vpacked(0x2e, size), b, 0, a)
			e.setcc(ccNP, RAX)
			e.setcc(ccE, RCX)
			e.aluRR(aluAnd, false, RAX, RCX)
		case ir.FLt: // a < b is b above a, which unordered is not
			e.vrr(vpacked(0x2f, size), b, 0, a)
			e.setcc(ccA, RAX)
		case ir.FLe:
			e.vrr(vpacked(0x2f, size), b, 0, a)
			e.setcc(ccAE, RAX)
		}
		d := e.dst(in.Dst)
		e.zeroExtend8(d, RAX)
		e.put(in.Dst, d)
	case ir.FToI, ir.FToU:
		e.regionToInt(in)
	case ir.FFromI, ir.FFromU:
		e.regionFromInt(in)
	case ir.FToF:
		e.fboxed(12-size, in.A)
		a := e.fsrc(in.A, xmm1)
		d := e.fdst(in.Dst)
		upper := a
		if size == 4 {
			e.vload(8, xmm2, e.constant(constBox))
			upper = xmm2
		}
		e.vrr(vscalar(0x5a, 12-size), d, upper, a)
		e.fcanonical(size, d)
		e.fput(size, in.Dst, d)
	case ir.FToX:
		a := e.fsrc(in.A, xmm1)
		d := e.dst(in.Dst)
		e.vmovqFrom(d, a)
		if size == 4 {
			e.movsxd(d, d)
		}
		e.put(in.Dst, d)
	case ir.FFromX:
		d := e.fdst(in.Dst)
		if size == 4 {
			e.get32(RAX, in.A)
			e.vmovqTo(d, RAX)
			e.vrm(vpacked(0x56, 4), d, d, e.constant(constBox))
		} else {
			e.get(RAX, in.A)
			e.vmovqTo(d, RAX)
		}
		e.fput(size, in.Dst, d)
	case ir.FSgnj, ir.FSgnjN, ir.FSgnjX:
		e.regionSign(in)
	case ir.FCSRRead: // of fflags
		e.region.held = 0
		e.fp.armed = true
		e.fflags()
		e.put(in.Dst, RCX)
	case ir.FCSRWrite: // is Undone: the comparison has raised nothing
	default:
		return false
	}
	return true
}

func (e *Emitter) fload(in *ir.Inst) {
	m := e.access(in)
	d := e.fdst(in.Dst)
	e.vload(in.Size, d, m)
	if in.Size == 4 {
		e.vrm(vpacked(0x56, 4), d, d, e.constant(constBox))
	}
	e.fput(in.Size, in.Dst, d)
}

func (e *Emitter) fstore(in *ir.Inst) {
	m := e.access(in)
	e.vstore(in.Size, m, e.fsrc(in.B, xmm0))
}

// regionFMA: a NaN may have to raise what the host does not (see fma).
func (e *Emitter) regionFMA(in *ir.Inst) {
	size := in.Size
	e.fboxed(size, in.A, in.B, in.C)
	a, b, c := e.fsrc(in.A, xmm0), e.fsrc(in.B, xmm1), e.fsrc(in.C, xmm2)
	d := e.fdst(in.Dst)
	if d == a || d == b || d == c {
		d = xmm0
	}
	kind := byte(in.Op - ir.FMAdd)
	codes := [...]byte{0xa9, 0xab, 0xad, 0xaf}
	if d == xmm0 && a != xmm0 && in.Dst == in.C {
		// The sum is the chain: take it as the operand that is overwritten.
		codes = [...]byte{0xb9, 0xbb, 0xbd, 0xbf}
		e.vmov(xmm0, c)
		e.vrr(vfma(codes[kind], size), xmm0, a, b)
	} else {
		e.vmov(d, a)
		e.vrr(vfma(codes[kind], size), d, b, c)
	}
	e.vrr(vpacked(0x2e, size), d, 0, d)
	e.slow(e.jcc(ccP))
	e.fput(size, in.Dst, d)
}

func (e *Emitter) regionMinMax(in *ir.Inst) {
	size := in.Size
	e.fboxed(size, in.A, in.B)
	a, b := e.fsrc(in.A, xmm1), e.fsrc(in.B, xmm2)
	d := e.fdst(in.Dst)
	e.vrr(vpacked(0x2e, size), a, 0, b)
	e.slow(e.jcc(ccP))
	equal := e.jcc(ccE)
	code, bits := byte(0x5d), byte(0x56) // min, or
	if in.Op == ir.FMax {
		code, bits = 0x5f, 0x54 // max, and
	}
	e.vrr(vscalar(code, size), d, a, b)
	done := e.pos()
	e.fput(size, in.Dst, d)
	e.colds = append(e.colds, func() {
		e.here(equal)
		e.vrr(vpacked(bits, size), d, a, b)
		e.patch(e.jmp(), done)
	})
}

// regionToInt: see toInt.
func (e *Emitter) regionToInt(in *ir.Inst) {
	size := in.Size
	word := in.Flags&ir.Word != 0
	code := byte(0x2d)
	if in.Flags&ir.Truncate != 0 {
		code = 0x2c
	}
	e.fboxed(size, in.A)
	a := e.fsrc(in.A, xmm1)
	o := vscalar(code, size)
	if in.Op == ir.FToU {
		limit := math.Ldexp(1, 63)
		switch {
		case word && in.Flags&ir.Truncate != 0:
			limit = math.Ldexp(1, 32)
		case word:
			limit = math.Ldexp(1, 31)
		}
		if size == 8 {
			e.vmovqFrom(RAX, a)
			e.movRI(RCX, int64(math.Float64bits(limit)))
			e.aluRR(aluCmp, true, RAX, RCX)
		} else {
			e.vrr(vop{0x7e, 1, 1, false}, a, 0, RAX) // vmovd
			e.aluRI(aluCmp, false, RAX, int32(math.Float32bits(float32(limit))))
		}
		e.slow(e.jcc(ccAE))
		o.w = true
		e.vrr(o, RAX, 0, a)
	} else {
		o.w = !word
		e.vrr(o, RAX, 0, a)
		if word {
			e.aluRI(aluCmp, false, RAX, math.MinInt32)
		} else {
			e.movRI(RCX, math.MinInt64)
			e.aluRR(aluCmp, true, RAX, RCX)
		}
		e.slow(e.jcc(ccE))
	}
	if word {
		e.movsxd(RAX, RAX)
	}
	e.put(in.Dst, RAX)
}

func (e *Emitter) regionFromInt(in *ir.Inst) {
	word := in.Flags&ir.Word != 0
	o := vscalar(0x2a, in.Size)
	o.w = true
	switch {
	case word:
		e.get32(RAX, in.A)
		o.w = in.Op == ir.FFromU
	default:
		e.get(RAX, in.A)
		if in.Op == ir.FFromU {
			e.rr(wide(0x85), RAX, RAX)
			e.slow(e.jcc(ccS))
		}
	}
	d := e.fdst(in.Dst)
	if in.Size == 4 {
		e.vload(8, xmm2, e.constant(constBox))
	} else {
		e.vrr(vpacked(0x57, 4), xmm2, xmm2, xmm2) // no dependence on what d held
	}
	e.vrr(o, d, xmm2, RAX)
	e.fput(in.Size, in.Dst, d)
}

func (e *Emitter) regionSign(in *ir.Inst) {
	size := in.Size
	e.fboxed(size, in.A, in.B)
	a := e.fsrc(in.A, xmm1)
	d := e.fdst(in.Dst)
	sign, abs := e.constant(constSign64), e.constant(constAbs64)
	if size == 4 {
		sign, abs = e.constant(constSign32), e.constant(constAbs32)
	}
	switch {
	case in.A == in.B && in.Op == ir.FSgnj:
		e.vmov(d, a)
	case in.A == in.B && in.Op == ir.FSgnjN:
		e.vrm(vpacked(0x57, 4), d, a, sign) // xor
	case in.A == in.B:
		e.vrm(vpacked(0x54, 4), d, a, abs) // and
	default:
		b := e.fsrc(in.B, xmm2)
		code := byte(0x54) // and
		if in.Op == ir.FSgnjN {
			code = 0x55 // and not
		}
		e.vrm(vpacked(code, 4), xmm2, b, sign)
		if in.Op == ir.FSgnjX {
			e.vrr(vpacked(0x57, 4), d, a, xmm2)
			break
		}
		e.vrm(vpacked(0x54, 4), xmm1, a, abs)
		e.vrr(vpacked(0x56, 4), d, xmm1, xmm2) // or
	}
	e.fput(size, in.Dst, d)
}
