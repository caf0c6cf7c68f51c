package amd64

import (
	"fmt"
	"slices"

	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// The code of a region has its own homes for guest registers: those that it
// uses most, whatever their number, and XMM3 to XMM15 for floating point. It
// is entered from a block's code, with the registers as blocks have them, and
// leaves for one. Nothing in it calls the engine but the end of a slice, which
// stores the homes and loads them again after.
//
// RDX holds the addend of a site between accesses. RBP may be a home, too: the
// address of the page is in memory then.

// regionState is what Emitter keeps while it makes a region's code.
type regionState struct {
	ir    *ir.Region
	cur   *ir.RegionBlock
	at    int   // its index
	sites int32 // where its sites are, in bytes from R15

	context int           // see abi.Code
	entries map[int32]int // see abi.Code

	fhome   [32]Reg
	changed []moved // hosts that hold other guest registers than blocks have there
	noPage  bool    // RBP is a home, and what it was is in memory
	written [64]bool
	float   bool

	labels []int // of blocks, or -1
	jumps  []regionJump
	exits  []regionExit
	checks []siteCheck
	pauses []regionPause
	heads  []bool // blocks of a joined region to which control goes back
	unmaps []int  // displacements of calls
	saves  []int
	loads  []int
	tables []func() // behind the code

	// Of joined regions: the budget is in R14 less the longest way to where it is
	// looked at, and what has been executed is taken off where ways part or meet.
	margin  int32
	charged int    // instructions of the block that have been taken off
	loose   uint32 // registers whose upper half is to be made right where the region is left

	held    uint16          // the site whose addend is in RDX, or 0
	want    []uint16        // for each block, the site whose addend is to be there at its start, or 0
	warm    []int           // where blocks start if it is
	reloads []int           // blocks that start elsewhere if it is not
	shared  map[uint16]bool // sites whose check is more than one access's
	boxed   [32]bool        // registers that are known to hold singles
}

// moved is a host register that blocks use for one guest register, or for the
// address of the page if that is x0, and the region for another.
type moved struct {
	host  Reg
	block ir.Reg
	own   ir.Reg
}

type regionJump struct {
	from  int
	block int
	held  uint16
}

// regionPause is where a slice may end: at an offset, after back has been given
// back to the budget, which goes on at resume.
type regionPause struct {
	from   int
	at     int32
	back   int32
	resume int
	loose  uint32 // see regionState
	held   uint16 // see there
}

// regionExit leads to a block's code. raw: the registers are as blocks have
// them.
type regionExit struct {
	from   []int
	target int32
	back   int32
	raw    bool
	loose  uint32   // see regionState
	call   *ir.Inst // that leads there, or nil
}

// RegionOp tells whether regions can have in.
func RegionOp(in *ir.Inst) bool {
	if in.Round != ir.Dynamic {
		return false
	}
	switch in.Op {
	case ir.Load, ir.Store, ir.AmoSwap, ir.AmoAdd, ir.AmoAnd, ir.AmoOr, ir.AmoXor, ir.AmoCas,
		ir.AmoMin, ir.AmoMax, ir.AmoMinU, ir.AmoMaxU, ir.LoadReserved, ir.StoreConditional, ir.Barrier, ir.Across, ir.Branch, ir.Jump, ir.JumpReg,
		ir.FAdd, ir.FSub, ir.FMul, ir.FDiv, ir.FSqrt, ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd, ir.FSgnj, ir.FSgnjN, ir.FSgnjX,
		ir.FMin, ir.FMax, ir.FEq, ir.FLt, ir.FLe, ir.FLoad, ir.FStore, ir.FToX, ir.FFromX, ir.FToI, ir.FToU, ir.FFromI, ir.FFromU, ir.FToF:
		return true
	case ir.FCSRRead:
		return in.Size == csrFFlags
	case ir.FCSRWrite:
		return in.Flags&ir.Undone != 0
	}
	return in.Pure()
}

// Region makes the code of r, whose sites are at a distance from R15, as Emit
// makes that of a block; id is the first of as many numbers as its links need
// at 256 a number. Links to the start of r are meant for the block there and
// not for the region.
func (e *Emitter) Region(r *ir.Region, sites int32, at, id int) abi.Code {
	e.buf, e.slows, e.sides, e.colds, e.links = e.buf[:0], e.slows[:0], e.sides[:0], e.colds[:0], e.links[:0]
	e.at, e.id, e.blk = at, int32(id)<<8, nil
	s := &regionState{ir: r, sites: sites, entries: map[int32]int{}}
	e.region = s
	defer func() { e.region, e.home = nil, mappedHomes }()
	e.allocate()
	if r.Joined {
		s.margin = r.LongestWay()
	}
	e.enterRegion()
	s.labels, s.heads = make([]int, len(r.Blocks)), make([]bool, len(r.Blocks))
	e.planKept()
	for i := range r.Blocks {
		e.regionBlock(i)
	}
	e.makeReloads()
	for _, j := range s.jumps {
		e.patch(j.from, s.label(j.block, j.held))
	}
	for _, f := range e.colds {
		f()
	}
	for i := range s.checks {
		e.missed(&s.checks[i])
	}
	for i := range s.exits {
		e.leaveRegion(&s.exits[i])
	}
	for i := range s.pauses {
		p := &s.pauses[i]
		e.here(p.from)
		if s.ir.Joined {
			e.another(p.resume)
		}
		e.extend(p.loose)
		e.aluRI(aluAdd, true, budget, p.back)
		e.leaPage(RAX, p.at)
		s.saves = append(s.saves, e.call())
		e.enterAgain(p)
	}
	// Only starts of blocks can be entered: in the middle of one, accesses rely on
	// checks before.
	for i, head := range s.heads {
		if start := r.Blocks[i].Start; head {
			s.entries[start] = e.pos()
			e.enterAgain(&regionPause{at: start, back: s.margin, resume: s.labels[i]})
		}
	}
	e.transfers()
	for _, f := range s.tables {
		f()
	}
	return abi.Code{Bytes: e.buf, Links: e.links, Context: s.context, Entries: s.entries}
}

// enterAgain makes where the region goes on after a slice has ended: in a joined
// one only if the end of the next is not too near.
func (e *Emitter) enterAgain(p *regionPause) {
	s := e.region
	if s.ir.Joined {
		e.aluRI(aluCmp, true, budget, p.back)
		enough := e.jcc(ccG)
		e.leaPage(RAX, p.at)
		e.leave(e.r.short)
		e.here(enough)
	}
	s.loads = append(s.loads, e.call())
	if s.ir.Joined {
		e.aluRI(aluSub, true, budget, p.back)
	}
	if p.held != 0 {
		e.movRM(RDX, e.addendOf(p.held))
	}
	e.patch(e.jmp(), p.resume)
}

// charge takes off the budget what a joined block has executed before a jump to
// other blocks of the region, of which one is done with the jump. If one of them lies before,
// the slice may end here, at the offset at.
func (e *Emitter) charge(cur, done int, at int32, back bool) {
	s := e.region
	n := done - s.charged
	if n != 0 {
		e.aluRI(aluSub, true, budget, int32(n))
	} else if back {
		e.rr(wide(0x85), budget, budget)
	}
	if back {
		again := int32(0)
		if done > cur {
			again = 1 // the jump itself
		}
		from := e.jcc(ccS)
		s.pauses = append(s.pauses, regionPause{from, at, s.margin + again, e.pos(), s.loose, s.held})
		s.boxed = [32]bool{}
	}
	s.charged = done
}

// call leaves the displacement to patch.
func (e *Emitter) call() int {
	e.byte(0xe8)
	e.imm32(0)
	return e.pos() - 4
}

// allocate gives homes to the registers that are used most, inner loops
// counting more.
func (e *Emitter) allocate() {
	s := e.region
	use := s.ir.Usage()
	s.written = use.Written
	ints := use.Most(0, len(mapped)+1)
	for i := range e.home {
		e.home[i], s.fhome[i] = noHome, noHome
	}
	var rest []ir.Reg
	taken := map[Reg]bool{}
	for _, r := range ints {
		if h := mappedHomes[r]; h != noHome {
			e.home[r], taken[h] = h, true
		} else {
			rest = append(rest, r)
		}
	}
	for _, m := range mapped {
		if taken[m.host] {
			continue
		}
		move := moved{host: m.host, block: m.guest}
		if len(rest) > 0 {
			move.own, rest = rest[0], rest[1:]
			e.home[move.own] = m.host
		} else {
			e.home[m.guest] = m.host
			continue
		}
		s.changed = append(s.changed, move)
	}
	if len(rest) > 0 {
		s.noPage = true
		s.changed = append(s.changed, moved{host: page, own: rest[0]})
		e.home[rest[0]] = page
	}
	for i, r := range use.Most(ir.F0, 13) {
		s.fhome[r-ir.F0] = 3 + Reg(i)
	}
	for r := ir.F0; r < 64; r++ {
		s.float = s.float || use.Uses[r] != 0
	}
}

// enterRegion goes from the registers of blocks to those of the region.
func (e *Emitter) enterRegion() {
	s := e.region
	if s.noPage {
		e.movMR(at(state, e.l.Base), page)
	}
	if c := s.ir.Context; c != abi.NoContext {
		e.rm(op{code: 0x81}, Reg(aluCmp), at(state, e.l.FetchContext))
		e.imm32(c)
		s.context = e.pos() - 4
		s.exits = append(s.exits, regionExit{from: []int{e.jcc(ccNE)}, target: s.ir.Blocks[0].Start, raw: true})
	}
	if s.float {
		e.aluMI(aluCmp, false, at(state, e.l.FPUsed), 0)
		armed := e.jcc(ccNE)
		e.aluMI(aluCmp, false, at(state, e.l.FPOn), 0)
		s.exits = append(s.exits, regionExit{from: []int{e.jcc(ccE)}, target: s.ir.Blocks[0].Start, raw: true})
		e.armRegion()
		e.here(armed)
	}
	if s.ir.Joined {
		e.aluRI(aluSub, true, budget, s.margin)
		// There is one more, for a loop of one instruction to get on.
		s.exits = append(s.exits, regionExit{from: []int{e.jcc(ccLE)}, target: s.ir.Blocks[0].Start, back: s.margin, raw: true})
	}
	for _, m := range s.changed {
		if m.block != 0 {
			e.movMR(e.l.x(m.block), m.host)
		}
	}
	for _, m := range s.changed {
		e.movRM(m.host, e.l.x(m.own))
	}
	e.loadFloat()
}

func (e *Emitter) armRegion() {
	e.rm(op{code: 0x0fae}, 2, at(state, e.l.FPClean)) // ldmxcsr
	e.movMI(false, at(state, e.l.FPUsed), 1)
}

func (e *Emitter) loadFloat() {
	for i, h := range e.region.fhome {
		if h != noHome {
			e.vload(8, h, e.l.f(ir.F0+ir.Reg(i)))
		}
	}
}

func (e *Emitter) storeFloat() {
	for i, h := range e.region.fhome {
		if r := ir.F0 + ir.Reg(i); h != noHome && e.region.written[r] {
			e.vstore(8, e.l.f(r), h)
		}
	}
}

// transfers makes the routines that exits and the end of a slice call. They
// keep RAX.
func (e *Emitter) transfers() {
	s := e.region
	if len(s.unmaps) > 0 {
		e.here(s.unmaps...)
		for _, m := range s.changed {
			if s.written[m.own] {
				e.movMR(e.l.x(m.own), m.host)
			}
			if m.block != 0 {
				e.movRM(m.host, e.l.x(m.block))
			}
		}
		if s.noPage {
			e.movRM(page, at(state, e.l.Base))
		}
		e.storeFloat()
		e.byte(0xc3)
	}
	e.here(s.saves...)
	for r, h := range e.home {
		if h != noHome && (s.written[r] || h == mappedHomes[r]) {
			e.movMR(e.l.x(ir.Reg(r)), h)
		}
	}
	e.storeFloat()
	if s.noPage {
		e.movRM(page, at(state, e.l.Base))
	}
	e.movMI(false, at(state, e.l.ID), e.id)
	e.leave(e.r.pause)
	e.here(s.loads...)
	for r, h := range e.home {
		if h != noHome {
			e.movRM(h, e.l.x(ir.Reg(r)))
		}
	}
	if s.float {
		e.armRegion()
		e.loadFloat()
	}
	e.byte(0xc3)
}

// leaveRegion makes an exit.
func (e *Emitter) leaveRegion(x *regionExit) {
	e.here(x.from...)
	e.extend(x.loose)
	if x.back != 0 {
		e.aluRI(aluAdd, true, budget, x.back)
	}
	if !x.raw {
		e.unmap()
	}
	defer e.asBlocks()()
	if x.call != nil {
		e.leaPage(RAX, int32(x.call.Imm))
		e.calls(RAX, int32(x.call.Imm))
	}
	e.exitTo(x.target)
}

// exitTo goes on at an offset, with the registers as blocks have them.
func (e *Emitter) exitTo(target int32) {
	if target < 0 || target >= 4096 {
		e.farLink(target)
		return
	}
	from := e.jmp()
	e.here(from)
	n := int64(len(e.links))
	e.links = append(e.links, abi.Link{Patch: from, Target: target})
	e.leaPage(RAX, target)
	e.movRI(RCX, int64(e.id)+n)
	e.leave(e.r.link)
}

// unmap goes back to the registers of blocks.
func (e *Emitter) unmap() {
	s := e.region
	if len(s.changed) > 0 || s.float {
		s.unmaps = append(s.unmaps, e.call())
	}
}

// asBlocks has code made for when the address of the page is where blocks have
// it, until what it returns is called.
func (e *Emitter) asBlocks() (end func()) {
	noPage := e.region.noPage
	e.region.noPage = false
	return func() { e.region.noPage = noPage }
}

// deopt leaves to the block translator's code of the current instruction.
func (e *Emitter) deopt(from ...int) {
	s := e.region
	n := int(e.cur.Index)
	back := e.owed(n)
	target := s.cur.Offsets[n]
	if k := len(s.exits) - 1; k >= 0 && s.exits[k].target == target && s.exits[k].back == back && s.exits[k].loose == s.loose && !s.exits[k].raw {
		s.exits[k].from = append(s.exits[k].from, from...)
		return
	}
	s.exits = append(s.exits, regionExit{from: slices.Clone(from), target: target, back: back, loose: s.loose})
}

// owed is what is to be added to the budget where the region is left and n
// instructions of the current block have been executed.
func (e *Emitter) owed(n int) int32 {
	s := e.region
	if s.ir.Joined {
		return s.margin - int32(n-s.charged)
	}
	return int32(len(s.cur.Offsets) - n)
}

// jumpTo makes the displacement lead to where control goes after n instructions
// of a block.
func (e *Emitter) jumpTo(from int, target int32, n int) {
	s := e.region
	if i := s.ir.Find(target); i >= 0 {
		s.jumps = append(s.jumps, regionJump{from, i, s.held})
		return
	}
	s.exits = append(s.exits, regionExit{from: []int{from}, target: target, back: e.owed(n), loose: s.loose})
}

func (e *Emitter) regionBlock(i int) {
	s := e.region
	b := &s.ir.Blocks[i]
	s.cur, s.at, s.boxed = b, i, [32]bool{}
	e.startBlock(i)
	s.charged, s.loose = 0, b.Loose
	if !s.ir.Joined {
		e.aluRI(aluSub, true, budget, int32(len(b.Offsets)))
		s.pauses = append(s.pauses, regionPause{e.jcc(ccS), b.Start, int32(len(b.Offsets)), s.labels[i], 0, 0})
	}
	next := int32(-1 << 31) // what the code goes on with
	if i+1 < len(s.ir.Blocks) {
		next = s.ir.Blocks[i+1].Start
	}
	for j := range b.Insts {
		in := &b.Insts[j]
		e.cur = in
		switch in.Op {
		case ir.Branch:
			n := int(in.Index) + 1
			if j == len(b.Insts)-2 && b.Insts[j+1].Op == ir.Jump && n == len(b.Offsets) && int(b.Insts[j+1].Index) == n && next == in.Target {
				// What the branch leads to is next, and the Jump is no instruction.
				other := b.Insts[j+1].Target
				e.expect(b)
				e.chargeFor(i, in, in.Target, other)
				e.compare(in.A, in.B, in.Imm, in.Flags&ir.Immediate != 0)
				e.jumpTo(e.jcc(branchCond[in.Cond]^1), other, len(b.Offsets))
				return
			}
			if to := s.ir.Find(in.Target); s.ir.Joined && to >= 0 && j < len(b.Insts)-2 && (to <= i || s.ir.Blocks[to].Weight < b.Weight/4) {
				e.compare(in.A, in.B, in.Imm, in.Flags&ir.Immediate != 0)
				e.turnOff(i, to, e.jcc(branchCond[in.Cond]), n)
				break
			}
			if j == len(b.Insts)-2 {
				e.expect(b)
			}
			e.chargeFor(i, in, in.Target)
			e.compare(in.A, in.B, in.Imm, in.Flags&ir.Immediate != 0)
			e.jumpTo(e.jcc(branchCond[in.Cond]), in.Target, max(n, s.charged))
		case ir.Jump:
			e.chargeFor(i, in, in.Target)
			e.returnTo(in.Dst, int32(in.Imm), RAX)
			s.loose = in.LooseAfter(s.loose)
			switch {
			case isLink(in.Dst) && s.ir.Find(in.Target) < 0:
				s.exits = append(s.exits, regionExit{from: []int{e.jmp()}, target: in.Target, back: e.owed(len(b.Offsets)), loose: s.loose, call: in})
			case next != in.Target:
				e.jumpTo(e.jmp(), in.Target, len(b.Offsets))
				s.held = 0
			}
		case ir.JumpReg:
			e.regionJumpReg(i, in)
		case ir.Load:
			e.regionLoad(in)
		case ir.Across:
			s.held = 0
			e.slow(e.acrossTo(in, b.Offsets[in.Index]&^4095+4096)...)
		case ir.Check:
			if s.ir.Find(in.Target) <= i {
				// Nothing here looks at the budget: no kick would end it.
				panic(fmt.Sprintf("the check of the block at %#x leads back, to %#x", b.Start, in.Target))
			}
			e.check(in, e.reg(in.A, RAX))
		case ir.Store:
			m := e.access(in)
			e.rm(storeOp(in.Size), e.reg(in.B, RCX), m)
		default:
			if !e.regionFloat(in) {
				if !keepsRDX(in) {
					s.held = 0
				}
				e.one(in)
			}
		}
		s.loose = in.LooseAfter(s.loose)
	}
}

// turnOff makes the displacement of a jump in the middle of the block cur lead to
// another one of the region. What n instructions take off the budget is taken
// out of line: control goes on in the block much more often, or it goes back, and the
// slice may end there, but not in the middle of a block.
func (e *Emitter) turnOff(cur, to, from, n int) {
	s := e.region
	charged, loose, held := s.charged, s.loose, s.held
	if to <= cur {
		s.heads[to] = true
	} else if n == charged {
		s.jumps = append(s.jumps, regionJump{from, to, held})
		return
	}
	e.colds = append(e.colds, func() {
		e.here(from)
		s.charged, s.loose, s.held = charged, loose, held
		e.charge(n, n, s.ir.Blocks[to].Start, to <= cur)
		e.patch(e.jmp(), s.label(to, held))
	})
}

// extend makes words of registers.
func (e *Emitter) extend(loose uint32) {
	for r := ir.Reg(1); r < ir.F0; r++ {
		switch h := e.home[r]; {
		case loose>>r&1 == 0:
		case h != noHome:
			e.movsxd(h, h)
		default:
			e.rm(wide(0x63), RAX, e.l.x(r)) // movsxd
			e.movMR(e.l.x(r), RAX)
		}
	}
}

// chargeFor is charge before a jump of the block cur, in, to targets.
func (e *Emitter) chargeFor(cur int, in *ir.Inst, targets ...int32) {
	s := e.region
	if !s.ir.Joined {
		return
	}
	own, back := false, false
	for _, target := range targets {
		j := s.ir.Find(target)
		own = own || j >= 0
		if j >= 0 && j <= cur {
			back, s.heads[j] = true, true
		}
	}
	if !own {
		return
	}
	n := int(in.Index)
	if n < len(s.cur.Offsets) {
		e.charge(n, n+1, s.cur.Offsets[n], back)
	} else {
		e.charge(n, n, in.Target, back)
	}
}

// keepsRDX tells whether the code for in leaves RDX alone.
func keepsRDX(in *ir.Inst) bool {
	switch {
	case in.Op <= ir.Mul, ir.ShlAdd <= in.Op && in.Op <= ir.BitSet, ir.Clz <= in.Op && in.Op <= ir.ZextH:
		return true
	}
	return false
}

// maxCompared is how many addresses a JumpReg's is compared with, one by one.
const maxCompared = 4

// maxTable is how far apart, in bytes of guest code, the places may be that a table leads to.
const maxTable = 4096

// regionJumpReg goes on where b.Returns say, if the address is one of them,
// before it leaves.
func (e *Emitter) regionJumpReg(cur int, in *ir.Inst) {
	s := e.region
	to := s.cur.Returns
	s.held = 0
	e.chargeFor(cur, in, to...)
	e.jumpTarget(in)
	if len(to) <= maxCompared {
		for _, off := range to {
			e.leaPage(RCX, off)
			e.aluRR(aluCmp, true, RAX, RCX)
			e.jumpTo(e.jcc(ccE), off, len(s.cur.Offsets))
		}
	} else if first, last := slices.Min(to), slices.Max(to); last-first < maxTable {
		e.tableJump(to, first, last)
	}
	if back := e.owed(len(s.cur.Offsets)); back != 0 {
		e.aluRI(aluAdd, true, budget, back)
	}
	e.unmap()
	defer e.asBlocks()()
	e.indirect(in)
}

// tableJump goes on at the block of the region that starts at the address RAX,
// by a table behind the code. It goes on here if there is none.
func (e *Emitter) tableJump(to []int32, first, last int32) {
	s := e.region
	e.leaPage(RCX, first)
	e.movRR(RDX, RAX)
	e.aluRR(aluSub, true, RDX, RCX)
	e.aluRI(aluCmp, true, RDX, last-first)
	none := e.jcc(ccA)
	e.byte(0x48, 0x8d, 0x0d) // lea rcx, [rip+table]
	e.imm32(0)
	table := e.pos() - 4
	// Addresses are even: an entry of 4 bytes for each two bytes.
	e.rm(wide(0x63), RDX, mem{RCX, RDX, 1, 0}) // movsxd rdx, [rcx+2*rdx]
	e.aluRR(aluAdd, true, RDX, RCX)
	e.byte(0xff, 0xe2) // jmp rdx
	e.here(none)
	other := e.pos()
	s.tables = append(s.tables, func() {
		for e.pos()%4 != 0 {
			e.byte(0xcc)
		}
		e.here(table)
		start := e.pos()
		for off := first; off <= last; off += 2 {
			at := other
			if i := s.ir.Find(off); i >= 0 && slices.Contains(to, off) {
				at = s.labels[i]
			}
			e.imm32(int32(at - start))
		}
	})
}
