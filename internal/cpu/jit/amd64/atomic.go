package amd64

import "doppel/internal/cpu/jit/ir"

// amo emits an atomic access. Locked operations are sequentially consistent.
func (e *Emitter) amo(in *ir.Inst) {
	w := in.Size == 8
	e.get(RAX, in.A)
	miss := e.translate(e.l.Stores, in.Size)
	is := ir.AmoAnd <= in.Op && in.Op <= ir.AmoXor
	var o alu
	if is {
		o = [...]alu{aluAnd, aluOr, aluXor}[in.Op-ir.AmoAnd]
	}
	switch {
	case is && in.Dst == 0:
		b := e.reg(in.B, RCX)
		e.byte(0xf0)
		e.aluMR(o, w, at(RAX, 0), b)
	case is:
		e.movRR(RDX, RAX)
		e.rm(op{code: 0x8b, w: w}, RAX, at(RDX, 0))
		again := e.pos()
		e.movRR(RCX, RAX)
		e.aluR(o, w, RCX, in.B)
		e.cmpxchg(w)
		e.patch(e.jcc(ccNE), again)
	case in.Op == ir.AmoCas:
		e.movRR(RDX, RAX)
		e.get(RAX, in.Dst)
		e.get(RCX, in.B)
		e.cmpxchg(w)
	case in.Op == ir.AmoAdd:
		e.movRR(RDX, RAX)
		e.get(RAX, in.B)
		e.byte(0xf0)
		e.rm(op{code: 0x0fc1, w: w}, RAX, at(RDX, 0)) // xadd
	default: // AmoSwap
		e.movRR(RDX, RAX)
		e.get(RAX, in.B)
		e.rm(op{code: 0x87, w: w}, RAX, at(RDX, 0)) // xchg locks by itself
	}
	if in.Dst != 0 {
		if !w {
			e.movsxd(RAX, RAX)
		}
		e.put(in.Dst, RAX)
	}
	e.slow(miss)
}

// cmpxchg stores RCX at RDX if RAX is there, and else loads RAX.
func (e *Emitter) cmpxchg(w bool) {
	e.byte(0xf0)
	e.rm(op{code: 0x0fb1, w: w}, RCX, at(RDX, 0))
}
