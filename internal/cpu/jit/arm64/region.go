package arm64

import (
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// The code of a region has its own homes for guest registers: those that it
// uses most, as many as there are host registers, X23 and X21 among them. X22
// points to its sites, and what is left of the registers to memory (sites.go).
// It is entered from a block's code, with the registers as blocks have them, and
// leaves for one. Nothing in it calls the engine but the end of a slice, for
// which the registers are those of blocks, too.

// regionState is what Emitter keeps while it makes a region's code.
type regionState struct {
	ir    *ir.Region
	cur   *ir.RegionBlock
	sites int32 // where its sites are, in bytes from X19

	context int           // see abi.Code
	entries map[int32]int // see abi.Code

	changed  []moved // hosts that hold something else than blocks have there
	noPage   bool    // X21 is a home, and what it was is in memory
	noStores bool    // X23 is none of the TLB's
	written  [64]bool
	float    bool

	pointers []pointer
	inst     int // the current one of the block

	labels []int // of blocks
	jumps  []regionJump
	exits  []regionExit
	checks []siteCheck
	pauses []regionPause
	heads  []bool // blocks of a joined region to which control goes back
	unmaps []int  // calls
	saves  []int
	loads  []int

	// Of joined regions: the budget is in X20 less the longest way to where it is
	// looked at, and what has been executed is taken off where ways part or meet.
	margin  int32
	charged int    // instructions of the block that have been taken off
	loose   uint32 // registers whose upper half is to be made right where the region is left
}

// moved is a host register that blocks use for one guest register, or not for
// one if that is x0, and the region for another, or for none.
type moved struct {
	host  Reg
	block ir.Reg
	own   ir.Reg
}

type regionJump struct {
	from  int
	block int
}

// regionPause is where a slice may end: at an offset, after back has been given
// back to the budget, which goes on at resume.
type regionPause struct {
	from   int
	at     int32
	back   int32
	resume int
	loose  uint32 // see regionState
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
	switch in.Op {
	case ir.ClMul, ir.ClMulH, ir.ClMulR:
		return false
	case ir.FToI, ir.FToU, ir.FRound: // in any mode
		return true
	case ir.Load, ir.Store, ir.AmoSwap, ir.AmoAdd, ir.AmoAnd, ir.AmoOr, ir.AmoXor, ir.AmoCas,
		ir.AmoMin, ir.AmoMax, ir.AmoMinU, ir.AmoMaxU, ir.LoadReserved, ir.StoreConditional, ir.Barrier, ir.Across, ir.Branch, ir.Jump, ir.JumpReg,
		ir.FAdd, ir.FSub, ir.FMul, ir.FDiv, ir.FSqrt, ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd, ir.FSgnj, ir.FSgnjN, ir.FSgnjX,
		ir.FMin, ir.FMax, ir.FMinM, ir.FMaxM, ir.FEq, ir.FLt, ir.FLe, ir.FLtQ, ir.FLeQ, ir.FLoad, ir.FStore, ir.FToX, ir.FFromX,
		ir.FFromI, ir.FFromU, ir.FToF, ir.FRoundNX, ir.FConst:
		return in.Round == ir.Dynamic
	case ir.FCSRRead:
		return in.Size == csrFFlags
	case ir.FCSRWrite:
		return in.Flags&ir.Undone != 0
	}
	return in.Pure()
}

// Region makes the code of r, whose sites are at a distance from X19, as Emit
// makes that of a block; id is the first of as many numbers as its links need
// at 256 a number. Links to the start of r are meant for the block there and
// not for the region.
func (e *Emitter) Region(r *ir.Region, sites int32, at, id int) abi.Code {
	e.buf, e.slows, e.sides, e.colds, e.links = e.buf[:0], e.slows[:0], e.sides[:0], e.colds[:0], e.links[:0]
	e.at, e.id, e.blk = at, int32(id)<<8, nil
	s := &regionState{ir: r, sites: sites, entries: map[int32]int{}}
	e.region = s
	defer func() { e.region, e.home, e.fhome = nil, mappedHomes, mappedFHomes }()
	e.allocate()
	if r.Joined {
		s.margin = r.LongestWay()
	}
	context := e.enterRegion()
	s.labels, s.heads = make([]int, len(r.Blocks)), make([]bool, len(r.Blocks))
	for i := range r.Blocks {
		e.regionBlock(i)
	}
	for _, j := range s.jumps {
		e.patch(j.from, s.labels[j.block])
	}
	for _, f := range e.colds {
		f()
	}
	for i := range s.checks {
		e.siteMissed(&s.checks[i])
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
		e.addI(true, budget, budget, int64(p.back), X0)
		e.leaPage(X0, int64(p.at))
		s.saves = append(s.saves, e.bl())
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
	if context >= 0 {
		e.here(context)
		s.context = e.pos()
		e.put32(uint32(r.Context))
	}
	return abi.Code{Bytes: e.buf, Links: e.links, Context: s.context, Entries: s.entries}
}

// enterAgain makes where the region goes on after a slice has ended: in a joined
// one only if the end of the next is not too near.
func (e *Emitter) enterAgain(p *regionPause) {
	s := e.region
	if s.ir.Joined {
		e.subsI(true, ZR, budget, uint32(p.back))
		enough := e.bc(gt)
		e.leaPage(X0, int64(p.at))
		e.leave(e.r.short)
		e.here(enough)
	}
	s.loads = append(s.loads, e.bl())
	if s.ir.Joined {
		e.subsI(true, budget, budget, uint32(p.back))
	}
	e.b2(p.resume)
}

// charge takes off the budget what a joined block has executed before a jump to
// other blocks of the region, of which one is done with the jump. If one of them
// lies before, the slice may end here, at the offset at.
func (e *Emitter) charge(cur, done int, at int32, back bool) {
	s := e.region
	if n := done - s.charged; n != 0 || back {
		e.subsI(true, budget, budget, uint32(n))
	}
	if back {
		again := int32(0)
		if done > cur {
			again = 1 // the jump itself
		}
		from := e.bc(mi)
		s.pauses = append(s.pauses, regionPause{from, at, s.margin + again, e.pos(), s.loose})
		e.forgetPointers()
		e.singles = 0
	}
	s.charged = done
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

// exitHere returns the number of the exit to the block translator's code of the
// current instruction.
func (e *Emitter) exitHere() int {
	s := e.region
	n := int(e.cur.Index)
	back, target := e.owed(n), s.cur.Offsets[n]
	if k := len(s.exits) - 1; k >= 0 && s.exits[k].target == target && s.exits[k].back == back && s.exits[k].loose == s.loose && !s.exits[k].raw && s.exits[k].call == nil {
		return k
	}
	s.exits = append(s.exits, regionExit{target: target, back: back, loose: s.loose})
	return len(s.exits) - 1
}

// deopt leaves there.
func (e *Emitter) deopt(from ...int) {
	if len(from) == 0 {
		return
	}
	n := e.exitHere()
	x := &e.region.exits[n]
	x.from = append(x.from, from...)
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

// jumpTo makes the branch lead to where control goes after n instructions of a
// block.
func (e *Emitter) jumpTo(from int, target int32, n int) {
	s := e.region
	if i := s.ir.Find(target); i >= 0 {
		s.jumps = append(s.jumps, regionJump{from, i})
		return
	}
	s.exits = append(s.exits, regionExit{from: []int{from}, target: target, back: e.owed(n), loose: s.loose})
}

func (e *Emitter) regionBlock(i int) {
	s := e.region
	b := &s.ir.Blocks[i]
	s.cur, e.singles = b, 0
	e.forgetPointers()
	s.labels[i] = e.pos()
	s.charged, s.loose = 0, b.Loose
	if !s.ir.Joined {
		e.subsI(true, budget, budget, uint32(len(b.Offsets)))
		s.pauses = append(s.pauses, regionPause{e.bc(mi), b.Start, int32(len(b.Offsets)), s.labels[i], 0})
	}
	next := int32(-1 << 31) // what the code goes on with
	if i+1 < len(s.ir.Blocks) {
		next = s.ir.Blocks[i+1].Start
	}
	for j := range b.Insts {
		in := &b.Insts[j]
		e.cur, s.inst = in, j
		switch in.Op {
		case ir.Branch:
			n := int(in.Index) + 1
			if j == len(b.Insts)-2 && b.Insts[j+1].Op == ir.Jump && n == len(b.Offsets) && int(b.Insts[j+1].Index) == n && next == in.Target {
				// What the branch leads to is next, and the Jump is no instruction.
				other := b.Insts[j+1].Target
				e.chargeFor(i, in, in.Target, other)
				e.jumpTo(e.branchIf(in, in.Cond^1), other, len(b.Offsets))
				return
			}
			e.chargeFor(i, in, in.Target)
			e.jumpTo(e.branchIf(in, in.Cond), in.Target, max(n, s.charged))
		case ir.Jump:
			e.chargeFor(i, in, in.Target)
			e.returnTo(in.Dst, in.Imm)
			s.loose = in.LooseAfter(s.loose)
			switch {
			case isLink(in.Dst) && s.ir.Find(in.Target) < 0:
				s.exits = append(s.exits, regionExit{from: []int{e.b()}, target: in.Target, back: e.owed(len(b.Offsets)), loose: s.loose, call: in})
			case next != in.Target:
				e.jumpTo(e.b(), in.Target, len(b.Offsets))
			}
		case ir.JumpReg:
			e.regionJumpReg(i, in)
		case ir.Load:
			e.regionLoad(in)
		case ir.Store:
			e.regionStore(in)
		case ir.Across:
			e.deopt(e.acrossTo(in, b.Offsets[in.Index]&^4095+4096)...)
		default:
			if !e.regionFloat(in) {
				e.one(in)
			}
		}
		s.loose = in.LooseAfter(s.loose)
		e.follow(in)
	}
}

// regionJumpReg compares with where calls return to before it leaves.
func (e *Emitter) regionJumpReg(cur int, in *ir.Inst) {
	s := e.region
	e.chargeFor(cur, in, s.cur.Returns...)
	e.jumpTarget(in)
	for _, off := range s.cur.Returns {
		e.leaPage(X1, int64(off))
		e.cmp(true, X0, X1)
		e.jumpTo(e.bc(eq), off, len(s.cur.Offsets))
	}
	if back := e.owed(len(s.cur.Offsets)); back != 0 {
		e.addI(true, budget, budget, int64(back), X1)
	}
	e.unmap()
	defer e.asBlocks()()
	e.indirect(in)
}

// extend makes words of registers. X0 is lost.
func (e *Emitter) extend(loose uint32) {
	for r := ir.Reg(1); r < ir.F0; r++ {
		if loose>>r&1 != 0 {
			d := e.reg(r, X0)
			e.sxtw(d, d)
			e.put(r, d)
		}
	}
}

// leaveRegion makes an exit.
func (e *Emitter) leaveRegion(x *regionExit) {
	if len(x.from) == 0 {
		return
	}
	e.here(x.from...)
	e.extend(x.loose)
	if x.back != 0 {
		e.addI(true, budget, budget, int64(x.back), X0)
	}
	if !x.raw {
		e.unmap()
	}
	defer e.asBlocks()()
	if x.call != nil {
		e.leaPage(X0, x.call.Imm)
		e.calls(X0, int32(x.call.Imm))
	}
	e.link(x.target)
}

// asBlocks has code made for when the registers are as blocks have them, until
// what it returns is called.
func (e *Emitter) asBlocks() (end func()) {
	noPage := e.region.noPage
	e.region.noPage = false
	return func() { e.region.noPage = noPage }
}
