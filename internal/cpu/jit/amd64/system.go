package amd64

import (
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

// The privileged instructions of a kernel's hot paths. They do what package
// hart does, and leave to the interpreter what is rare: other modes than U and
// S, interrupts that may have become deliverable, and whatever VCPU.direct does
// not promise.
//
// mstatus is dealt with by its lower half, where all is that S-mode may write.
const (
	statusWritable = int32(riscv.MstatusSIE | riscv.MstatusSPIE | riscv.MstatusSPP | riscv.MstatusFS | riscv.MstatusSUM | riscv.MstatusMXR)
	sumShift       = 18
)

// systemRoutines makes the routines that change mode and sstatus. They are
// called; RAX, RCX and RDX are theirs.
func (a *asm) systemRoutines(l *Layout, r *Routines) {
	s := &l.System
	cmpByte := func(off int32, v byte) {
		a.rm(op{code: 0x80}, 7, at(state, off))
		a.byte(v)
	}
	testByte := func(off int32, v byte) {
		a.rm(op{code: 0xf6}, 0, at(state, off))
		a.byte(v)
	}
	movByte := func(off int32, v byte) {
		a.rm(op{code: 0xc6}, 0, at(state, off))
		a.byte(v)
	}
	testRI := func(reg Reg, v int32) {
		a.rr(op{code: 0xf7}, 0, reg)
		a.imm32(v)
	}
	var fail []int
	unless := func(c cond) { fail = append(fail, a.jcc(c)) }
	attention := func() {
		a.aluMI(aluCmp, false, at(state, s.Attention), 0)
		unless(ccNE)
	}
	// pending: no interrupt is pending and enabled in mie. RAX is lost.
	pending := func() {
		a.rm(op{code: 0x0fb6}, RAX, at(state, s.TimerPending)) // movzx
		a.shiftRI(shl, false, RAX, 5)                          // STIP
		a.aluRM(aluOr, true, RAX, at(state, s.Mip))
		a.aluRM(aluOr, true, RAX, at(state, s.Lines))
		a.rm(wide(0x85), RAX, at(state, s.Mie)) // test
		unless(ccNE)
	}
	failed := func() {
		a.here(fail...)
		fail = nil
		a.byte(0xf9, 0xc3) // stc; ret
	}
	context := func(kind int32) mem { return at(state, s.Contexts+8*kind) }
	// switchMode makes all that goes by the mode that of priv.
	switchMode := func(priv riscv.Privilege, kind int32) {
		movByte(s.Priv, byte(priv))
		movByte(s.SeenPriv, byte(priv))
		a.movRM(RAX, context(kind))
		a.movMR(at(state, l.FetchContext), RAX)
		a.movRM(RDX, at(state, s.JumpKey))
		a.aluRI(aluAnd, true, RDX, -4096) // the epoch
		a.aluRR(aluOr, true, RDX, RAX)
		a.movMR(at(state, s.JumpKey), RDX)
	}

	// status: sstatus becomes ECX, of which only what S-mode may write differs
	// from the lower half of mstatus. Carry tells that it has not been done.
	// RDX is kept.
	r.status = a.pos()
	cmpByte(s.Priv, byte(riscv.Supervisor))
	unless(ccNE)
	testByte(s.Direct, interp.DirectSupervisor)
	unless(ccE)
	a.mov32RM(RAX, at(state, s.Mstatus))
	a.aluRR(aluXor, false, RAX, RCX)
	testRI(RAX, int32(riscv.MstatusMXR))
	unless(ccNE)
	testRI(RAX, int32(riscv.MstatusSIE))
	same := a.jcc(ccE)
	testRI(RCX, int32(riscv.MstatusSIE))
	off := a.jcc(ccE)
	attention()
	pending()
	a.mov32RM(RAX, at(state, s.Mstatus))
	a.aluRR(aluXor, false, RAX, RCX)
	a.here(same, off)
	testRI(RAX, int32(riscv.MstatusFS))
	noFS := a.jcc(ccE)
	// Code that has the guest's flags in MXCSR does not look at FPOn.
	a.aluMI(aluCmp, false, at(state, l.FPUsed), 0)
	unless(ccNE)
	a.here(noFS)
	a.mov32MR(at(state, s.Mstatus), RCX)
	testRI(RAX, int32(riscv.MstatusFS|riscv.MstatusSUM))
	done := a.jcc(ccE)
	a.setDataContext(l)
	a.mov32RR(RAX, RCX)
	a.aluRI(aluAnd, false, RAX, int32(interp.ContextBits))
	a.mov32MR(at(state, s.SeenStatus), RAX)
	a.aluRI(aluAnd, false, RCX, int32(riscv.MstatusFS))
	a.aluRI(aluCmp, false, RCX, int32(riscv.MstatusFS))
	a.setcc(ccE, RAX)
	a.zeroExtend8(RAX, RAX)
	a.rm(op{code: 0x88, low: true}, RAX, at(state, s.FPReady))
	a.mov32MR(at(state, l.FPMoves), RAX)
	a.aluRM(aluAnd, false, RAX, at(state, s.FPIf))
	a.mov32MR(at(state, l.FPOn), RAX)
	a.here(done)
	a.byte(0xf8, 0xc3) // clc; ret
	failed()

	// call: an ecall from U, at RDX. It returns only if it cannot be done.
	r.call = a.pos()
	cmpByte(s.Priv, byte(riscv.User))
	unless(ccNE)
	testByte(s.Direct, interp.DirectCall)
	unless(ccE)
	attention()
	a.movMR(at(state, s.Sepc), RDX)
	a.movMI(true, at(state, s.Scause), int32(riscv.EnvironmentCallFromU))
	a.movMI(true, at(state, s.Stval), 0)
	a.mov32RM(RCX, at(state, s.Mstatus))
	a.mov32RR(RAX, RCX)
	a.aluRI(aluAnd, false, RCX, ^int32(riscv.MstatusSPP|riscv.MstatusSPIE|riscv.MstatusSIE))
	a.aluRI(aluAnd, false, RAX, int32(riscv.MstatusSIE))
	a.shiftRI(shl, false, RAX, 4) // SPIE
	a.aluRR(aluOr, false, RCX, RAX)
	a.mov32MR(at(state, s.Mstatus), RCX)
	a.aluMI(aluSub, true, at(state, s.Limit), 1)
	switchMode(riscv.Supervisor, interp.ContextS)
	a.setDataContext(l)
	a.movRM(RAX, at(state, s.Stvec))
	a.aluRI(aluAnd, true, RAX, ^int32(riscv.TvecMode))
	a.goOn(l, r)
	failed()

	// ret: an sret. It returns only if it cannot be done.
	r.ret = a.pos()
	cmpByte(s.Priv, byte(riscv.Supervisor))
	unless(ccNE)
	testByte(s.Direct, interp.DirectSupervisor)
	unless(ccE)
	attention()
	pending()
	a.mov32RM(RCX, at(state, s.Mstatus))
	a.mov32RR(RAX, RCX)
	a.mov32RR(RDX, RCX)
	a.aluRI(aluAnd, false, RCX, ^int32(riscv.MstatusSPP|riscv.MstatusSIE))
	a.aluRI(aluAnd, false, RAX, int32(riscv.MstatusSPIE))
	a.shiftRI(shr, false, RAX, 4) // SIE
	a.aluRR(aluOr, false, RCX, RAX)
	a.aluRI(aluOr, false, RCX, int32(riscv.MstatusSPIE))
	a.mov32MR(at(state, s.Mstatus), RCX)
	testRI(RDX, int32(riscv.MstatusSPP))
	stay := a.jcc(ccNE)
	switchMode(riscv.User, interp.ContextU)
	a.setUserContext(l)
	a.here(stay)
	a.movRM(RAX, at(state, s.Sepc))
	a.goOn(l, r)
	failed()
}

// setDataContext makes DataContext that of S-mode when the lower half of
// mstatus is ECX, setUserContext that of U-mode; MXR is 0. RAX is lost. In
// generated code DataContext changes nowhere else.
func (a *asm) setDataContext(l *Layout) {
	context := func(kind int32) mem { return at(state, l.System.Contexts+8*kind) }
	a.movRM(RAX, context(interp.ContextS))
	a.rr(op{code: 0x0fba}, 4, RCX) // bt
	a.byte(sumShift)
	a.rm(wide(0x0f40|uint32(ccB)), RAX, context(interp.ContextSUM)) // cmov
	a.movMR(at(state, l.DataContext), RAX)
}

func (a *asm) setUserContext(l *Layout) {
	a.movRM(RAX, at(state, l.System.Contexts+8*interp.ContextU))
	a.movMR(at(state, l.DataContext), RAX)
}

// goOn leaves a routine for the code at RAX.
func (a *asm) goOn(l *Layout, r *Routines) {
	a.forgetCalls(l)
	lookup(a, l, r.look)
}

// privileged leaves to the interpreter in U-mode.
func (e *Emitter) privileged() (slow int) {
	e.rm(op{code: 0x80}, 7, at(state, e.l.System.Priv)) // cmp
	e.byte(byte(riscv.User))
	return e.jcc(ccE)
}

// system emits a privileged Inst, or returns false if it has no form here.
func (e *Emitter) system(in *ir.Inst) bool {
	switch in.Op {
	case ir.CSRSwap, ir.CSRSet, ir.CSRClear:
		return e.csr(in)
	case ir.Call:
		e.leaPage(RDX, in.Target)
		e.callRoutine(e.r.call)
		e.callSlow(in.Index)
	case ir.Return:
		e.callRoutine(e.r.ret)
		e.callSlow(in.Index)
	case ir.ZeroLine:
		e.zeroLine(in)
	case ir.Across:
		e.across(in)
	default:
		return false
	}
	return true
}

// across checks the page after that of the block, of which the TLB for fetches
// must know where it is. Code is compared as it is now, as the interpreter
// would fetch it.
func (e *Emitter) across(in *ir.Inst) {
	changed := e.acrossTo(in, 4096)
	e.colds = append(e.colds, func() {
		e.here(changed...)
		e.aluRI(aluAdd, true, budget, int32(e.blk.Count))
		e.leaPage(RAX, e.blk.Start)
		e.leave(e.r.across)
	})
}

// acrossTo is across for the page at an offset; it returns the displacements
// of jumps for code that is not what it was.
func (e *Emitter) acrossTo(in *ir.Inst, next int32) (changed []int) {
	entry := func(off int32) mem { return mem{state, RCX, 0, e.l.Fetches + off} }
	e.leaPage(RDX, next)
	e.mov32RR(RCX, RDX)
	e.shiftRI(shr, false, RCX, 12-5)
	e.aluRI(aluAnd, false, RCX, (e.l.FetchEntries-1)<<5)
	e.aluRM(aluOr, true, RDX, at(state, e.l.FetchContext))
	e.aluRM(aluCmp, true, RDX, entry(0))
	other := e.jcc(ccNE)
	e.movRM(RCX, entry(8))
	e.rm(op{code: 0x0fb7}, RCX, at(RCX, 0)) // movzx
	e.aluRI(aluCmp, false, RCX, int32(in.Imm))
	return []int{other, e.jcc(ccNE)}
}

// zeroLine stores 64 bytes of zeroes.
func (e *Emitter) zeroLine(in *ir.Inst) {
	e.rm(op{code: 0x0fb6}, RCX, at(state, e.l.System.Priv))   // movzx
	e.rm(op{code: 0x0fb6}, RAX, at(state, e.l.System.Direct)) // movzx
	e.rr(op{code: 0x0fa3}, RCX, RAX)                          // bt eax, ecx: DirectZero
	illegal := e.jcc(ccAE)
	e.get(RAX, in.A)
	e.aluRI(aluAnd, true, RAX, -64)
	miss := e.translate(e.l.Stores, 1)
	e.rr(op{code: 0x0f57}, xmm0, xmm0) // xorps
	for off := int32(0); off < 64; off += 16 {
		e.rm(op{code: 0x0f11}, xmm0, at(RAX, off)) // movups
	}
	e.slow(illegal, miss)
}

// csr emits an access to a register. A set of the immediate 0 only reads.
func (e *Emitter) csr(in *ir.Inst) bool {
	s := &e.l.System
	var m mem
	legal := int32(-1)
	switch riscv.CSR(in.Target) {
	case riscv.CSRSstatus:
		e.sstatus(in)
		return true
	case riscv.CSRSatp:
		e.satp(in)
		return true
	case riscv.CSRSscratch:
		m = at(state, s.Sscratch)
	case riscv.CSRSepc:
		m, legal = at(state, s.Sepc), ^1 // priv §12.1.7
	case riscv.CSRScause:
		m = at(state, s.Scause)
	case riscv.CSRStval:
		m = at(state, s.Stval)
	case riscv.CSRStvec:
		m, legal = at(state, s.Stvec), ^2 // modes 2 and 3 are reserved (priv §12.1.2)
	default:
		return false
	}
	user := e.privileged()
	if in.Dst != 0 || in.Op != ir.CSRSwap {
		e.movRM(RAX, m)
	}
	if !reads(in) {
		e.operand(in)
		switch in.Op {
		case ir.CSRSet:
			e.aluRR(aluOr, true, RCX, RAX)
		case ir.CSRClear:
			e.rr(wide(0xf7), 2, RCX) // not
			e.aluRR(aluAnd, true, RCX, RAX)
		}
		if legal != -1 {
			e.aluRI(aluAnd, true, RCX, legal)
		}
		e.movMR(m, RCX)
	}
	e.put(in.Dst, RAX)
	e.slow(user)
	return true
}

// reads tells whether an access only reads.
func reads(in *ir.Inst) bool {
	return in.Op == ir.CSRSet && in.Flags&ir.Immediate != 0 && in.Imm == 0
}

// operand puts what an access writes, sets or clears into RCX.
func (e *Emitter) operand(in *ir.Inst) {
	if in.Flags&ir.Immediate != 0 {
		e.movRI(RCX, in.Imm)
	} else {
		e.get(RCX, in.A)
	}
}

// satp emits a read of satp.
func (e *Emitter) satp(in *ir.Inst) {
	user := e.privileged()
	e.rm(op{code: 0xf6}, 0, at(state, e.l.System.Direct)) // test: TVM
	e.byte(interp.DirectSupervisor)
	odd := e.jcc(ccE)
	e.movRM(RAX, at(state, e.l.System.Satp))
	e.put(in.Dst, RAX)
	e.slow(user, odd)
}

// sstatus emits an access to sstatus.
func (e *Emitter) sstatus(in *ir.Inst) {
	m := at(state, e.l.System.Mstatus)
	var slow int
	switch {
	case reads(in):
		slow = e.privileged()
		e.movRM(RDX, m)
	case in.Op == ir.CSRClear && in.Flags&ir.Immediate != 0:
		// Of the lowest five bits S-mode may write SIE only (priv §12.1.1).
		slow = e.privileged()
		if in.Dst != 0 {
			e.movRM(RDX, m)
		}
		if in.Imm&int64(riscv.MstatusSIE) != 0 {
			e.aluMI(aluAnd, false, m, ^int32(riscv.MstatusSIE))
		}
	default:
		e.operand(in)
		e.movRM(RDX, m)
		e.aluRI(aluAnd, false, RCX, statusWritable)
		switch in.Op {
		case ir.CSRSet:
			e.aluRR(aluOr, false, RCX, RDX)
		case ir.CSRClear:
			e.rr(op{code: 0xf7}, 2, RCX) // not
			e.aluRR(aluAnd, false, RCX, RDX)
		default:
			e.mov32RR(RAX, RDX)
			e.aluRI(aluAnd, false, RAX, ^statusWritable)
			e.aluRR(aluOr, false, RCX, RAX)
		}
		e.callRoutine(e.r.status)
		slow = e.jcc(ccB)
		e.fp.moves, e.fp.armed = false, false
	}
	if in.Dst != 0 {
		// UXL is constant, SD sums up FS (priv §12.1.1): adding 1 to Dirty
		// carries out of it.
		e.mov32RR(RAX, RDX)
		e.aluRI(aluAnd, false, RAX, statusWritable)
		e.aluRI(aluAnd, false, RDX, int32(riscv.MstatusFS))
		e.aluRI(aluAdd, false, RDX, 1<<riscv.MstatusFSShift)
		e.shiftRI(shr, false, RDX, riscv.MstatusFSShift+2)
		e.shiftRI(shl, true, RDX, 63)
		e.aluRR(aluOr, true, RAX, RDX)
		e.movRI(RDX, int64(riscv.XL64<<riscv.MstatusUXLShift))
		e.aluRR(aluOr, true, RAX, RDX)
		e.put(in.Dst, RAX)
	}
	e.slow(slow)
}
