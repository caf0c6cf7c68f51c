package arm64

import (
	"math/bits"

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
	statusWritable = int64(riscv.MstatusSIE | riscv.MstatusSPIE | riscv.MstatusSPP | riscv.MstatusFS | riscv.MstatusSUM | riscv.MstatusMXR)

	sieBit  = 1
	spieBit = 5
	sppBit  = 8
	sumBit  = 18
	mxrBit  = 19
)

// privileged makes the routines that change mode and sstatus. They are called;
// X0 to X3 are theirs.
type privileged struct {
	*asm
	l    *Layout
	look int
	fail []int
}

// field is Emitter.field where X30 is the address to return to.
func (p *privileged) field(k width, t Reg, off int32) { p.access(k, t, state, off, X3) }

func (p *privileged) unless(branch int) { p.fail = append(p.fail, branch) }

// mode fails in another mode.
func (p *privileged) mode(m riscv.Privilege) {
	p.field(load8, X0, p.l.System.Priv)
	p.subsI(false, ZR, X0, uint32(m))
	p.unless(p.bc(ne))
}

// direct fails unless VCPU.direct has a bit.
func (p *privileged) direct(bit uint8) {
	p.field(load8, X0, p.l.System.Direct)
	p.unless(p.tbz(X0, uint8(bits.TrailingZeros8(bit))))
}

func (p *privileged) attention() {
	p.field(load32, X0, p.l.System.Attention)
	p.unless(p.cbnz(false, X0))
}

// pending fails if an interrupt is pending and enabled in mie.
func (p *privileged) pending() {
	s := &p.l.System
	p.field(load8, X0, s.TimerPending)
	p.ubfiz(X0, X0, 5, 1) // STIP
	p.field(load64, X3, s.Mip)
	p.rrr(opOrr, true, X0, X0, X3)
	p.field(load64, X3, s.Lines)
	p.rrr(opOrr, true, X0, X0, X3)
	p.field(load64, X3, s.Mie)
	p.rrr(opAnds, true, ZR, X0, X3)
	p.unless(p.bc(ne))
}

// end returns, with X0 not zero after a failure.
func (p *privileged) end() {
	p.here(p.fail...)
	p.fail = nil
	p.movI(X0, 1)
	p.ret()
}

// switchMode makes all that goes by the mode that of priv.
func (p *privileged) switchMode(priv riscv.Privilege, kind int32) {
	s := &p.l.System
	p.movI(X0, int64(priv))
	p.field(store8, X0, s.Priv)
	p.field(store8, X0, s.SeenPriv)
	p.field(load64, X0, s.Contexts+8*kind)
	p.field(store64, X0, p.l.FetchContext)
	p.field(load64, X2, s.JumpKey)
	p.logicalI(opAnd, true, X2, X2, ^int64(0xfff), X3) // the epoch
	p.rrr(opOrr, true, X2, X2, X0)
	p.field(store64, X2, s.JumpKey)
}

// supervisorContext makes DataContext that of S-mode when the lower half of
// mstatus is X1; MXR is 0.
func (p *privileged) supervisorContext() {
	s := &p.l.System
	p.field(load64, X0, s.Contexts+8*interp.ContextS)
	p.field(load64, X3, s.Contexts+8*interp.ContextSUM)
	p.tstI(false, X1, 1<<sumBit)
	p.csel(true, X0, X3, X0, ne)
	p.field(store64, X0, p.l.DataContext)
}

// status: sstatus becomes X1, of which only what S-mode may write differs from
// the lower half of mstatus. X0 tells whether it has not been done. X2 is kept.
func (p *privileged) status() {
	s := &p.l.System
	difference := func() {
		p.field(load32, X0, s.Mstatus)
		p.rrr(opEor, false, X0, X0, X1)
	}
	p.mode(riscv.Supervisor)
	p.direct(interp.DirectSupervisor)
	difference()
	p.unless(p.tbnz(X0, mxrBit))
	same := p.tbz(X0, sieBit)
	off := p.tbz(X1, sieBit)
	p.attention()
	p.pending()
	difference()
	p.here(same, off)
	p.tstI(false, X0, int64(riscv.MstatusFS))
	noFS := p.bc(eq)
	// Code that has the guest's flags in FPSR does not look at FPOn.
	p.field(load32, X3, p.l.FPUsed)
	p.unless(p.cbnz(false, X3))
	p.field(store32, X1, s.Mstatus)
	changed := p.b()
	p.here(noFS)
	p.field(store32, X1, s.Mstatus)
	done := p.tbz(X0, sumBit)
	p.here(changed)
	p.supervisorContext()
	p.movI(X3, int64(interp.ContextBits))
	p.rrr(opAnd, false, X0, X1, X3)
	p.field(store32, X0, s.SeenStatus)
	p.ubfx(false, X0, X1, riscv.MstatusFSShift, 2)
	p.subsI(false, ZR, X0, 3)
	p.cset(X0, eq)
	p.field(store8, X0, s.FPReady)
	p.field(store32, X0, p.l.FPMoves)
	p.field(load32, X3, s.FPIf)
	p.rrr(opAnd, false, X0, X0, X3)
	p.field(store32, X0, p.l.FPOn)
	p.here(done)
	p.movI(X0, 0)
	p.ret()
	p.end()
}

