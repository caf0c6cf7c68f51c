package arm64

import "doppel/internal/cpu/jit/ir"

// Floating point is the host's scalar instructions. FPCR has the rounding mode of frm and
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

// finish is putF of V0, which may have underflowed. The host raises that flag for
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
	e.putF(size, r, V0)
	slow := e.later()
	const ufc, uf = 3, 2
	e.colds = append(e.colds, func() {
		e.here(small)
		e.readFPSR(X1)
		none := e.tbz(X1, ufc)
		e.logicalI(opAnd, true, X1, X1, ^int64(1<<ufc), X2)
		e.writeFPSR(X1)
		e.shifted(opOrr, w, X1, ZR, X0, lsl, 1) // without the sign
		e.logicalI(opEor, w, X1, X1, 1<<(fraction+1), X2)
		slow(e.cbz(w, X1))
		e.field(load32, X1, e.l.FFlags)
		e.logicalI(opOrr, false, X1, X1, uf, X2)
		e.field(store32, X1, e.l.FFlags)
		e.patch(none, e.pos())
		e.b2(back)
	})
}

// later is slow for what is found out of line, of an Inst that has called fpArm.
func (e *Emitter) later() func(from int) {
	if s := e.region; s != nil {
		n := e.exitHere()
		return func(from int) { s.exits[n].from = append(s.exits[n].from, from) }
	}
	n := len(e.slows) - 1
	return func(from int) { e.slows[n].from = append(e.slows[n].from, from) }
}

// float emits a floating-point Inst, or returns false if it has no form here.
func (e *Emitter) float(in *ir.Inst) bool {
	switch in.Op {
	case ir.FCSRRead, ir.FCSRWrite, ir.FCSRSet, ir.FCSRClear:
		e.fcsr(in)
		return true
	case ir.FLoad, ir.FStore, ir.FSgnj, ir.FSgnjN, ir.FSgnjX, ir.FToX, ir.FFromX, ir.FConst:
		slow := []int{e.fpMoves()}
		slow = append(slow, e.floatMove(in)...)
		e.slow(slow...)
		return true
	case ir.FAdd, ir.FSub, ir.FMul, ir.FDiv, ir.FSqrt, ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd,
		ir.FMin, ir.FMax, ir.FEq, ir.FLt, ir.FLe, ir.FToI, ir.FToU, ir.FFromI, ir.FFromU, ir.FToF,
		ir.FMinM, ir.FMaxM, ir.FLtQ, ir.FLeQ, ir.FRound:
	case ir.FRoundNX:
		if in.Round == ir.Away {
			return false
		}
	default:
		return false
	}
	n := e.fpArm()
	var slow []int
	switch {
	case in.Op == ir.FToI || in.Op == ir.FToU:
		slow = e.toInt(in)
	case in.Op == ir.FRound:
		slow = e.round(in)
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
		d := e.dstF(in.Dst)
		e.scalar([...]uint32{opFAdd, opFSub}[in.Op-ir.FAdd], size, d, e.getF(V0, in.A), e.getF(V1, in.B))
		e.putF(size, in.Dst, d)
	case ir.FMul, ir.FDiv:
		slow = e.boxed(size, in.A, in.B)
		e.scalar([...]uint32{opFMul, opFDiv}[in.Op-ir.FMul], size, V0, e.getF(V0, in.A), e.getF(V1, in.B))
		e.finish(size, in.Dst)
	case ir.FSqrt:
		slow = e.boxed(size, in.A)
		d := e.dstF(in.Dst)
		e.scalar(opFSqrt, size, d, e.getF(V0, in.A), 0)
		e.putF(size, in.Dst, d)
	case ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd:
		slow = e.boxed(size, in.A, in.B, in.C)
		// The host's names negate the product, not the sum.
		code := [...]uint32{opFMAdd, opFNMSub, opFMSub, opFNMAdd}[in.Op-ir.FMAdd]
		e.fma(code, size, V0, e.getF(V0, in.A), e.getF(V1, in.B), e.getF(V2, in.C))
		e.finish(size, in.Dst)
	case ir.FMin, ir.FMax:
		slow = e.minMax(in)
	case ir.FMinM, ir.FMaxM: // as the host has them
		slow = e.boxed(size, in.A, in.B)
		d := e.dstF(in.Dst)
		e.scalar([...]uint32{opFMin, opFMax}[in.Op-ir.FMinM], size, d, e.getF(V0, in.A), e.getF(V1, in.B))
		e.putF(size, in.Dst, d)
	case ir.FEq, ir.FLt, ir.FLe, ir.FLtQ, ir.FLeQ:
		slow = e.floatCompare(in)
	case ir.FRoundNX:
		slow = e.boxed(size, in.A)
		d := e.dstF(in.Dst)
		e.scalar(opFRintX, size, d, e.getF(V0, in.A), 0)
		e.putF(size, in.Dst, d)
	case ir.FFromI, ir.FFromU:
		e.fromInt(in)
	case ir.FToF:
		slow = e.boxed(12-size, in.A)
		a := e.getF(V0, in.A)
		if size == 4 {
			e.scalar(opFCvtToS, 8, V0, a, 0)
			e.finish(size, in.Dst)
		} else {
			d := e.dstF(in.Dst)
			e.scalar(opFCvtToD, 4, d, a, 0)
			e.putF(size, in.Dst, d)
		}
	}
	return slow
}

