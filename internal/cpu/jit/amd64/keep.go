package amd64

import "doppel/internal/cpu/jit/ir"

// When the host has foretold a branch wrongly, what comes after it begins with
// nothing done: a load first waits for the addend of its site, out of memory,
// and the next branch for the load. So the addend of one site stays in RDX over
// jumps between the blocks of a joined region, where an inner loop gains by it;
// accesses of other sites have theirs in RCX then, and a branch is preceded by
// what loads the addend that the likelier way needs.

// keepRounds is over how many blocks an addend is kept for the sake of another.
const keepRounds = 4

// planKept finds which addend RDX is to hold at the start of each block. What
// comes of it is only speed: code relies on regionState.held.
func (e *Emitter) planKept() {
	s := e.region
	n := len(s.ir.Blocks)
	s.want, s.warm, s.shared = make([]uint16, n), make([]int, n), map[uint16]bool{}
	if !s.ir.Joined {
		return
	}
	for i := range s.ir.Blocks {
		for j := range s.ir.Blocks[i].Insts {
			if in := &s.ir.Blocks[i].Insts[j]; in.Site != 0 && (in.Span == 0 || in.Op == ir.Check) {
				s.shared[in.Site] = true
			}
		}
	}
	loads, passes := make([]bool, n), make([]bool, n)
	for i := range s.ir.Blocks {
		s.want[i], loads[i], passes[i] = e.ownSite(&s.ir.Blocks[i])
	}
	// A block without loads of its own, or on the way to what is executed more
	// often, keeps what comes next.
	for range keepRounds {
		for i := range s.ir.Blocks {
			next := e.likeliest(&s.ir.Blocks[i])
			if next < 0 || next == i || !passes[i] || s.want[next] == 0 {
				continue
			}
			if !loads[i] || s.ir.Blocks[next].Weight > s.ir.Blocks[i].Weight {
				s.want[i] = s.want[next]
			}
		}
	}
}

// ownSite returns the site of the first load in b, if nothing before it needs
// RDX, whether there is one, and whether b can leave RDX alone.
func (e *Emitter) ownSite(b *ir.RegionBlock) (site uint16, loads, passes bool) {
	passes = true
	for j := range b.Insts {
		switch in := &b.Insts[j]; {
		case in.Op == ir.Branch, in.Op == ir.Jump:
		case in.Site != 0:
			load := in.Op == ir.Load || in.Op == ir.FLoad
			if load && in.Flags&ir.Roams == 0 && passes && !loads {
				site, loads = in.Site, true
			}
			passes = passes && e.spares(in)
		case keepsRDX(in), ir.FAdd <= in.Op && in.Op <= ir.FToF:
		default:
			passes = false
		}
	}
	return site, loads, passes
}

// likeliest is the block of the region that b leads to most often, or -1.
func (e *Emitter) likeliest(b *ir.RegionBlock) int {
	r, best := e.region.ir, -1
	for j := range b.Insts {
		if in := &b.Insts[j]; in.Op == ir.Branch || in.Op == ir.Jump {
			if i := r.Find(in.Target); i >= 0 && (best < 0 || r.Blocks[i].Weight > r.Blocks[best].Weight) {
				best = i
			}
		}
	}
	return best
}

// spares tells whether the access in can have its addend in RCX: nothing else
// needs it, nor RCX.
func (e *Emitter) spares(in *ir.Inst) bool {
	if in.Span == 0 || in.Flags&ir.Roams != 0 || e.region.shared[in.Site] {
		return false
	}
	switch in.Op {
	case ir.Load, ir.FLoad, ir.FStore:
		return true
	case ir.Store:
		return e.home[in.B] != noHome
	}
	return false
}

// startBlock makes where control comes to block i: with the wanted addend in
// RDX, and without it.
func (e *Emitter) startBlock(i int) {
	s := e.region
	through := s.held // if control comes from the block before
	s.held = s.want[i]
	switch {
	case s.held == 0:
		s.labels[i] = e.pos()
	case through == s.held:
		s.reloads = append(s.reloads, i)
	default:
		s.labels[i] = e.pos()
		e.movRM(RDX, e.addendOf(s.held))
	}
	s.warm[i] = e.pos()
}

// makeReloads makes where control comes to blocks without the wanted addend if
// the block before has it.
func (e *Emitter) makeReloads() {
	s := e.region
	for _, i := range s.reloads {
		s.labels[i] = e.pos()
		e.movRM(RDX, e.addendOf(s.want[i]))
		e.patch(e.jmp(), s.warm[i])
	}
}

// label is where to jump to block i with the addend of a site in RDX.
func (s *regionState) label(i int, held uint16) int {
	if held != 0 && held == s.want[i] {
		return s.warm[i]
	}
	return s.labels[i]
}

// expect loads the addend that is wanted where control goes after a block that
// ends with a Branch and a Jump, or with the last of them.
func (e *Emitter) expect(b *ir.RegionBlock) {
	s := e.region
	if i := e.likeliest(b); i >= 0 && s.want[i] != 0 && s.want[i] != s.held {
		s.held = s.want[i]
		e.movRM(RDX, e.addendOf(s.held))
	}
}

func (e *Emitter) addendOf(site uint16) mem {
	return at(state, e.region.sites+int32(site)*siteSize+siteAddend)
}
