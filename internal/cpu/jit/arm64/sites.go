package arm64

import "doppel/internal/cpu/jit/ir"

// A site is the translation of one page for accesses at one place of a region's
// code, in 32 bytes of the VCPU: tag, limit, addend, and the limit when the site
// is valid. An access at va is in the page, with all of its span, if va^tag is
// below limit; the host's address is then va+addend. A site is void when its
// limit is 0. It is filled from the TLB, and voided by the engine when
// translations are forgotten: it knows by a log which sites are not void.
const (
	siteTag = iota * 8
	siteLimit
	siteAddend
	siteFull // 32 bits, and 32 of which the lowest says that the site is in a log and the others count misses
	siteSize
)

// sites points to a region's sites, siteBias bytes behind the first, which
// makes more of them reachable in pairs of words.
const (
	sites    = X22
	siteBias = 256
)

// pointer is a host register that holds where the memory of a site's accesses
// is: at lies how far from it the memory is that a guest register of known points
// to. X3 is one, which much else makes use of. The site is 0 if it holds none.
type pointer struct {
	reg   Reg
	site  uint16
	known uint32
	at    [32]int32
}

// place is memory: at base + off or, if that is none, base + index.
type place struct {
	base, index Reg
	off         int32
}

// siteCheck is the code out of line of a check that fails.
type siteCheck struct {
	in   *ir.Inst
	from []int
	back int // where the access goes on, with the addend in X2
	base Reg
	cur  *ir.RegionBlock

	charged int    // see regionState
	loose   uint32 // see there
}

func (e *Emitter) siteField(in *ir.Inst, field int32) int32 {
	return int32(in.Site)*siteSize + field - siteBias
}

// forgetPointers is for where control comes from elsewhere.
func (e *Emitter) forgetPointers() {
	for i := range e.region.pointers {
		e.region.pointers[i].site = 0
	}
}

// wanted is how many pointers a region has a use for besides X3: as many as
// there are sites in a block that have several accesses.
func (e *Emitter) wanted() (n int) {
	const most = 4
	for i := range e.region.ir.Blocks {
		seen := map[uint16]int{}
		again := 0
		for _, in := range e.region.ir.Blocks[i].Insts {
			if in.Site != 0 {
				if seen[in.Site]++; seen[in.Site] == 2 {
					again++
				}
			}
		}
		n = max(n, again-1)
	}
	return min(n, most)
}

// nextUse is how many Insts of the block lie before the next access of a site.
func (e *Emitter) nextUse(site uint16) int {
	rest := e.region.cur.Insts[e.region.inst+1:]
	for i := range rest {
		if rest[i].Site == site {
			return i
		}
	}
	return never
}

const never = 1 << 20

// follow is told of each Inst after its code.
func (e *Emitter) follow(in *ir.Inst) {
	s := e.region
	switch {
	case in.IsMemory() && in.Site == 0, ir.AmoSwap <= in.Op && in.Op <= ir.StoreConditional, in.Op == ir.Across:
		s.pointers[0].site = 0 // X3
	}
	d := in.Def()
	if d == 0 || d >= ir.F0 {
		return
	}
	from, by := ir.Reg(0), int64(0)
	if in.Op == ir.Add {
		switch {
		case in.Flags == ir.Immediate:
			from, by = in.A, in.Imm
		case in.Flags == 0 && in.B == 0:
			from = in.A
		case in.Flags == 0 && in.A == 0:
			from = in.B
		}
	}
	for i := range s.pointers {
		p := &s.pointers[i]
		if off := int64(p.at[from]) + by; from != 0 && p.known>>from&1 != 0 && off == int64(int32(off)) {
			p.at[d] = int32(off)
			p.known |= 1 << d
		} else {
			p.known &^= 1 << d
		}
	}
}