// minMax leaves NaNs to the interpreter, since the host lets signalling ones
// win (unpriv §21.6 has numbers win). -0 is less than +0 on both.
func (e *Emitter) minMax(in *ir.Inst) (slow []int) {
	size := in.Size
	slow = e.boxed(size, in.A, in.B)
	x, y := e.getF(V0, in.A), e.getF(V1, in.B)
	e.fcmp(size, x, y, false)
	slow = append(slow, e.bc(vs))
	code := uint32(opFMinNM)
	if in.Op == ir.FMax {
		code = opFMaxNM
	}
	d := e.dstF(in.Dst)
	e.scalar(code, size, d, x, y)
	e.putF(size, in.Dst, d)
	return slow
}

func (e *Emitter) floatCompare(in *ir.Inst) (slow []int) {
	size := in.Size
	slow = e.boxed(size, in.A, in.B)
	signal := in.Op == ir.FLt || in.Op == ir.FLe
	undone := e.region != nil && in.Flags&ir.Undone != 0
	e.fcmp(size, e.getF(V0, in.A), e.getF(V1, in.B), signal && !undone)
	if undone {
		slow = append(slow, e.bc(vs)) // the next instruction takes back what this raises
	}
	d := e.dst(in.Dst)
	e.cset(d, map[ir.Op]cond{ir.FEq: eq, ir.FLt: mi, ir.FLtQ: mi, ir.FLe: ls, ir.FLeQ: ls}[in.Op]) // false if unordered
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
	a := e.getF(V0, in.A)
	e.fcmp(size, a, a, false)
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
	e.convert(codes[in.Op-ir.FToI], !word, size, d, a)
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
	d := e.dstF(in.Dst)
	e.convert(code, in.Flags&ir.Word == 0, in.Size, d, e.reg(in.A, X0))
	e.putF(in.Size, in.Dst, d)
}

// round emits what rounds to an integer and raises no NX, in any mode.
func (e *Emitter) round(in *ir.Inst) (slow []int) {
	slow = e.boxed(in.Size, in.A)
	code := [...]uint32{ir.Dynamic: opFRintI, ir.Nearest: opFRintN, ir.Zero: opFRintZ, ir.Down: opFRintM, ir.Up: opFRintP, ir.Away: opFRintA}[in.Round]
	d := e.dstF(in.Dst)
	e.scalar(code, in.Size, d, e.getF(V0, in.A), 0)
	e.putF(in.Size, in.Dst, d)
	return slow
}

// floatMove emits what neither rounds nor raises flags.
func (e *Emitter) floatMove(in *ir.Inst) (slow []int) {
	size := in.Size
	switch in.Op {
	case ir.FLoad:
		a := e.address(in)
		miss := e.translate(a, loads, size)
		back := e.pos()
		k := loadF64
		if size == 4 {
			k = loadF32
		}
		d := e.dstF(in.Dst)
		e.indexed(k, d, a, X3)
		e.putF(size, in.Dst, d)
		e.missed(miss, back, a, e.r.loads, size)
	case ir.FStore:
		a := e.address(in)
		miss := e.translate(a, stores, size)
		back := e.pos()
		k := storeF64
		if size == 4 {
			k = storeF32
		}
		e.indexed(k, e.getF(V0, in.B), a, X3)
		e.missed(miss, back, a, e.r.stores, size)
	case ir.FToX:
		d := e.dst(in.Dst)
		e.fmovX(size, d, e.getF(V0, in.A))
		if size == 4 {
			e.sxtw(d, d)
		}
		e.put(in.Dst, d)
	case ir.FFromX:
		d := e.dstF(in.Dst)
		e.fmovF(size, d, e.reg(in.A, X0))
		e.putF(size, in.Dst, d)
	case ir.FConst:
		e.movI(X0, in.Imm)
		d := e.dstF(in.Dst)
		e.fmovF(size, d, X0)
		e.putF(size, in.Dst, d)
	default:
		slow = e.sign(in)
	}
	return slow
}

func (e *Emitter) sign(in *ir.Inst) (slow []int) {
	size, bit := in.Size, in.Size*8-1
	slow = e.boxed(size, in.A, in.B)
	d := e.dstF(in.Dst)
	if in.A == in.B {
		a := e.getF(V0, in.A)
		switch in.Op {
		case ir.FSgnj:
			d = a
		case ir.FSgnjN:
			e.scalar(opFNeg, size, d, a, 0)
		case ir.FSgnjX:
			e.scalar(opFAbs, size, d, a, 0)
		}
		e.putF(size, in.Dst, d)
		return slow
	}
	w := size == 8
	e.fmovX(size, X0, e.getF(V0, in.A))
	e.fmovX(size, X1, e.getF(V1, in.B))
	if in.Op == ir.FSgnjN {
		e.rrr(opOrn, w, X1, ZR, X1)
	}
	e.logicalI(opAnd, w, X1, X1, 1<<bit, X2)
	if in.Op == ir.FSgnjX {
		e.rrr(opEor, w, X0, X0, X1)
	} else {
		e.logicalI(opAnd, w, X0, X0, ^(int64(1) << bit), X2)
		e.rrr(opOrr, w, X0, X0, X1)
	}
	e.fmovF(size, d, X0)
	e.putF(size, in.Dst, d)
	return slow
}
