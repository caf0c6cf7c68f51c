package arm64

import "doppel/internal/cpu/jit/ir"

// barrier emits what orders at least what the Inst asks for. The host orders
// nothing by itself but what depends on each other.
func (e *Emitter) barrier(o ir.Order) {
	switch {
	case o == 0:
	case o&^(ir.ReadRead|ir.ReadWrite) == 0:
		e.dmb(ishld)
	case o == ir.WriteWrite:
		e.dmb(ishst)
	default:
		e.dmb(ish)
	}
}

// amo emits an atomic access. Those of Armv8.1 that acquire and release are
// full barriers where they store; after an exclusive pair, what follows could
// pass the store.
func (e *Emitter) amo(in *ir.Inst) {
	w := in.Size == 8
	a := e.reg(in.A, X0)
	miss := e.translate(a, stores, in.Size)
	e.rrr(opAdd, true, X3, a, X3)
	b := e.reg(in.B, X1)
	if e.r.atomic {
		e.amoAtomic(in, w, b)
	} else {
		e.amoExclusive(in, w, b)
	}
	if in.Dst != 0 {
		if !w {
			e.sxtw(X0, X0)
		}
		e.put(in.Dst, X0)
	}
	e.slow(miss)
}

// amoAtomic: X3 is the address; X0 becomes what was there.
func (e *Emitter) amoAtomic(in *ir.Inst, w bool, b Reg) {
	switch in.Op {
	case ir.AmoSwap:
		e.atomic(opSwp, w, b, X0, X3)
	case ir.AmoAdd:
		e.atomic(opLdadd, w, b, X0, X3)
	case ir.AmoAnd:
		e.rrr(opOrn, true, X2, ZR, b)
		e.atomic(opLdclr, w, X2, X0, X3)
	case ir.AmoOr:
		e.atomic(opLdset, w, b, X0, X3)
	case ir.AmoXor:
		e.atomic(opLdeor, w, b, X0, X3)
	case ir.AmoMin:
		e.atomic(opLdsmin, w, b, X0, X3)
	case ir.AmoMax:
		e.atomic(opLdsmax, w, b, X0, X3)
	case ir.AmoMinU:
		e.atomic(opLdumin, w, b, X0, X3)
	case ir.AmoMaxU:
		e.atomic(opLdumax, w, b, X0, X3)
	case ir.AmoCas:
		e.dmb(ish) // it releases nothing if it does not store
		e.mov(X0, e.reg(in.Dst, X0))
		e.casal(w, X0, b, X3)
	}
}

func (e *Emitter) amoExclusive(in *ir.Inst, w bool, b Reg) {
	again := e.pos()
	e.ldaxr(w, X0, X3)
	value := X2
	switch in.Op {
	case ir.AmoSwap:
		value = b
	case ir.AmoAdd:
		e.rrr(opAdd, w, X2, X0, b)
	case ir.AmoAnd:
		e.rrr(opAnd, w, X2, X0, b)
	case ir.AmoOr:
		e.rrr(opOrr, w, X2, X0, b)
	case ir.AmoXor:
		e.rrr(opEor, w, X2, X0, b)
	case ir.AmoMin, ir.AmoMax, ir.AmoMinU, ir.AmoMaxU:
		e.cmp(w, X0, b)
		e.csel(w, X2, X0, b, [...]cond{lt, gt, lo, hi}[in.Op-ir.AmoMin])
	case ir.AmoCas: // what differs is stored back
		e.cmp(w, X0, e.reg(in.Dst, X2))
		e.csel(w, X2, b, X0, eq)
	}
	e.stlxr(w, LR, value, X3)
	e.cbnz2(false, LR, again)
	e.dmb(ish)
}

// loadReserved emits LR, which always acquires. The reservation is the hart's
// but for its address, which is the host's until code is left.
func (e *Emitter) loadReserved(in *ir.Inst) {
	w := in.Size == 8
	a := e.reg(in.A, X0)
	miss := e.translate(a, loads, in.Size)
	e.barrier(ir.Order(in.Imm))
	e.rrr(opAdd, true, X3, a, X3)
	e.ldar(w, X0, X3)
	if !w {
		e.sxtw(X0, X0)
	}
	e.field(store64, X3, e.l.ResHost)
	e.field(store64, X0, e.l.ResValue)
	e.movI(X1, int64(in.Size))
	e.field(store8, X1, e.l.ResSize)
	e.movI(X1, 1)
	e.field(store8, X1, e.l.ResValid)
	e.put(in.Dst, X0)
	e.slow(miss)
}

// storeConditional emits SC: it stores if memory holds what LR has loaded. What
// does not follow an LR of the same place in code goes to the interpreter.
func (e *Emitter) storeConditional(in *ir.Inst) {
	w := in.Size == 8
	a := e.reg(in.A, X0)
	slow := []int{e.translate(a, stores, in.Size)}
	e.rrr(opAdd, true, X3, a, X3)
	e.field(load64, X0, e.l.ResHost)
	e.cmp(true, X0, X3)
	slow = append(slow, e.bc(ne))
	e.field(load8, X0, e.l.ResSize)
	e.subsI(false, ZR, X0, uint32(in.Size))
	slow = append(slow, e.bc(ne))
	e.field(load64, X2, e.l.ResValue)
	e.field(store8, ZR, e.l.ResValid)
	e.field(store64, ZR, e.l.ResHost)
	b := e.reg(in.B, X1)
	if e.r.atomic {
		e.mov(X0, X2)
		e.casal(w, X0, b, X3)
		e.cmp(w, X0, X2)
	} else {
		again := e.pos()
		e.ldaxr(w, X0, X3)
		e.cmp(w, X0, X2)
		differs := e.bc(ne)
		e.stlxr(w, LR, b, X3)
		e.cbnz2(false, LR, again)
		e.dmb(ish) // keeps the flags
		e.here(differs)
	}
	d := e.dst(in.Dst)
	e.cset(d, ne)
	e.put(in.Dst, d)
	e.slow(slow...)
}
