package arm64

import "doppel/internal/cpu/jit/ir"

// The CSRs of floating point: flags are in memory and, while FPSR is the
// guest's, in FPSR too; the rounding mode is in memory, in what FPCR starts
// with (FPClean) and in FPCR.

// By their numbers, which Inst.Size has.
const (
	csrFFlags = 1
	csrFRM    = 2
)

// fcsr emits an access to fflags, frm or fcsr. The old value is in X1, the new
// one in X2.
func (e *Emitter) fcsr(in *ir.Inst) {
	slow := []int{e.fpMoves()}
	if in.Size == csrFRM {
		e.field(load8, X1, e.l.FRM)
	} else {
		e.fflags()
		if in.Size != csrFFlags {
			e.field(load8, X0, e.l.FRM)
			e.shifted(opOrr, false, X1, X1, X0, lsl, 5)
		}
	}
	if in.Op != ir.FCSRRead {
		slow = append(slow, e.fcsrNew(in)...)
	}
	e.put(in.Dst, X1)
	if in.Op != ir.FCSRRead {
		e.fcsrWrite(in.Size)
	}
	e.slow(slow...)
}

// fflags loads the flags into X1. X0 is lost.
func (e *Emitter) fflags() {
	e.field(load32, X1, e.l.FFlags)
	e.field(load32, X0, e.l.FPUsed)
	plain := e.cbz(false, X0)
	e.readFPSR(X0)
	e.rbit(false, X0, X0)
	e.shifted(opOrr, false, X1, X1, X0, lsr, 27) // unpriv §20.2: NV first
	e.here(plain)
}

// fcsrNew computes what is to be written. Rounding modes that the host lacks,
// and reserved ones, are left to the interpreter.
func (e *Emitter) fcsrNew(in *ir.Inst) (slow []int) {
	if in.Flags&ir.Immediate != 0 {
		e.movI(X2, in.Imm)
	} else {
		e.mov32(X2, e.reg(in.A, X2))
	}
	switch in.Op {
	case ir.FCSRSet:
		e.rrr(opOrr, false, X2, X1, X2)
	case ir.FCSRClear:
		e.rrr(opBic, false, X2, X1, X2)
	}
	if in.Size == csrFFlags {
		return nil
	}
	at := uint8(5)
	if in.Size == csrFRM {
		at = 0
	}
	e.ubfx(false, X3, X2, at, 3)
	e.subsI(false, ZR, X3, 3)
	return []int{e.bc(hi)}
}

// fcsrWrite writes X2, and the rounding mode in X3.
func (e *Emitter) fcsrWrite(csr uint8) {
	if csr != csrFRM {
		e.ubfx(false, X2, X2, 0, 5)
		e.field(store32, X2, e.l.FFlags)
	}
	if csr != csrFFlags {
		e.field(store8, X3, e.l.FRM)
		// RNE, RTZ, RDN and RUP are 0, 3, 2 and 1 there.
		e.rrr(opSub, false, X3, ZR, X3)
		e.ubfiz(X3, X3, 22, 2)
		e.logicalI(opOrr, false, X3, X3, int64(Control(ir.Nearest)), X0)
		e.field(store32, X3, e.l.FPClean)
		e.movI(X0, 1)
		e.field(store32, X0, e.l.FPOn)
		e.field(store32, X0, e.l.System.FPIf)
	}
	e.field(load32, X0, e.l.FPUsed)
	plain := e.cbz(false, X0)
	if csr != csrFRM {
		e.writeFPSR(ZR)
	}
	if csr != csrFFlags {
		e.writeFPCR(X3)
	}
	e.here(plain)
}
