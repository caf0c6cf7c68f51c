package amd64

import "doppel/internal/cpu/jit/ir"

// The CSRs of floating point: flags are in memory and, while MXCSR is the
// guest's, in MXCSR too; the rounding mode is in memory, in what MXCSR starts
// with (FPClean) and in MXCSR.

const roundingMask = 0x6000 // MXCSR.RC

// hostRounding is a mode as MXCSR.RC and roundss have it.
func hostRounding(r ir.Round) uint8 {
	return [...]uint8{ir.Nearest: 0, ir.Zero: 3, ir.Down: 1, ir.Up: 2}[r]
}

func (a *asm) stmxcsr(m mem) { a.rm(op{code: 0x0fae}, 3, m) }
func (a *asm) ldmxcsr(m mem) { a.rm(op{code: 0x0fae}, 2, m) }

func (e *Emitter) fpStatus() mem { return at(state, e.l.FPStatus) }
func (e *Emitter) fpClean() mem  { return at(state, e.l.FPClean) }

// fflags loads the flags into ECX; RAX and RDX are lost.
func (e *Emitter) fflags() {
	e.mov32RM(RCX, at(state, e.l.FFlags))
	plain := -1
	if !e.fp.armed {
		e.aluMI(aluCmp, false, at(state, e.l.FPUsed), 0)
		plain = e.jcc(ccE)
	}
	e.stmxcsr(e.fpStatus())
	e.mov32RM(RAX, e.fpStatus())
	e.aluRI(aluAnd, false, RAX, 63)
	e.shared(wide(0x8d), RDX, e.r.flags) // lea
	e.rm(op{code: 0x0fb6}, RAX, mem{RDX, RAX, 0, 0})
	e.aluRR(aluOr, false, RCX, RAX)
	if plain >= 0 {
		e.here(plain)
	}
}

// The CSRs by their numbers, which Inst.Size has.
const (
	csrFFlags = 1
	csrFRM    = 2
)

// fcsr loads what CSR n holds into ECX; RAX and RDX are lost.
func (e *Emitter) fcsr(n uint8) {
	frm := op{code: 0x0fb6}
	switch n {
	case csrFFlags:
		e.fflags()
	case csrFRM:
		e.rm(frm, RCX, at(state, e.l.FRM))
	default:
		e.fflags()
		e.rm(frm, RAX, at(state, e.l.FRM))
		e.shiftRI(shl, false, RAX, 5)
		e.aluRR(aluOr, false, RCX, RAX)
	}
}

// fcsrAccess emits an access to fflags, frm or fcsr.
func (e *Emitter) fcsrAccess(in *ir.Inst) {
	if in.Flags&ir.Undone != 0 {
		return // the comparison before has raised no flag, or left
	}
	odd := e.fpMoves()
	e.fcsr(in.Size)
	if in.Op == ir.FCSRRead {
		e.put(in.Dst, RCX)
		e.leaving(odd...)
		return
	}
	if in.Flags&ir.Immediate != 0 {
		e.movRI(RDX, in.Imm)
	} else {
		e.get32(RDX, in.A)
	}
	switch in.Op {
	case ir.FCSRSet:
		e.aluRR(aluOr, false, RDX, RCX)
	case ir.FCSRClear:
		e.rr(op{code: 0xf7}, 2, RDX) // not
		e.aluRR(aluAnd, false, RDX, RCX)
	}
	// The old value is in ECX, the new one in EDX.
	if in.Size != csrFFlags {
		e.mov32RR(RAX, RDX)
		if in.Size != csrFRM {
			e.shiftRI(shr, false, RAX, 5)
		}
		e.aluRI(aluAnd, false, RAX, 7)
		e.aluRI(aluCmp, false, RAX, 3)
		odd = append(odd, e.jcc(ccA)) // a mode that the host lacks, or a reserved one
	}
	e.put(in.Dst, RCX)
	width := int32(31)
	if in.Size != csrFFlags {
		width = 255
		if in.Size == csrFRM {
			width = 7
		}
	}
	e.aluRI(aluAnd, false, RDX, width)
	e.aluRR(aluCmp, false, RDX, RCX)
	change := e.jcc(ccNE)
	done := e.pos()
	e.colds = append(e.colds, func() {
		e.here(change)
		e.callRoutine(e.r.setFCSR[in.Size-csrFFlags])
		e.patch(e.jmp(), done)
	})
	e.leaving(odd...)
}

// setFCSR is the routine that makes CSR n what EDX holds, in a mode that the
// host has.
func (e *Emitter) setFCSR(n uint8) {
	if n != csrFFlags {
		if n == csrFRM {
			e.storeFRM()
			e.fflags() // which MXCSR is about to lose
		} else {
			e.mov32RR(RCX, RDX)
			e.aluRI(aluAnd, false, RCX, 31)
			e.shiftRI(shr, false, RDX, 5)
			e.storeFRM()
		}
		e.mov32MR(at(state, e.l.FFlags), RCX)
		// RNE, RTZ, RDN and RUP are 0, 3, 1 and 2 here.
		e.rm(op{code: 0x0fb6}, RCX, at(state, e.l.FRM))
		e.aluRR(aluAdd, false, RCX, RCX)
		e.movRI(RAX, 2<<6|1<<4|3<<2)
		e.shiftCL(shr, false, RAX)
		e.aluRI(aluAnd, false, RAX, 3)
		e.shiftRI(shl, false, RAX, 13)
		e.aluRI(aluOr, false, RAX, defaultMXCSR)
		e.mov32MR(e.fpClean(), RAX)
		e.movMI(false, at(state, e.l.FPOn), 1)
		e.movMI(false, at(state, e.l.System.FPIf), 1)
	} else {
		e.mov32MR(at(state, e.l.FFlags), RDX)
	}
	e.aluMI(aluCmp, false, at(state, e.l.FPUsed), 0)
	plain := e.jcc(ccE)
	e.ldmxcsr(e.fpClean())
	e.here(plain)
	e.byte(0xc3)
}

// storeFRM stores DL.
func (e *Emitter) storeFRM() { e.rm(op{code: 0x88, low: true}, RDX, at(state, e.l.FRM)) }

// inMode has f emit what rounds statically: the mode is changed for it alone,
// unless it is that of frm.
func (e *Emitter) inMode(r ir.Round, f func()) {
	if r == ir.Dynamic {
		f()
		return
	}
	set := func(rc func()) {
		e.rm(op{code: 0x80}, 7, at(state, e.l.FRM)) // cmp
		e.byte(byte(r - ir.Nearest))
		same := e.jcc(ccE)
		e.stmxcsr(e.fpStatus())
		rc()
		e.aluMI(aluAnd, false, e.fpStatus(), ^roundingMask)
		e.aluMR(aluOr, false, e.fpStatus(), RAX)
		e.ldmxcsr(e.fpStatus())
		e.here(same)
	}
	set(func() { e.movRI(RAX, int64(hostRounding(r))<<13) })
	f()
	set(func() {
		e.mov32RM(RAX, e.fpClean())
		e.aluRI(aluAnd, false, RAX, roundingMask)
	})
}
