package arm64

import (
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// allocate gives homes to the registers that are used most, and what is left to
// pointers.
func (e *Emitter) allocate() {
	s := e.region
	use := s.ir.Usage()
	s.written = use.Written
	for i := range e.home {
		e.home[i], e.fhome[i] = noHome, noHome
	}
	e.home[0] = ZR
	var rest []ir.Reg // that have no home in blocks
	taken := map[Reg]bool{}
	for _, r := range use.Most(0, len(mapped)+2) {
		if h := mappedHomes[r]; h != noHome {
			e.home[r], taken[h] = h, true
		} else {
			rest = append(rest, r)
		}
	}
	take := func(host Reg, block ir.Reg) {
		e.home[rest[0]] = host
		s.changed = append(s.changed, moved{host, block, rest[0]})
		rest = rest[1:]
	}
	pointers := e.wanted()
	s.pointers = []pointer{{reg: X3}}
	point := func(host Reg) {
		s.pointers = append(s.pointers, pointer{reg: host})
		pointers--
	}
	var idle []moved
	for _, m := range mapped {
		switch {
		case taken[m.host]:
		case len(rest) > 0:
			take(m.host, m.guest)
		default:
			idle = append(idle, moved{host: m.host, block: m.guest})
		}
	}
	switch s.noStores = true; {
	case len(rest) > 0:
		take(stores, 0)
	case pointers > 0:
		point(stores)
	default:
		s.noStores = false
	}
	if len(rest) > 0 {
		s.noPage = true
		take(page, 0)
	}
	for _, m := range idle {
		if pointers > 0 {
			point(m.host)
			s.changed = append(s.changed, m)
		} else {
			e.home[m.block] = m.host
		}
	}
	e.allocateFloats(use)
}

// allocateFloats lets f28 to f31 have the homes of others that are not used.
func (e *Emitter) allocateFloats(use *ir.Usage) {
	s := e.region
	var rest []ir.Reg
	taken := map[Reg]bool{}
	for _, r := range use.Most(ir.F0, mappedFloats) {
		s.float = true
		if h := mappedFHomes[r-ir.F0]; h != noHome {
			e.fhome[r-ir.F0], taken[h] = h, true
		} else {
			rest = append(rest, r)
		}
	}
	for i, h := range mappedFHomes[:mappedFloats] {
		switch {
		case taken[h]:
		case len(rest) > 0:
			e.fhome[rest[0]-ir.F0] = h
			s.changed = append(s.changed, moved{h, ir.F0 + ir.Reg(i), rest[0]})
			rest = rest[1:]
		default:
			e.fhome[i] = h
		}
	}
}

// transfer moves a guest register between its place in memory and a host
// register.
func (e *Emitter) transfer(load bool, host Reg, r ir.Reg) {
	switch {
	case r == 0:
	case r < ir.F0:
		e.access([...]width{store64, load64}[b2i(load)], host, state, e.l.x(r), X3)
	default:
		e.access([...]width{storeF64, loadF64}[b2i(load)], host, state, e.l.f(r), X3)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// enterRegion goes from the registers of blocks to those of the region. It
// returns the load of the context to compare with, or -1.
func (e *Emitter) enterRegion() (context int) {
	s := e.region
	start := s.ir.Blocks[0].Start
	context = -1
	if s.ir.Context != abi.NoContext {
		e.field(load64, X0, e.l.FetchContext)
		context = e.loadLiteral(X1)
		e.cmp(false, X1, X0)
		s.exits = append(s.exits, regionExit{from: []int{e.bc(ne)}, target: start, raw: true})
	}
	if s.float {
		e.field(load32, X0, e.l.FPUsed)
		armed := e.cbnz(false, X0)
		e.field(load32, X0, e.l.FPOn)
		s.exits = append(s.exits, regionExit{from: []int{e.cbz(false, X0)}, target: start, raw: true})
		e.armHost((*Layout)(e.l))
		e.movI(X0, 1)
		e.field(store32, X0, e.l.FPUsed)
		e.here(armed)
	}
	if s.ir.Joined {
		e.subsI(true, budget, budget, uint32(s.margin))
		// There is one more, for a loop of one instruction to get on.
		s.exits = append(s.exits, regionExit{from: []int{e.bc(le)}, target: start, back: s.margin, raw: true})
	}
	e.mapRegion()
	return context
}

// mapRegion makes the registers the region's.
func (e *Emitter) mapRegion() {
	s := e.region
	if s.noPage {
		e.access(store64, page, state, e.l.Base, X3)
	}
	for _, m := range s.changed {
		e.transfer(false, m.host, m.block)
	}
	for _, m := range s.changed {
		e.transfer(true, m.host, m.own)
	}
	e.addI(true, sites, state, int64(s.sites)+siteBias, X3)
}

// unmap goes back to the registers of blocks. X0 and X1 are kept.
func (e *Emitter) unmap() { e.region.unmaps = append(e.region.unmaps, e.bl()) }

// transfers makes the routines that exits and the end of a slice call.
func (e *Emitter) transfers() {
	s := e.region
	e.here(s.saves...)
	e.mov(X1, LR)
	e.access(store64, X1, state, e.l.Resume, X3)
	e.movI(X2, int64(e.id))
	e.access(store32, X2, state, e.l.ID, X3)
	e.unmap()
	e.leave(e.r.pause)

	e.here(s.unmaps...)
	for _, m := range s.changed {
		if s.written[m.own] {
			e.transfer(false, m.host, m.own)
		}
		e.transfer(true, m.host, m.block)
	}
	e.addI(true, loads, state, int64(e.l.Loads), X3)
	if s.noStores {
		e.addI(true, stores, state, int64(e.l.Stores), X3)
	}
	if s.noPage {
		e.access(load64, page, state, e.l.Base, X3)
	}
	e.ret()

	e.here(s.loads...)
	e.mapRegion()
	e.ret()
}
