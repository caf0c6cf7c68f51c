package amd64

import "doppel/internal/cpu/jit/ir"

// amo emits an atomic access. Locked operations are sequentially consistent.
func (e *Emitter) amo(in *ir.Inst) {
	w := in.Size == 8
	e.get(RAX, in.A)
	miss := e.translate(e.l.Stores, in.Size)
	if in.Dst == 0 && ir.AmoAdd <= in.Op && in.Op <= ir.AmoXor {
		b := e.reg(in.B, RCX)
		e.lock()
		e.aluMR([...]alu{aluAdd, aluAnd, aluOr, aluXor}[in.Op-ir.AmoAdd], w, at(RAX, 0), b)
		e.slow(miss)
		return
	}
	e.movRR(RDX, RAX)
	switch in.Op {
	case ir.AmoSwap:
		e.get(RAX, in.B)
		e.rm(op{code: 0x87, w: w}, RAX, at(RDX, 0)) // xchg locks by itself
	case ir.AmoAdd:
		e.get(RAX, in.B)
		e.lock()
		e.rm(op{code: 0x0fc1, w: w}, RAX, at(RDX, 0)) // xadd
	case ir.AmoCas:
		e.get(RAX, in.Dst)
		e.get(RCX, in.B)
		e.cmpxchg(w)
	default:
		e.rm(op{code: 0x8b, w: w}, RAX, at(RDX, 0))
		again := e.pos()
		e.amoResult(in, w)
		e.cmpxchg(w)
		e.patch(e.jcc(ccNE), again)
	}
	if in.Dst != 0 {
		if !w {
			e.movsxd(RAX, RAX)
		}
		e.put(in.Dst, RAX)
	}
	e.slow(miss)
}

// amoResult makes RCX what is to be stored where RAX has been.
func (e *Emitter) amoResult(in *ir.Inst, w bool) {
	if in.Op <= ir.AmoXor {
		e.movRR(RCX, RAX)
		e.aluR([...]alu{aluAnd, aluOr, aluXor}[in.Op-ir.AmoAnd], w, RCX, in.B)
		return
	}
	e.get(RCX, in.B)
	e.aluRR(aluCmp, w, RCX, RAX)
	e.cmov([...]cond{ccG, ccL, ccA, ccB}[in.Op-ir.AmoMin], RCX, RAX)
}

func (a *asm) lock() { a.byte(0xf0) }

// cmpxchg stores RCX at RDX if RAX is there, and else loads RAX.
func (e *Emitter) cmpxchg(w bool) {
	e.lock()
	e.rm(op{code: 0x0fb1, w: w}, RCX, at(RDX, 0))
}

// loadReserved emits LR. The reservation is the hart's but for its address,
// which is the host's until code is left.
func (e *Emitter) loadReserved(in *ir.Inst) {
	e.get(RAX, in.A)
	miss := e.translate(e.l.Loads, in.Size)
	if ir.Order(in.Imm)&ir.WriteRead != 0 {
		e.barrier()
	}
	e.rm(loadOp(in.Size, true), RCX, at(RAX, 0))
	e.movMR(at(state, e.l.ResHost), RAX)
	e.movMR(at(state, e.l.ResValue), RCX)
	e.movMI8(at(state, e.l.ResSize), in.Size)
	e.movMI8(at(state, e.l.ResValid), 1)
	e.put(in.Dst, RCX)
	e.slow(miss)
}

// storeConditional emits SC. What does not follow an LR of the same place in
// code goes to the interpreter.
func (e *Emitter) storeConditional(in *ir.Inst) {
	w := in.Size == 8
	e.get(RAX, in.A)
	slow := []int{e.translate(e.l.Stores, in.Size)}
	e.aluMR(aluCmp, true, at(state, e.l.ResHost), RAX)
	held := e.jcc(ccE)
	// Kernels drop what reservation there may be by an SC, when there is none.
	e.rm(op{code: 0x80}, Reg(aluCmp), at(state, e.l.ResValid))
	e.byte(0)
	slow = append(slow, e.jcc(ccNE))
	d := e.dst(in.Dst)
	e.movRI(d, 1)
	e.put(in.Dst, d)
	failed := e.jmp()
	e.here(held)
	e.rm(op{code: 0x80}, Reg(aluCmp), at(state, e.l.ResSize))
	e.byte(in.Size)
	slow = append(slow, e.jcc(ccNE))
	e.movRR(RDX, RAX)
	e.get(RCX, in.B)
	e.movRM(RAX, at(state, e.l.ResValue))
	e.movMI8(at(state, e.l.ResValid), 0)
	e.movMI(true, at(state, e.l.ResHost), 0)
	e.cmpxchg(w)
	e.setcc(ccNE, RAX)
	e.zeroExtend8(d, RAX)
	e.put(in.Dst, d)
	e.here(failed)
	e.slow(slow...)
}

// movMI8 stores a byte.
func (a *asm) movMI8(m mem, v uint8) {
	a.rm(op{code: 0xc6}, 0, m)
	a.byte(v)
}

// barrier keeps loads from passing earlier stores.
func (e *Emitter) barrier() {
	e.lock()
	e.aluMI(aluOr, false, at(RSP, 0), 0)
}