// call: an ecall from U, at X2. It returns only if it cannot be done.
func (p *privileged) call() {
	s := &p.l.System
	p.mode(riscv.User)
	p.direct(interp.DirectCall)
	p.attention()
	p.field(store64, X2, s.Sepc)
	p.movI(X0, int64(riscv.EnvironmentCallFromU))
	p.field(store64, X0, s.Scause)
	p.field(store64, ZR, s.Stval)
	p.field(load32, X1, s.Mstatus)
	p.ubfx(false, X0, X1, sieBit, 1)
	p.movI(X3, int64(riscv.MstatusSPP|riscv.MstatusSPIE|riscv.MstatusSIE))
	p.rrr(opBic, false, X1, X1, X3)
	p.shifted(opOrr, false, X1, X1, X0, lsl, spieBit)
	p.field(store32, X1, s.Mstatus)
	p.field(load64, X0, s.Limit)
	p.addI(true, X0, X0, -1, X3)
	p.field(store64, X0, s.Limit)
	p.switchMode(riscv.Supervisor, interp.ContextS)
	p.supervisorContext()
	p.field(load64, X0, s.Stvec)
	p.logicalI(opAnd, true, X0, X0, ^int64(riscv.TvecMode), X3)
	p.forgetCalls(p.l)
	p.lookup(p.l, p.look)
	p.end()
}

// sret returns only if it cannot be done.
func (p *privileged) sret() {
	s := &p.l.System
	p.mode(riscv.Supervisor)
	p.direct(interp.DirectSupervisor)
	p.attention()
	p.pending()
	p.field(load32, X1, s.Mstatus)
	p.mov32(X2, X1)
	p.ubfx(false, X0, X1, spieBit, 1)
	p.movI(X3, int64(riscv.MstatusSPP|riscv.MstatusSIE))
	p.rrr(opBic, false, X1, X1, X3)
	p.shifted(opOrr, false, X1, X1, X0, lsl, sieBit)
	p.logicalI(opOrr, false, X1, X1, 1<<spieBit, X3)
	p.field(store32, X1, s.Mstatus)
	stay := p.tbnz(X2, sppBit)
	p.switchMode(riscv.User, interp.ContextU)
	p.field(store64, X0, p.l.DataContext)
	p.here(stay)
	p.field(load64, X0, s.Sepc)
	p.forgetCalls(p.l)
	p.lookup(p.l, p.look)
	p.end()
}

// notUser leaves to the interpreter in U-mode.
func (e *Emitter) notUser() (slow int) {
	e.field(load8, X0, e.l.System.Priv)
	return e.cbz(false, X0)
}

