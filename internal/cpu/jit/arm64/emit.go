// Package arm64 turns micro-operations into the machine code of arm64 hosts,
// of Armv8.0 and, where there are, with the atomic instructions of Armv8.1. It
// is host-neutral Go: it makes bytes, and neither maps nor runs them.
//
// In generated code X19 points 128 bytes into the guest's integer registers,
// and all that the code touches but guest memory is at fixed distances from it
// (Layout). X20 is what is left of the instruction budget, X21 the virtual
// address of the page of the running block, X22 and X23 point to the TLBs. Most
// guest registers live in host registers (mapped) all the time, so do f0 to f27
// (floats.go), and the others in memory. X0 to X3, X30 and V0 to V2 are free. X18 and X29 are not touched, nor is X28,
// Go's g: with no cgo, its signal handlers look for g nowhere else. The stack
// holds what calls have left for returns (calls.go), in the trampoline's frame,
// where the address to return to is, too.
//
// A block first takes its length off the budget; exits in its middle give the
// rest back. Where an instruction cannot be done inline, its stub calls
// exitSlow with the instruction's number, and the engine executes it and
// resumes after the call. Nothing that the block does before that needs to be
// undone: an Inst has no effect before its last check.
package arm64

import (
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// Layout is in bytes from X19.
type Layout abi.Layout

// Routines are what all code shares.
type Routines struct {
	Bytes  []byte
	Enter  int // address in X0
	slow   int
	link   int
	look   int
	short  int
	pause  int
	more   int // slices.go
	far    int // goes on at the virtual address in X0
	across int // leaves before the instruction at X0
	loads  int // see retry
	stores int
	atomic bool

	fillLoad, fillStore int // sites.go

	// system.go
	status, call, sret int
}

const (
	state  = X19
	budget = X20
	page   = X21
	loads  = X22
	stores = X23
)

// saved is where the address to return to is, from SP.
const saved = 16

// mapped lists the guest registers that have a host register: those that
// compiled code uses most. It is made of pairs of neighbours, which are loaded
// and stored together.
var mapped = [...]struct {
	guest ir.Reg
	host  Reg
}{{1, X4}, {2, X5}, {5, X6}, {6, X7}, {8, X8}, {9, X9}, {10, X10}, {11, X11}, {12, X12}, {13, X13}, {14, X14}, {15, X15},
	{16, X16}, {17, X17}, {18, X24}, {19, X25}, {20, X26}, {21, X27}}

// homes says in which host register each guest register is, or noHome.
type homes [32]Reg

// mappedHomes are those of mapped.
var mappedHomes = func() (t homes) {
	for i := range t {
		t[i] = noHome
	}
	t[0] = ZR
	for _, m := range mapped {
		t[m.guest] = m.host
	}
	return t
}()

const noHome Reg = 0xff

// NewRoutines makes what is shared. atomic says that the host has the atomic
// instructions of Armv8.1.
func NewRoutines(l *Layout, atomic bool) *Routines {
	a := asm{}
	field := func(k width, t Reg, off int32) { a.access(k, t, state, off, LR) }
	ints := func(load bool) {
		for i := 0; i < len(mapped); i += 2 {
			a.pair(load, mapped[i].host, mapped[i+1].host, state, l.x(mapped[i].guest))
		}
	}
	floats := func(load bool) {
		for r := ir.F0; r < ir.F0+mappedFloats; r += 2 {
			a.pairF(load, floatHome(r), floatHome(r+1), state, l.f(r))
		}
	}
	r := &Routines{atomic: atomic}
	r.Enter = a.pos()
	a.put32(0xf9000000 | saved/8<<10 | 31<<5 | uint32(LR)) // str x30, [sp, #saved]
	a.startCalls(l)
	ints(true)
	floats(true)
	a.movI(X1, boxBits)
	a.fmovF(8, boxes, X1)
	a.addI(true, loads, state, int64(l.Loads), LR)
	a.addI(true, stores, state, int64(l.Stores), LR)
	field(load64, budget, l.Left)
	field(load64, page, l.Base)
	field(load32, X1, l.FPUsed)
	plain := a.cbz(false, X1)
	a.mov(X1, X0)
	a.armHost(l)
	a.mov(X0, X1)
	a.here(plain)
	a.br(X0)

	var tail []int
	exit := func(reason int64) {
		a.movI(X2, reason)
		tail = append(tail, a.b())
	}
	r.slow = a.pos()
	a.mov(X3, LR)
	field(store64, X3, l.Resume)
	field(store32, X0, l.ID)
	exit(abi.ExitSlow)
	r.link = a.pos()
	field(store64, X0, l.PC)
	field(store32, X1, l.ID)
	exit(abi.ExitLink)
	r.look = a.pos()
	field(store64, X0, l.PC)
	exit(abi.ExitLookup)
	r.short = a.pos()
	field(store64, X0, l.PC)
	exit(abi.ExitBudget)
	r.pause = a.pos()
	field(store64, X0, l.PC)
	exit(abi.ExitPause)
	r.across = a.pos()
	field(store64, X0, l.PC)
	exit(abi.ExitAcross)

	a.here(tail...)
	field(store32, X2, l.Reason)
	ints(false)
	floats(false)
	field(store64, budget, l.Left)
	field(store64, page, l.Base)
	field(load32, X0, l.FPUsed)
	plain = a.cbz(false, X0)
	a.readFPSR(X0)
	field(store32, X0, l.FPStatus)
	a.writeFPCR(ZR) // as Go has it
	a.here(plain)
	a.endCalls(l)
	a.put32(0xf9400000 | saved/8<<10 | 31<<5 | uint32(LR)) // ldr x30, [sp, #saved]
	a.ret()

	r.far = a.pos()
	a.lookup(l, r.look)
	r.loads = a.pos()
	a.retry(l, loads, l.MoreLoads)
	r.stores = a.pos()
	a.retry(l, stores, l.MoreStores)
	r.more = a.pos()
	a.moreRoutine(l)
	r.fillLoad = a.pos()
	a.fillRoutine(l, l.Loads)
	r.fillStore = a.pos()
	a.fillRoutine(l, l.Stores)
	p := privileged{asm: &a, l: l, look: r.look}
	r.status = a.pos()
	p.status()
	r.call = a.pos()
	p.call()
	r.sret = a.pos()
	p.sret()
	r.Bytes = a.buf
	return r
}

// Look is the routine that leaves with ExitLookup, for CodeTables.
func (r *Routines) Look() int { return r.look }

func (l *Layout) x(r ir.Reg) int32 { return l.X + 8*int32(r) }

func (l *Layout) f(r ir.Reg) int32 { return l.F + 8*int32(r-ir.F0) }

// stub is what stands out of line.
type stub struct {
	from   []int // branches that lead to it
	index  uint8 // of the slow instruction
	resume int

	// For accesses: the routine that may find the address after all, or 0; the
	// register that has the address; and where to go on then.
	retry int
	addr  Reg
	size  uint8
	back  int
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
	l     *Layout
	r     *Routines
	at    int // address of the block's code, from that of the Routines
	id    int32
	slows []stub
	sides []side
	colds []func() // other code out of line
	links []abi.Link
	cur   *ir.Inst
	blk   *ir.Block

	home, fhome homes
	singles     uint32 // which floating-point registers are known to hold singles

	apart  bool         // see EmitApart
	region *regionState // while a region's code is made
}

// NewEmitter makes an Emitter for code that lies behind the routines.
func NewEmitter(l *Layout, r *Routines) *Emitter {
	return &Emitter{l: l, r: r, home: mappedHomes, fhome: mappedFHomes}
}

// Emit makes the code of b, which is to lie at an offset from the routines and
// has a number below abi.MaxBlocks; numbers of instructions and of links are
// id<<8 plus their index.
func (e *Emitter) Emit(b *ir.Block, at int, id int) abi.Code {
	e.buf, e.slows, e.sides, e.colds, e.links = e.buf[:0], e.slows[:0], e.sides[:0], e.colds[:0], e.links[:0]
	e.at, e.id, e.blk, e.singles = at, int32(id)<<8, b, 0
	e.subsI(true, budget, budget, uint32(b.Count))
	short := e.bc(mi)
	for i := range b.Insts {
		e.cur = &b.Insts[i]
		e.one(e.cur)
	}
	for _, s := range e.sides {
		e.here(s.from)
		if s.back != 0 {
			e.addI(true, budget, budget, int64(s.back), X0)
		}
		e.goTo(s.target)
	}
	for _, f := range e.colds {
		f()
	}
	for _, s := range e.slows {
		e.here(s.from...)
		if s.retry != 0 {
			e.mov(X0, s.addr)
			e.movI(X1, int64(s.size))
			e.callRoutine(s.retry)
			e.patch(e.cbz(true, X1), s.back)
		}
		e.callSlow(s.index)
		e.b2(s.resume)
	}
	e.here(short)
	e.addI(true, budget, budget, int64(b.Count), X0)
	e.leaPage(X0, int64(b.Start))
	e.leave(e.r.short)
	return abi.Code{Bytes: e.buf, Links: e.links}
}

// EmitApart is Emit, but that a jump to the start is by a link.
func (e *Emitter) EmitApart(b *ir.Block, at int, id int) abi.Code {
	e.apart = true
	defer func() { e.apart = false }()
	return e.Emit(b, at, id)
}

// leave goes to a routine.
func (e *Emitter) leave(routine int) { e.b2(routine - e.at) }

func (e *Emitter) callSlow(index uint8) {
	e.movI(X0, int64(e.id|int32(index)))
	e.patch(e.bl(), e.r.slow-e.at)
}

// slow makes the branches lead to a stub that has the interpreter execute the
// current instruction and goes on after it.
func (e *Emitter) slow(from ...int) {
	if e.region != nil {
		e.deopt(from...)
		return
	}
	e.slows = append(e.slows, stub{from: append([]int(nil), from...), index: e.cur.Index, resume: e.pos()})
}

// leaPage gives the address at an offset from the page. X2 is lost.
func (e *Emitter) leaPage(d Reg, off int64) {
	from := page
	if e.region != nil && e.region.noPage {
		from = d
		e.field(load64, d, e.l.Base)
	}
	e.addI(true, d, from, off, X2)
}

// field accesses what is in the state.
func (e *Emitter) field(k width, t Reg, off int32) { e.access(k, t, state, off, LR) }

// goTo ends a path of the block.
func (e *Emitter) goTo(target int32) {
	if target == e.blk.Start && !e.apart {
		e.b2(0)
		return
	}
	e.link(target)
}

// link goes on at an offset by a link.
func (e *Emitter) link(target int32) {
	if target < 0 || target >= 4096 {
		e.farLink(target)
		return
	}
	n := int64(len(e.links))
	from := e.b()
	e.here(from) // until it is linked
	e.links = append(e.links, abi.Link{Patch: from, Target: target})
	e.leaPage(X0, int64(target))
	e.movI(X1, int64(e.id)+n)
	e.leave(e.r.link)
}

// farLink goes on in another page. The context that it is linked in is in
// memory behind it, not in an instruction.
func (e *Emitter) farLink(target int32) {
	e.field(load64, X2, e.l.FetchContext)
	literal := e.loadLiteral(X1)
	e.cmp(false, X1, X2)
	other := e.bc(ne)
	e.addI(true, page, page, int64(target&^4095), X2)
	jump := e.b()
	e.here(other)
	e.leaPage(X0, int64(target))
	e.movI(X1, int64(e.id)+int64(len(e.links)))
	stub := e.b()
	e.patch(stub, e.r.link-e.at)
	e.here(literal)
	e.links = append(e.links, abi.Link{Patch: jump, Target: target, Far: true, Context: e.pos(), Stub: stub})
	e.put32(^uint32(0)) // abi.NoContext
}

// FarRoutine finds its way to the virtual address in X0.
func (r *Routines) FarRoutine() int { return r.far }

// lookup goes on at the virtual address in X0.
func (a *asm) lookup(l *Layout, look int) {
	a.logicalI(opAnd, true, page, X0, ^int64(0xfff), X2)
	miss := a.fetchEntry(l, page)
	a.access(load64, X1, X1, 24, LR)
	a.ubfx(true, X2, X0, 0, 12)
	a.shifted(opAdd, true, X1, X1, X2, lsl, 1)
	a.access(load32, X1, X1, 0, LR)
	a.access(load64, X2, state, l.CodeBase, LR)
	a.rrr(opAdd, true, X1, X1, X2)
	a.br(X1)
	a.here(miss)
	a.b2(look)
}

// fetchEntry makes X1 point to the entry of the TLB for fetches where a page
// is. It returns the branch for pages that are not in it.
func (a *asm) fetchEntry(l *Layout, page Reg) (miss int) {
	a.ubfx(true, X1, page, 12, log2(l.FetchEntries))
	a.addI(true, X2, state, int64(l.Fetches), LR)
	a.shifted(opAdd, true, X1, X2, X1, lsl, 5)
	a.access(load64, X3, state, l.FetchContext, LR)
	a.rrr(opOrr, true, X3, X3, page)
	a.access(load64, X2, X1, 0, LR)
	a.cmp(true, X2, X3)
	return a.bc(ne)
}

func log2(n int32) (k uint8) {
	for 1<<k < n {
		k++
	}
	return k
}