// reaches returns where in's memory is, after the check that it can be accessed.
// It uses X0 to X2 and LR, of which X1 and LR are free when it returns.
func (e *Emitter) reaches(in *ir.Inst) place {
	s := e.region
	if in.Site == 0 {
		tlb := loads
		if in.Op == ir.Store || in.Op == ir.FStore {
			tlb = stores
		}
		a := e.address(in)
		e.deopt(e.translate(a, tlb, in.Size))
		return place{base: a, index: X3}
	}
	if in.Span == 0 {
		for i := range s.pointers {
			if p := &s.pointers[i]; p.site == in.Site && p.known>>in.A&1 != 0 {
				return place{base: p.reg, index: noHome, off: p.at[in.A] + int32(in.Imm)}
			}
		}
	}
	p := e.pointerFor(in)
	base := e.reg(in.A, X0)
	switch {
	case in.Span != 0 && in.Flags&ir.Roams != 0:
		miss := e.probe(in, base)
		s.checks = append(s.checks, siteCheck{in, miss, e.pos(), base, s.cur, s.charged, s.loose})
	case in.Span != 0:
		first := base
		if in.Low != 0 {
			first = X1
			e.addI(true, X1, base, int64(in.Low), X1)
		}
		if off := e.siteField(in, siteTag); off < 512-8 {
			e.pair(true, X2, LR, sites, off)
		} else {
			e.access(load64, X2, sites, off, X2)
			e.access(load64, LR, sites, e.siteField(in, siteLimit), LR)
		}
		e.rrr(opEor, true, X1, first, X2)
		e.cmp(true, X1, LR)
		miss := e.bc(hs)
		e.access(load64, X2, sites, e.siteField(in, siteAddend), X2)
		s.checks = append(s.checks, siteCheck{in, []int{miss}, e.pos(), base, s.cur, s.charged, s.loose})
	default:
		e.access(load64, X2, sites, e.siteField(in, siteAddend), X2)
	}
	if p == nil {
		if in.Imm == 0 {
			return place{base: base, index: X2}
		}
		e.rrr(opAdd, true, X2, X2, base)
		return place{base: X2, index: noHome, off: int32(in.Imm)}
	}
	e.rrr(opAdd, true, p.reg, X2, base)
	*p = pointer{reg: p.reg, site: in.Site, known: 1 << in.A}
	return place{base: p.reg, index: noHome, off: int32(in.Imm)}
}

// pointerFor is the pointer to use for in's site: the one that is used again
// last, or none if that is only used here.
func (e *Emitter) pointerFor(in *ir.Inst) *pointer {
	s := e.region
	var best *pointer
	last := e.nextUse(in.Site)
	if last == never {
		return nil
	}
	last = -1
	for i := range s.pointers {
		p := &s.pointers[i]
		next := never
		if p.site == in.Site {
			return p
		}
		if p.site != 0 {
			next = e.nextUse(p.site)
		}
		// X3, which is first, is lost more easily.
		if next >= last {
			best, last = p, next
		}
	}
	return best
}

// accessPlace accesses memory at m. LR is lost.
func (e *Emitter) accessPlace(k width, t Reg, m place) {
	if m.index != noHome {
		e.indexed(k, t, m.base, m.index)
	} else {
		e.access(k, t, m.base, m.off, LR)
	}
}

func (e *Emitter) regionLoad(in *ir.Inst) {
	m := e.reaches(in)
	if in.Dst == 0 {
		return
	}
	d := e.dst(in.Dst)
	e.accessPlace(loadWidth(in.Size, in.Flags&ir.Signed != 0), d, m)
	e.put(in.Dst, d)
}

func (e *Emitter) regionStore(in *ir.Inst) {
	m := e.reaches(in)
	e.accessPlace(storeWidth(in.Size), e.reg(in.B, X1), m)
}

// siteMissed has the site filled and goes on, or leaves the region.
func (e *Emitter) siteMissed(c *siteCheck) {
	s := e.region
	e.here(c.from...)
	e.addI(true, X0, c.base, int64(c.in.Low), X1)
	e.addI(true, X1, sites, int64(e.siteField(c.in, 0)), X2)
	fill := e.r.fillLoad
	if c.in.Flags&ir.Stores != 0 {
		fill = e.r.fillStore
	}
	e.callRoutine(fill)
	e.cur, s.cur, s.charged, s.loose = c.in, c.cur, c.charged, c.loose
	e.deopt(e.cbnz(true, X1))
	if c.base == X0 {
		e.reg(c.in.A, X0)
	}
	e.b2(c.back)
}

