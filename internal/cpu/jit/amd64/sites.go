package amd64

import "doppel/internal/cpu/jit/ir"

// A site is the translation of one page for accesses at one place of a
// region's code, in 32 bytes of the VCPU: tag, limit, addend, and the limit
// when the site is valid. An access at va is in the page, with all of its span,
// if va^tag is below limit; the host's address is then va+addend. A site is
// void when its limit is 0. It is filled from the TLB, and voided by the engine
// when translations are forgotten: it knows by a log which sites are not void.
const (
	siteTag = iota * 8
	siteLimit
	siteAddend
	siteFull // 32 bits, and 32 of which the lowest says that the site is in a log and the others count misses
	siteSize
)

// walkLines is how much of a page is fetched ahead, in lines of the cache.
const walkLines = 32

// siteCheck is the code out of line of a check that fails.
type siteCheck struct {
	in   *ir.Inst
	from []int
	back int // where the access goes on, with its addend in RDX or RCX
	base Reg
	cur  *ir.RegionBlock

	charged int    // see regionState
	loose   uint32 // see there
	keeps   uint16 // the site whose addend RDX has to hold still, if the access's is in RCX
}

func (e *Emitter) site(in *ir.Inst, field int32) mem {
	return at(state, e.region.sites+int32(in.Site)*siteSize+field)
}

// access returns where in's memory is, after the check that it can be accessed.
// It uses RAX, RCX and RDX.
func (e *Emitter) access(in *ir.Inst) mem {
	s := e.region
	if in.Site == 0 {
		tlb := e.l.Loads
		if in.Op == ir.Store || in.Op == ir.FStore {
			tlb = e.l.Stores
		}
		s.held = 0
		e.address(in)
		e.slow(e.translate(tlb, in.Size))
		return at(RAX, 0)
	}
	base := e.home[in.A]
	if base == noHome {
		base = RAX
		e.get(RAX, in.A)
	}
	addend := RDX
	if in.Span != 0 {
		addend = e.check(in, base)
	} else if s.held != in.Site {
		e.movRM(RDX, e.site(in, siteAddend))
		s.held = in.Site
	}
	return mem{addend, base, 0, int32(in.Imm)}
}

// check makes the check of in, whose base is in a register, for all accesses
// that share its site, and returns the register that has the addend. It uses
// RCX.
func (e *Emitter) check(in *ir.Inst, base Reg) Reg {
	s := e.region
	c := siteCheck{in: in, base: base, cur: s.cur, charged: s.charged, loose: s.loose}
	if s.held != 0 && s.held != in.Site && s.held == s.want[s.at] && e.spares(in) {
		c.keeps = s.held
	}
	switch {
	case in.Flags&ir.Roams != 0:
		c.from = e.probe(in, base)
	case c.keeps != 0:
		c.from = e.samePage(in, base)
		e.movRM(RCX, e.site(in, siteAddend))
	default:
		if s.held != in.Site {
			e.movRM(RDX, e.site(in, siteAddend)) // first: the access waits for it
		}
		c.from = e.samePage(in, base)
	}
	c.back = e.pos()
	s.checks = append(s.checks, c)
	if c.keeps != 0 {
		return RCX
	}
	s.held = in.Site
	return RDX
}

// samePage compares the page of in with the one of its site.
func (e *Emitter) samePage(in *ir.Inst, base Reg) (miss []int) {
	if in.Low != 0 {
		e.lea(RCX, at(base, in.Low))
	} else {
		e.movRR(RCX, base)
	}
	e.aluRM(aluXor, true, RCX, e.site(in, siteTag))
	e.aluRM(aluCmp, true, RCX, e.site(in, siteLimit))
	return []int{e.jcc(ccAE)}
}

