package arm64

import "doppel/internal/cpu/jit/ir"

// Floating point is the host's scalar instructions; vector registers are free,
// and the guest's registers are in memory. FPCR has the rounding mode of frm and
// default NaNs, which are RISC-V's canonical ones (unpriv §21.3); flags gather
// in FPSR, from where the engine takes them when code is left. Singles are
// NaN-boxed (§21.2). What differs from the host is left to the interpreter, but
// for underflow: see finish.

// fpMoves leaves to the interpreter unless registers may be moved.
func (e *Emitter) fpMoves() (slow int) {
	e.field(load32, X0, e.l.FPMoves)
	return e.cbz(false, X0)
}

// fpArm leaves to the interpreter unless rounding and flags are the host's to
// do; FPCR and FPSR must be the guest's. The engine makes them that again when
// it resumes a block.
func (e *Emitter) fpArm() (slow int) {
	e.field(load32, X0, e.l.FPUsed)
	arm := e.cbz(false, X0)
	back := e.pos()
	n := len(e.slows)
	e.slow() // resume is set when the Inst is complete
	e.colds = append(e.colds, func() {
		e.here(arm)
		e.field(load32, X0, e.l.FPOn)
		e.slows[n].from = append(e.slows[n].from, e.cbz(false, X0))
		e.armHost((*Layout)(e.l))
		e.movI(X0, 1)
		e.field(store32, X0, e.l.FPUsed)
		e.b2(back)
	})
	return n
}

// armHost makes FPCR and FPSR the guest's. X0 is lost.
func (a *asm) armHost(l *Layout) {
	a.writeFPSR(ZR)
	a.access(load32, X0, state, l.FPClean, LR)
	a.writeFPCR(X0)
}

// boxed leaves to the interpreter unless the registers hold singles.
func (e *Emitter) boxed(size uint8, rs ...ir.Reg) (slow []int) {
	if size != 4 {
		return nil
	}
	for i, r := range rs {
		if i > 0 && r == rs[i-1] {
			continue
		}
		e.field(load32, X0, e.l.f(r)+4)
		e.cmnI(false, X0, 1)
		slow = append(slow, e.bc(ne))
	}
	return slow
}

func (e *Emitter) getF(size uint8, v Reg, r ir.Reg) {
	k := loadF64
	if size == 4 {
		k = loadF32
	}
	e.field(k, v, e.l.f(r))
}

// putBits stores X0, a single being boxed.
func (e *Emitter) putBits(size uint8, r ir.Reg) {
	if size == 4 {
		e.logicalI(opOrr, true, X0, X0, ^int64(0xffff_ffff), X1)
	}
	e.field(store64, X0, e.l.f(r))
}

// putF stores V0.
func (e *Emitter) putF(size uint8, r ir.Reg) {
	e.fmovX(size, X0, V0)
	e.putBits(size, r)
}

// finish is putF of what may have underflowed. The host raises that flag for
// what is tiny before rounding, RISC-V after (unpriv §21.2), which differs at
// most where the result is the smallest normal number: there the interpreter
// decides. So that no such flag stays in FPSR, those that are right are moved
// to the guest's at once, which small results alone need be looked at for.
func (e *Emitter) finish(size uint8, r ir.Reg) {
	fraction, exponent := uint8(52), uint8(11)
	if size == 4 {
		fraction, exponent = 23, 8
	}
	w := size == 8
	e.fmovX(size, X0, V0)
	e.ubfx(w, X1, X0, fraction, exponent)
	e.subsI(false, ZR, X1, 1)
	small := e.bc(ls)
	back := e.pos()
	e.putBits(size, r)
	n := len(e.slows) - 1 // of this Inst, by fpArm
	const ufc, uf = 3, 2
	e.colds = append(e.colds, func() {
		e.here(small)
		e.readFPSR(X1)
		none := e.tbz(X1, ufc)
		e.logicalI(opAnd, true, X1, X1, ^int64(1<<ufc), X2)
		e.writeFPSR(X1)
		e.shifted(opOrr, w, X1, ZR, X0, lsl, 1) // without the sign
		e.logicalI(opEor, w, X1, X1, 1<<(fraction+1), X2)
		e.slows[n].from = append(e.slows[n].from, e.cbz(w, X1))
		e.field(load32, X1, e.l.FFlags)
		e.logicalI(opOrr, false, X1, X1, uf, X2)
		e.field(store32, X1, e.l.FFlags)
		e.patch(none, e.pos())
		e.b2(back)
	})
}

