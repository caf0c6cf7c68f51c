// Package amd64 turns micro-operations into the machine code of x86-64 hosts.
// It is host-neutral Go: it makes bytes, and neither maps nor runs them.
//
// In generated code R15 points 128 bytes into the guest's integer registers,
// and all that the code touches but guest memory is at fixed distances from it
// (Layout). R14 is what is left of the instruction budget, RBP the virtual
// address of the page of the running block. Some guest registers live in host
// registers (mapped) all the time, the others in memory. RAX, RCX and RDX are
// free. The stack holds what calls have left for returns (calls.go) above the
// return address to the trampoline.
//
// A block first takes its length off the budget; exits in its middle give the
// rest back. Where an instruction cannot be done inline, its stub calls
// exitSlow with the instruction's number, and the engine executes it and
// resumes after the call. Nothing that the block does before that needs to be
// undone: an Inst has no effect before its last check.
package amd64

import (
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// Layout is in bytes from R15.
type Layout abi.Layout

// Routines are what all code shares.
type Routines struct {
	Bytes []byte
	Data  int // where Bytes are constants and no longer code
	Enter int // address in RAX
	slow  int
	look  int
	far   int // goes on at the virtual address in RAX
	link  int
	ask   int // link or far
	short int
	fpRoutines
	pause int
	more  int // slices.go

	fillLoad, fillStore int

	moreLoads, moreStores int // page.go
	interpret             int // leaves for good before the instruction EAX

	// system.go
	status, call, ret int
	across            int // leaves before the instruction at RAX
}

const (
	state  = R15
	budget = R14
	page   = RBP
)

// mapped lists the guest registers that have a host register: those that
// compiled code uses most.
var mapped = [...]struct {
	guest ir.Reg
	host  Reg
}{{2, RBX}, {8, RSI}, {10, RDI}, {11, R8}, {12, R9}, {13, R10}, {14, R11}, {15, R12}, {9, R13}}

// homes says in which host register each guest register is, or noHome.
type homes [32]Reg

// mappedHomes are those of mapped.
var mappedHomes = func() (t homes) {
	for i := range t {
		t[i] = noHome
	}
	for _, m := range mapped {
		t[m.guest] = m.host
	}
	return t
}()

const noHome Reg = 0xff

// asks: of so many jumps to other pages that are not linked, one asks to be. Who
// jumps there often is soon linked, and a process that ends soon asks for little.
const asks = 16

// NewRoutines makes what is shared.
func NewRoutines(l *Layout) *Routines {
	r := &Routines{}
	data := r.place(0)
	r.emit(l)
	r.Data = (len(r.Bytes) + 15) &^ 15
	r.place(r.Data)
	r.emit(l) // as long as before
	r.Bytes = append(append(r.Bytes, make([]byte, r.Data-len(r.Bytes))...), data...)
	return r
}

func (r *Routines) emit(l *Layout) {
	var a asm
	r.fpRoutines.emit(&a, l)
	r.moreRoutines(&a, l)
	r.Enter = a.pos()
	a.aluMI(aluCmp, false, at(state, l.FPUsed), 0)
	unarmed := a.jcc(ccE)
	a.ldmxcsr(at(state, l.FPClean))
	a.here(unarmed)
	for _, m := range mapped {
		a.movRM(m.host, l.x(m.guest))
	}
	a.movRM(budget, at(state, l.Left))
	a.movRM(page, at(state, l.Base))
	a.startCalls(l)
	a.rr(op{code: 0xff}, 4, RAX) // jmp rax

	var tail []int
	exit := func(reason int32) {
		a.movMI(false, at(state, l.Reason), reason)
		tail = append(tail, a.jmp())
	}
	r.slow = a.pos()
	a.byte(0x5a) // pop rdx
	a.movMR(at(state, l.Resume), RDX)
	a.mov32MR(at(state, l.ID), RAX)
	exit(abi.ExitSlow)
	r.interpret = a.pos()
	a.mov32MR(at(state, l.ID), RAX)
	exit(abi.ExitInterpret)
	r.ask = a.pos()
	a.aluMI(aluSub, false, at(state, l.Asks), 1)
	a.patch(a.jcc(ccAE), r.far)
	a.movMI(false, at(state, l.Asks), asks-1)
	r.link = a.pos()
	a.movMR(at(state, l.PC), RAX)
	a.mov32MR(at(state, l.ID), RCX)
	exit(abi.ExitLink)
	r.look = a.pos()
	a.movMR(at(state, l.PC), RAX)
	exit(abi.ExitLookup)
	r.short = a.pos()
	a.movMR(at(state, l.PC), RAX)
	exit(abi.ExitBudget)
	r.across = a.pos()
	a.movMR(at(state, l.PC), RAX)
	exit(abi.ExitAcross)

	r.pause = a.pos()
	a.byte(0x5a) // pop rdx
	a.movMR(at(state, l.Resume), RDX)
	a.movMR(at(state, l.PC), RAX)
	a.movMI(false, at(state, l.Reason), abi.ExitPause)
	stored := a.jmp()

	a.here(tail...)
	for _, m := range mapped {
		a.movMR(l.x(m.guest), m.host)
	}
	a.here(stored)
	a.movRM(RSP, at(state, l.Stack))
	a.movMR(at(state, l.Left), budget)
	a.movMR(at(state, l.Base), page)
	a.aluMI(aluCmp, false, at(state, l.FPUsed), 0)
	plain := a.jcc(ccE)
	a.stmxcsr(at(state, l.FPStatus))
	a.byte(0x68) // push, for Go to have its rounding mode back
	a.imm32(defaultMXCSR)
	a.ldmxcsr(at(RSP, 0))
	a.byte(0x59) // pop rcx
	a.here(plain)
	a.byte(0xc3)
	r.more = a.pos()
	a.moreRoutine(l)
	r.fillLoad = a.pos()
	fillRoutine(&a, l, l.Loads)
	r.fillStore = a.pos()
	fillRoutine(&a, l, l.Stores)
	r.far = a.pos()
	lookup(&a, l, r.look)
	a.systemRoutines(l, r)
	r.Bytes = a.buf
}

// Look is the routine that leaves with ExitLookup, for CodeTables.
func (r *Routines) Look() int { return r.look }

func (l *Layout) x(r ir.Reg) mem { return at(state, l.X+8*int32(r)) }

func (l *Layout) f(r ir.Reg) mem { return at(state, l.F+8*int32(r-ir.F0)) }

// stub is what stands out of line.
type stub struct {
	from   []int // displacements that lead to it
	index  uint8 // of the slow instruction
	resume int
	copies []fcopy // to be there when the block goes on

	check pageCheck // that has failed, if in is not nil
	final bool      // the block is left for good, before the instruction

	leave bool  // the block does not go on,
	next  int32 // but what is at this offset does
}

// side is an exit by a branch.
type side struct {
	from   int
	target int32
	back   int32 // what it gives back of the budget
}

// Emitter makes code. It is used by one goroutine.
type Emitter struct {
	asm
	home homes
	l    *Layout
	r    *Routines
	at   int // address of the block's code, from that of the Routines
	id   int32
	inst int // its number in blk, in blocks
	fp   fregs
	planned
	slows []stub
	ints  []int   // that slows have parts of
	known []fcopy // as well
	sides []side
	colds []func() // other code out of line
	links []abi.Link
	cur   *ir.Inst
	blk   *ir.Block

	apart  bool         // see EmitApart
	region *regionState // while a region's code is made
}

// NewEmitter makes an Emitter for code that lies behind the routines.
func NewEmitter(l *Layout, r *Routines) *Emitter { return &Emitter{home: mappedHomes, l: l, r: r} }

// Emit makes the code of b, which is to lie at an offset from the routines and
// has a number below abi.MaxBlocks; numbers of instructions and of links are id<<8
// plus their index.
func (e *Emitter) Emit(b *ir.Block, at int, id int) abi.Code {
	e.buf, e.slows, e.sides, e.colds, e.links = e.buf[:0], e.slows[:0], e.sides[:0], e.colds[:0], e.links[:0]
	e.at, e.id, e.blk = at, int32(id)<<8, b
	e.aluRI(aluSub, true, budget, int32(b.Count))
	short := e.jcc(ccS)
	e.fp.reset()
	e.ints, e.known = e.ints[:0], e.known[:0]
	e.plan(b.Insts)
	for i := range b.Insts {
		e.cur, e.inst = &b.Insts[i], i
		e.one(e.cur)
		if !e.cur.IsMemory() && !keepsAddend(e.cur) {
			e.held = 0
		}
		if op := e.cur.Op; op >= ir.CSRSwap && op <= ir.Return {
			e.fp.moves, e.fp.armed = false, false // it may have changed mstatus.FS
		}
	}
	for _, s := range e.sides {
		e.here(s.from)
		if s.back != 0 {
			e.aluRI(aluAdd, true, budget, s.back)
		}
		e.goTo(s.target, s.back == 0 && s.from >= 0, s.from)
	}
	for _, f := range e.colds {
		f()
	}
	for i := range e.slows {
		e.slowStub(&e.slows[i])
	}
	e.here(short)
	e.aluRI(aluAdd, true, budget, int32(b.Count))
	e.leaPage(RAX, b.Start)
	e.leave(e.r.short)
	return abi.Code{Bytes: e.buf, Links: e.links}
}

// EmitApart is Emit, but that a jump to the start is by a link.
func (e *Emitter) EmitApart(b *ir.Block, at int, id int) abi.Code {
	e.apart = true
	defer func() { e.apart = false }()
	return e.Emit(b, at, id)
}

// leave jumps to a routine.
func (e *Emitter) leave(routine int) { e.patch(e.jmp(), routine-e.at) }

// callSlow has the interpreter execute an instruction, after which nothing is
// known about floating point.
func (e *Emitter) callSlow(index uint8) {
	e.exitSlow(index)
	e.fp.reset()
}

func (e *Emitter) exitSlow(index uint8) {
	e.movRI(RAX, int64(e.id|int32(index)))
	e.callRoutine(e.r.slow)
}

func (e *Emitter) callRoutine(routine int) {
	e.byte(0xe8)
	e.imm32(0)
	e.patch(e.pos()-4, routine-e.at)
}

func (e *Emitter) slowStub(s *stub) {
	if len(s.from) == 0 {
		return
	}
	e.here(s.from...)
	if s.check.in != nil {
		e.refill(&s.check)
	}
	if s.final {
		e.movRI(RAX, int64(e.id|int32(s.index)))
		e.leave(e.r.interpret)
		return
	}
	e.exitSlow(s.index)
	if !s.leave {
		e.restore(s.copies)
		e.patch(e.jmp(), s.resume)
		return
	}
	if back := int32(e.blk.Count) - int32(s.index) - 1; back != 0 {
		e.aluRI(aluAdd, true, budget, back)
	}
	e.leaPage(RAX, s.next)
	e.leave(e.r.look)
}

// slow makes the displacements lead to a stub that has the interpreter execute
// the current instruction and goes on after it.
func (e *Emitter) slow(from ...int) {
	if e.region != nil {
		e.deopt(from...)
		return
	}
	e.slows = append(e.slows, stub{from: e.keep(from), index: e.cur.Index, resume: e.pos(), copies: e.copies(), final: e.inst < int(e.until)})
}

// keep copies displacements to where they last until the code is made.
func (e *Emitter) keep(from []int) []int {
	n := len(e.ints)
	e.ints = append(e.ints, from...)
	return e.ints[n:len(e.ints):len(e.ints)]
}

func (e *Emitter) leaPage(dst Reg, off int32) {
	if e.region == nil || !e.region.noPage {
		e.lea(dst, at(page, off))
		return
	}
	e.movRM(dst, at(state, e.l.Base))
	if off != 0 {
		e.lea(dst, at(dst, off))
	}
}

// goTo ends a path of the block. If direct, the displacement at from, which
// leads here, is patched in place of one of its own.
func (e *Emitter) goTo(target int32, direct bool, from int) {
	switch {
	case target == e.blk.Start && !e.apart:
		if direct {
			e.patch(from, 0)
			return
		}
		e.patch(e.jmp(), 0)
	case target < 0 || target >= 4096:
		e.farLink(target)
	default:
		if !direct {
			from = e.jmp()
			e.here(from)
		}
		n := int32(len(e.links))
		e.links = append(e.links, abi.Link{Patch: from, Target: target})
		e.leaPage(RAX, target)
		e.movRI(RCX, int64(e.id|n))
		e.leave(e.r.link)
	}
}

// farLink goes on in another page.
func (e *Emitter) farLink(target int32) {
	e.rm(op{code: 0x81}, Reg(aluCmp), at(state, e.l.FetchContext))
	e.imm32(abi.NoContext)
	context := e.pos() - 4
	other := e.jcc(ccNE)
	e.lea(page, at(page, target&^4095))
	jump := e.jmp()
	e.here(other)
	e.leaPage(RAX, target)
	e.movRI(RCX, int64(e.id)+int64(len(e.links)))
	stub := e.jmp()
	e.patch(stub, e.r.ask-e.at)
	e.links = append(e.links, abi.Link{Patch: jump, Target: target, Far: true, Context: context, Stub: stub})
}

// FarRoutine finds its way to the virtual address in RAX.
func (r *Routines) FarRoutine() int { return r.far }

// lookup goes on at the virtual address in RAX. Each indirect jump has its own
// copy, for the host's prediction.
func (e *Emitter) lookup() { lookup(&e.asm, (*Layout)(e.l), e.r.look-e.at) }

func lookup(a *asm, l *Layout, look int) {
	entry := func(off int32) mem { return mem{state, RCX, 0, l.Fetches + off} }
	a.mov32RR(RCX, RAX)
	a.shiftRI(shr, false, RCX, 12-5)
	a.aluRI(aluAnd, false, RCX, (l.FetchEntries-1)<<5)
	a.movRR(page, RAX)
	a.aluRI(aluAnd, true, page, -4096)
	a.movRR(RDX, page)
	a.aluRM(aluOr, true, RDX, at(state, l.FetchContext))
	a.aluRM(aluCmp, true, RDX, entry(0))
	a.patch(a.jcc(ccNE), look)
	a.movRM(RCX, entry(24))
	a.mov32RR(RDX, RAX)
	a.aluRI(aluAnd, false, RDX, 0xfff)
	a.mov32RM(RDX, mem{RCX, RDX, 1, 0})
	a.aluRM(aluAdd, true, RDX, at(state, l.CodeBase))
	a.rr(op{code: 0xff}, 4, RDX) // jmp
}