// missed has the site filled and goes on, or leaves the region, or goes on where the accesses have
// checks of their own.
func (e *Emitter) missed(c *siteCheck) {
	e.here(c.from...)
	if c.base != RAX || c.in.Low != 0 {
		e.lea(RAX, at(c.base, c.in.Low))
	}
	e.lea(RDX, e.site(c.in, 0))
	fill := e.r.fillLoad
	if c.in.Flags&ir.Stores != 0 {
		fill = e.r.fillStore
	}
	e.patch(e.call(), fill-e.at)
	if s := e.region; c.in.Op == ir.Check {
		e.patch(e.jcc(ccNE), s.labels[s.ir.Find(c.in.Target)])
	} else {
		e.cur, s.cur, s.charged, s.loose = c.in, c.cur, c.charged, c.loose
		e.deopt(e.jcc(ccNE))
	}
	if c.base == RAX && c.in.Low != 0 {
		e.get(RAX, c.in.A)
	}
	if c.keeps != 0 {
		e.movRR(RCX, RDX)
		e.movRM(RDX, e.addendOf(c.keeps))
	}
	e.patch(e.jmp(), c.back)
}

func (e *Emitter) regionLoad(in *ir.Inst) {
	m := e.access(in)
	if in.Dst == 0 {
		return
	}
	d := e.dst(in.Dst)
	e.rm(loadOp(in.Size, in.Flags&ir.Signed != 0), d, m)
	e.put(in.Dst, d)
}

// fillRoutine makes the routine that fills the site at RDX for the address RAX
// from a TLB and gives its addend in RDX; the zero flag is clear if it cannot.
// It keeps all else but RCX.
//
// In a context that is not the usual one of a privilege, as when a kernel is
// let at user memory for a while, the site stays void, but has the addend for
// the accesses that share this one's check.
func fillRoutine(a *asm, l *Layout, tlb int32) {
	entry := func(off int32) mem { return mem{state, RCX, 0, tlb + off} }
	a.byte(0x53, 0x56) // push rbx, rsi
	a.aluMI(aluAdd, false, at(RDX, siteFull+4), 2)
	a.mov32RR(RCX, RAX)
	a.aluRI(aluAnd, false, RCX, 0xfff)
	a.aluRM(aluCmp, false, RCX, at(RDX, siteFull))
	crosses := a.jcc(ccAE)
	a.mov32RR(RCX, RAX)
	a.shiftRI(shr, false, RCX, 8)
	a.aluRI(aluAnd, false, RCX, (l.TLBEntries-1)<<4)
	a.movRR(RBX, RAX)
	a.aluRI(aluAnd, true, RBX, -4096)
	a.movRR(RSI, RBX)
	a.aluRM(aluOr, true, RSI, at(state, l.DataContext))
	a.aluRM(aluCmp, true, RSI, entry(0))
	miss := a.jcc(ccNE)
	a.movRM(RSI, entry(8))
	a.walk(l, tlb)
	// The log is that of the context's kind; there is none for unusual ones.
	a.mov32RM(RCX, at(state, l.DataContext))
	a.aluRI(aluAnd, false, RCX, 7<<3)
	a.movRM(RCX, mem{state, RCX, 0, l.SiteLogs})
	a.movMR(at(RDX, siteTag), RBX)
	a.movMR(at(RDX, siteAddend), RSI)
	a.mov32RR(RBX, RCX)
	a.rr(wide(0x85), RCX, RCX)
	unusual := a.jcc(ccE)
	a.mov32RM(RBX, at(RDX, siteFull))
	a.here(unusual)
	a.movMR(at(RDX, siteLimit), RBX) // 0 if unusual
	a.rr(wide(0x85), RCX, RCX)
	void := a.jcc(ccE)
	a.rm(op{code: 0xf6}, 0, at(RDX, siteFull+4)) // test byte
	a.byte(1)
	logged := a.jcc(ccNE)
	a.aluMI(aluOr, false, at(RDX, siteFull+4), 1)
	// The log is a count and offsets from R15.
	a.aluRR(aluAdd, true, RCX, state)
	a.mov32RM(RBX, at(RCX, 0))
	a.aluRR(aluSub, true, RDX, state)
	a.mov32MR(mem{RCX, RBX, 2, 4}, RDX)
	a.aluMI(aluAdd, false, at(RCX, 0), 1)
	a.here(void, logged)
	a.movRR(RDX, RSI)
	a.aluRR(aluCmp, false, RAX, RAX)
	end := a.jmp()
	a.here(crosses, miss)
	a.rr(wide(0x85), RSP, RSP) // not zero
	a.here(end)
	a.byte(0x5e, 0x5b, 0xc3) // pop rsi, rbx; ret
}