// system emits a privileged Inst, or returns false if it has no form here.
func (e *Emitter) system(in *ir.Inst) bool {
	switch in.Op {
	case ir.CSRSwap, ir.CSRSet, ir.CSRClear:
		return e.csr(in)
	case ir.Call:
		e.leaPage(X2, int64(in.Target))
		e.callRoutine(e.r.call)
		e.callSlow(in.Index)
	case ir.Return:
		e.callRoutine(e.r.sret)
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

func (e *Emitter) callRoutine(routine int) { e.patch(e.bl(), routine-e.at) }

// across checks the page after that of the block, of which the TLB for fetches
// must know where it is. Code is compared as it is now, as the interpreter
// would fetch it.
func (e *Emitter) across(in *ir.Inst) {
	changed := e.acrossTo(in, 4096)
	e.colds = append(e.colds, func() {
		e.here(changed...)
		e.addI(true, budget, budget, int64(e.blk.Count), X0)
		e.leaPage(X0, int64(e.blk.Start))
		e.leave(e.r.across)
	})
}

// acrossTo is across for the page at an offset; it returns the branches for code
// that is not what it was.
func (e *Emitter) acrossTo(in *ir.Inst, next int32) (changed []int) {
	e.leaPage(X0, int64(next))
	other := e.fetchEntry(e.l, X0)
	e.access(load64, X1, X1, 8, LR)
	e.access(load16, X1, X1, 0, LR)
	e.movI(X2, in.Imm)
	e.cmp(false, X1, X2)
	return []int{other, e.bc(ne)}
}

// zeroLine stores 64 bytes of zeroes.
func (e *Emitter) zeroLine(in *ir.Inst) {
	e.field(load8, X0, e.l.System.Priv)
	e.field(load8, X1, e.l.System.Direct)
	e.rrr(opLsrv, false, X1, X1, X0)
	illegal := e.tbz(X1, uint8(bits.TrailingZeros8(interp.DirectZero)))
	e.logicalI(opAnd, true, X0, e.reg(in.A, X0), -64, X1)
	miss := e.translate(X0, stores, 1)
	e.rrr(opAdd, true, X3, X0, X3)
	for off := int32(0); off < 64; off += 16 {
		e.pair(false, ZR, ZR, X3, off)
	}
	e.slow(illegal, miss)
}

// csr emits an access to a register. A set of the immediate 0 only reads.
func (e *Emitter) csr(in *ir.Inst) bool {
	s := &e.l.System
	var at int32
	legal := int64(-1)
	switch riscv.CSR(in.Target) {
	case riscv.CSRSstatus:
		e.sstatus(in)
		return true
	case riscv.CSRSatp:
		e.satp(in)
		return true
	case riscv.CSRSscratch:
		at = s.Sscratch
	case riscv.CSRSepc:
		at, legal = s.Sepc, ^1 // priv §12.1.7
	case riscv.CSRScause:
		at = s.Scause
	case riscv.CSRStval:
		at = s.Stval
	case riscv.CSRStvec:
		at, legal = s.Stvec, ^2 // modes 2 and 3 are reserved (priv §12.1.2)
	default:
		return false
	}
	user := e.notUser()
	e.field(load64, X1, at)
	if !reads(in) {
		e.operand(in, X2)
		switch in.Op {
		case ir.CSRSet:
			e.rrr(opOrr, true, X2, X1, X2)
		case ir.CSRClear:
			e.rrr(opBic, true, X2, X1, X2)
		}
		if legal != -1 {
			e.logicalI(opAnd, true, X2, X2, legal, X3)
		}
		e.field(store64, X2, at)
	}
	e.put(in.Dst, X1)
	e.slow(user)
	return true
}

// reads tells whether an access only reads.
func reads(in *ir.Inst) bool {
	return in.Op == ir.CSRSet && in.Flags&ir.Immediate != 0 && in.Imm == 0
}

// operand copies what an access writes, sets or clears.
func (e *Emitter) operand(in *ir.Inst, d Reg) {
	if in.Flags&ir.Immediate != 0 {
		e.movI(d, in.Imm)
	} else {
		e.mov(d, e.reg(in.A, d))
	}
}

// satp emits a read of satp.
func (e *Emitter) satp(in *ir.Inst) {
	user := e.notUser()
	e.field(load8, X0, e.l.System.Direct) // TVM
	odd := e.tbz(X0, uint8(bits.TrailingZeros8(interp.DirectSupervisor)))
	e.field(load64, X0, e.l.System.Satp)
	e.put(in.Dst, X0)
	e.slow(user, odd)
}

// sstatus emits an access to sstatus. The old value is in X2.
func (e *Emitter) sstatus(in *ir.Inst) {
	at := e.l.System.Mstatus
	var slow int
	switch {
	case reads(in):
		slow = e.notUser()
		e.field(load32, X2, at)
	case in.Op == ir.CSRClear && in.Flags&ir.Immediate != 0:
		// Of the lowest five bits S-mode may write SIE only (priv §12.1.1).
		slow = e.notUser()
		e.field(load32, X2, at)
		if in.Imm>>sieBit&1 != 0 {
			e.logicalI(opAnd, false, X0, X2, ^int64(1<<sieBit), X1)
			e.field(store32, X0, at)
		}
	default:
		e.operand(in, X1)
		e.field(load32, X2, at)
		e.movI(X3, statusWritable)
		e.rrr(opAnd, false, X1, X1, X3)
		switch in.Op {
		case ir.CSRSet:
			e.rrr(opOrr, false, X1, X2, X1)
		case ir.CSRClear:
			e.rrr(opBic, false, X1, X2, X1)
		default:
			e.rrr(opBic, false, X0, X2, X3)
			e.rrr(opOrr, false, X1, X1, X0)
		}
		e.callRoutine(e.r.status)
		slow = e.cbnz(false, X0)
	}
	if in.Dst != 0 {
		// UXL is constant, SD sums up FS (priv §12.1.1).
		e.movI(X3, statusWritable)
		e.rrr(opAnd, false, X0, X2, X3)
		e.ubfx(false, X1, X2, riscv.MstatusFSShift, 2)
		e.subsI(false, ZR, X1, 3)
		e.cset(X1, eq)
		e.shifted(opOrr, true, X0, X0, X1, lsl, 63)
		e.logicalI(opOrr, true, X0, X0, int64(riscv.XL64<<riscv.MstatusUXLShift), X1)
		e.put(in.Dst, X0)
	}
	e.slow(slow)
}