// probe is the check of an access that roams: through the TLB, and not by what
// the site had last. It gives the addend in X2. X0 is kept.
func (e *Emitter) probe(in *ir.Inst, base Reg) (miss []int) {
	tlb := e.l.Loads
	if in.Flags&ir.Stores != 0 {
		tlb = e.l.Stores
	}
	e.addI(true, X1, base, int64(in.Low), X1)
	if in.Span > 1 {
		e.ubfx(true, X2, X1, 0, 12)
		e.subsI(true, ZR, X2, 4096-uint32(in.Span))
		miss = append(miss, e.bc(hi))
	}
	e.ubfx(true, X2, X1, 12, log2(e.l.TLBEntries))
	e.addI(true, LR, state, int64(tlb), LR)
	e.shifted(opAdd, true, X2, LR, X2, lsl, 4)
	e.pair(true, LR, X2, X2, 0)
	e.logicalI(opAnd, true, X1, X1, ^int64(0xfff), X1)
	e.rrr(opEor, true, LR, LR, X1)
	e.field(load64, X1, e.l.DataContext)
	e.cmp(true, LR, X1)
	miss = append(miss, e.bc(ne))
	e.access(store64, X2, sites, e.siteField(in, siteAddend), X1) // for those that share the check
	return miss
}

// fillRoutine makes the routine that fills the site at X1 for the address X0 from
// a TLB and gives its addend in X2; X1 is 0 unless it cannot. It keeps all else
// but X0 and V0 to V2.
//
// In a context that is not the usual one of a privilege, as when a kernel is let
// at user memory for a while, the site stays void, but has the addend for the
// accesses that share this one's check.
func (a *asm) fillRoutine(l *Layout, tlb int32) {
	a.fmovF(8, V0, X3)
	a.fmovF(8, V1, LR)
	a.access(load32, X2, X1, siteFull+4, X2)
	a.addI(false, X2, X2, 2, X2)
	a.access(store32, X2, X1, siteFull+4, X3)
	a.access(load32, X3, X1, siteFull, X3)
	a.ubfx(true, X2, X0, 0, 12)
	a.cmp(false, X2, X3)
	crosses := a.bc(hs)
	a.ubfx(true, X2, X0, 12, log2(l.TLBEntries))
	a.addI(true, X3, state, int64(tlb), X3)
	a.shifted(opAdd, true, X3, X3, X2, lsl, 4)
	a.pair(true, X2, X3, X3, 0)
	a.access(load64, LR, state, l.DataContext, LR)
	a.logicalI(opAnd, true, X0, X0, ^int64(0xfff), X0)
	a.rrr(opEor, true, X2, X2, LR)
	a.cmp(true, X2, X0)
	miss := a.bc(ne)
	a.access(store64, X0, X1, siteTag, X2)
	a.access(store64, X3, X1, siteAddend, X2)
	// The log is that of the context's kind; there is none for unusual ones.
	a.logicalI(opAnd, true, LR, LR, 7<<3, LR)
	a.addI(true, X2, state, int64(l.SiteLogs), X2)
	a.indexed(load64, LR, X2, LR)
	a.access(load32, X0, X1, siteFull, X0)
	a.cmp(true, LR, ZR)
	a.csel(true, X0, ZR, X0, eq)
	a.access(store64, X0, X1, siteLimit, X2)
	a.mov(X2, X3)
	void := a.bc(eq)
	a.access(load32, X3, X1, siteFull+4, X3)
	logged := a.tbnz(X3, 0)
	a.logicalI(opOrr, false, X3, X3, 1, X0)
	a.access(store32, X3, X1, siteFull+4, X0)
	// The log is a count and offsets from X19.
	a.rrr(opAdd, true, LR, state, LR)
	a.access(load32, X3, LR, 0, X3)
	a.rrr(opSub, true, X1, X1, state)
	a.shifted(opAdd, true, X0, LR, X3, lsl, 2)
	a.access(store32, X1, X0, 4, X0)
	a.addI(false, X3, X3, 1, X3)
	a.access(store32, X3, LR, 0, X0)
	a.here(void, logged)
	a.movI(X1, 0)
	end := a.b()
	a.here(crosses, miss)
	a.movI(X1, 1)
	a.here(end)
	a.fmovX(8, X3, V0)
	a.fmovX(8, LR, V1)
	a.ret()
}