// walk is a part of fillRoutine: if the site goes from the start of one page to
// the next, the one after that is fetched into the host's caches. A guest's
// pages need not be neighbours in the host's memory, which is why the host does
// not see by itself where this leads. It uses RCX.
func (a *asm) walk(l *Layout, tlb int32) {
	entry := func(off int32) mem { return mem{state, RCX, 0, tlb + off} }
	a.mov32RR(RCX, RAX)
	a.aluRI(aluAnd, false, RCX, 0xfff)
	a.aluRI(aluCmp, false, RCX, 64)
	inside := a.jcc(ccAE)
	a.lea(RCX, at(RBX, -4096))
	a.aluRM(aluCmp, true, RCX, at(RDX, siteTag))
	elsewhere := a.jcc(ccNE)
	a.lea(RCX, at(RBX, 4096))
	a.shiftRI(shr, true, RCX, 8)
	a.aluRI(aluAnd, false, RCX, (l.TLBEntries-1)<<4)
	a.aluRI(aluAdd, true, RBX, 4096)
	a.aluRM(aluOr, true, RBX, at(state, l.DataContext))
	a.aluRM(aluCmp, true, RBX, entry(0))
	unknown := a.jcc(ccNE)
	a.movRM(RCX, entry(8))
	a.aluRR(aluCmp, true, RCX, RSI)
	neighbour := a.jcc(ccE)
	a.aluRI(aluAnd, true, RBX, -4096)
	a.aluRR(aluAdd, true, RCX, RBX)
	for i := range int32(walkLines) {
		a.rm(op{code: 0x0f18}, 1, at(RCX, 64*i)) // prefetcht0
	}
	a.here(unknown, neighbour)
	a.movRR(RBX, RAX)
	a.aluRI(aluAnd, true, RBX, -4096)
	a.here(inside, elsewhere)
}

// probe is the check of an access that roams: through the TLB, and not by what
// the site had last. It gives the addend in RDX, and uses RCX.
func (e *Emitter) probe(in *ir.Inst, base Reg) (miss []int) {
	tlb := e.l.Loads
	if in.Flags&ir.Stores != 0 {
		tlb = e.l.Stores
	}
	entry := func(off int32) mem { return mem{state, RCX, 0, tlb + off} }
	if in.Low != 0 {
		e.lea(RCX, at(base, in.Low))
	} else {
		e.movRR(RCX, base)
	}
	if in.Span > 1 {
		e.mov32RR(RDX, RCX)
		e.aluRI(aluAnd, false, RDX, 0xfff)
		e.aluRI(aluCmp, false, RDX, 4096-int32(in.Span))
		miss = append(miss, e.jcc(ccA))
	}
	e.movRR(RDX, RCX)
	e.shiftRI(shr, false, RCX, 8)
	e.aluRI(aluAnd, false, RCX, (e.l.TLBEntries-1)<<4)
	e.aluRI(aluAnd, true, RDX, -4096)
	e.aluRM(aluOr, true, RDX, at(state, e.l.DataContext))
	e.aluRM(aluCmp, true, RDX, entry(0))
	miss = append(miss, e.jcc(ccNE))
	e.movRM(RDX, entry(8))
	e.movMR(e.site(in, siteAddend), RDX) // for those that share the check
	return miss
}