// float emits a floating-point Inst, or returns false if it has no form here.
func (e *Emitter) float(in *ir.Inst) bool {
	switch in.Op {
	case ir.FCSRRead, ir.FCSRWrite, ir.FCSRSet, ir.FCSRClear:
		e.fcsr(in)
		return true
	case ir.FLoad, ir.FStore, ir.FSgnj, ir.FSgnjN, ir.FSgnjX, ir.FToX, ir.FFromX:
		slow := []int{e.fpMoves()}
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
	switch {
	case in.Op == ir.FToI || in.Op == ir.FToU:
		slow = e.toInt(in)
	case in.Round == ir.Dynamic:
		slow = e.floatArith(in)
	default: // for this alone
		e.movI(X0, int64(Control(in.Round)))
		e.writeFPCR(X0)
		slow = e.floatArith(in) // leaving resets FPCR
		e.field(load32, X0, e.l.FPClean)
		e.writeFPCR(X0)
	}
	s := &e.slows[n]
	s.from, s.resume = append(s.from, slow...), e.pos()
	return true
}

// Control is FPCR in a rounding mode other than Dynamic and Away: default NaNs,
// no traps, no flushing to zero.
func Control(r ir.Round) uint32 {
	const dn, rmode = 1 << 25, 22
	return dn | [...]uint32{ir.Nearest: 0, ir.Zero: 3, ir.Down: 2, ir.Up: 1}[r]<<rmode
}

// floatArith emits what rounds or raises flags.
func (e *Emitter) floatArith(in *ir.Inst) (slow []int) {
	size := in.Size
	switch in.Op {
	case ir.FAdd, ir.FSub: // tiny sums are exact
		slow = e.boxed(size, in.A, in.B)
		e.getF(size, V0, in.A)
		e.getF(size, V1, in.B)
		e.scalar([...]uint32{opFAdd, opFSub}[in.Op-ir.FAdd], size, V0, V0, V1)
		e.putF(size, in.Dst)
	case ir.FMul, ir.FDiv:
		slow = e.boxed(size, in.A, in.B)
		e.getF(size, V0, in.A)
		e.getF(size, V1, in.B)
		e.scalar([...]uint32{opFMul, opFDiv}[in.Op-ir.FMul], size, V0, V0, V1)
		e.finish(size, in.Dst)
	case ir.FSqrt:
		slow = e.boxed(size, in.A)
		e.getF(size, V0, in.A)
		e.scalar(opFSqrt, size, V0, V0, 0)
		e.putF(size, in.Dst)
	case ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd:
		slow = e.boxed(size, in.A, in.B, in.C)
		e.getF(size, V0, in.A)
		e.getF(size, V1, in.B)
		e.getF(size, V2, in.C)
		// The host's names negate the product, not the sum.
		e.fma([...]uint32{opFMAdd, opFNMSub, opFMSub, opFNMAdd}[in.Op-ir.FMAdd], size, V0, V0, V1, V2)
		e.finish(size, in.Dst)
	case ir.FMin, ir.FMax:
		slow = e.minMax(in)
	case ir.FEq, ir.FLt, ir.FLe:
		slow = e.floatCompare(in)
	case ir.FFromI, ir.FFromU:
		e.fromInt(in)
	case ir.FToF:
		slow = e.boxed(12-size, in.A)
		e.getF(12-size, V0, in.A)
		if size == 4 {
			e.scalar(opFCvtToS, 8, V0, V0, 0)
			e.finish(size, in.Dst)
		} else {
			e.scalar(opFCvtToD, 4, V0, V0, 0)
			e.putF(size, in.Dst)
		}
	}
	return slow
}

// minMax leaves NaNs to the interpreter, since the host lets signalling ones
// win (unpriv §21.6 has numbers win). -0 is less than +0 on both.
func (e *Emitter) minMax(in *ir.Inst) (slow []int) {
	size := in.Size
	slow = e.boxed(size, in.A, in.B)
	e.getF(size, V0, in.A)
	e.getF(size, V1, in.B)
	e.fcmp(size, V0, V1, false)
	slow = append(slow, e.bc(vs))
	code := uint32(opFMinNM)
	if in.Op == ir.FMax {
		code = opFMaxNM
	}
	e.scalar(code, size, V0, V0, V1)
	e.putF(size, in.Dst)
	return slow
}

func (e *Emitter) floatCompare(in *ir.Inst) (slow []int) {
	size := in.Size
	slow = e.boxed(size, in.A, in.B)
	e.getF(size, V0, in.A)
	e.getF(size, V1, in.B)
	e.fcmp(size, V0, V1, in.Op != ir.FEq)
	d := e.dst(in.Dst)
	e.cset(d, [...]cond{eq, mi, ls}[in.Op-ir.FEq]) // false if unordered
	e.put(in.Dst, d)
	return slow
}

// toInt: the host saturates and raises flags as RISC-V does (unpriv §21.7), but
// makes zero of NaNs. It has no form that rounds as FPCR says: if that is not to
// nearest, the interpreter rounds.
func (e *Emitter) toInt(in *ir.Inst) (slow []int) {
	size := in.Size
	word := in.Flags&ir.Word != 0
	slow = e.boxed(size, in.A)
	e.getF(size, V0, in.A)
	e.fcmp(size, V0, V0, false)
	slow = append(slow, e.bc(vs))
	r := in.Round
	switch {
	case in.Flags&ir.Truncate != 0:
		r = ir.Zero
	case r == ir.Dynamic:
		r = ir.Nearest
		e.field(load8, X0, e.l.FRM)
		slow = append(slow, e.cbnz(false, X0))
	}
	codes := [...][2]uint32{ir.Nearest: {opFCvtNS, opFCvtNU}, ir.Zero: {opFCvtZS, opFCvtZU}, ir.Down: {opFCvtMS, opFCvtMU},
		ir.Up: {opFCvtPS, opFCvtPU}, ir.Away: {opFCvtAS, opFCvtAU}}[r]
	d := e.dst(in.Dst)
	e.convert(codes[in.Op-ir.FToI], !word, size, d, V0)
	if word {
		e.sxtw(d, d)
	}
	e.put(in.Dst, d)
	return slow
}

func (e *Emitter) fromInt(in *ir.Inst) {
	code := uint32(opSCvtF)
	if in.Op == ir.FFromU {
		code = opUCvtF
	}
	e.convert(code, in.Flags&ir.Word == 0, in.Size, V0, e.reg(in.A, X0))
	e.putF(in.Size, in.Dst)
}

// floatMove emits what neither rounds nor raises flags.
func (e *Emitter) floatMove(in *ir.Inst) (slow []int) {
	size := in.Size
	switch in.Op {
	case ir.FLoad:
		a := e.address(in)
		slow = append(slow, e.translate(a, loads, size))
		e.indexed(loadWidth(size, false), X0, a, X3)
		e.putBits(size, in.Dst)
	case ir.FStore:
		a := e.address(in)
		slow = append(slow, e.translate(a, stores, size))
		e.field(loadWidth(size, false), X1, e.l.f(in.B))
		e.indexed(storeWidth(size), X1, a, X3)
	case ir.FToX:
		d := e.dst(in.Dst)
		e.field(loadWidth(size, true), d, e.l.f(in.A))
		e.put(in.Dst, d)
	case ir.FFromX:
		if a := e.reg(in.A, X0); size == 4 {
			e.mov32(X0, a)
		} else {
			e.mov(X0, a)
		}
		e.putBits(size, in.Dst)
	default:
		slow = e.sign(in)
	}
	return slow
}

func (e *Emitter) sign(in *ir.Inst) (slow []int) {
	bit := in.Size*8 - 1
	slow = e.boxed(in.Size, in.A, in.B)
	e.field(load64, X0, e.l.f(in.A))
	e.field(load64, X1, e.l.f(in.B))
	if in.Op == ir.FSgnjN {
		e.rrr(opOrn, true, X1, ZR, X1)
	}
	e.logicalI(opAnd, true, X1, X1, 1<<bit, X2)
	if in.Op == ir.FSgnjX {
		e.rrr(opEor, true, X0, X0, X1)
	} else {
		e.logicalI(opAnd, true, X0, X0, ^(int64(1) << bit), X2)
		e.rrr(opOrr, true, X0, X0, X1)
	}
	e.field(store64, X0, e.l.f(in.Dst))
	return slow
}
