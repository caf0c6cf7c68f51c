package amd64

import (
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// Loads and stores of blocks check the page that they are in, by the TLB. What
// has one site (package opt) is in one page, and checked at once by the first
// access of them. What a check has found holds until code is left: where an
// instruction between the first and the last access of a site cannot be done
// here, the block is left for the interpreter and not resumed.

// maxBlockSites is how many sites a block may have whose addend is kept in
// memory, 8 bytes each at Layout.Addends.
const maxBlockSites = abi.Addends

// pageCheck is a check that has been made, for slowAccess.
type pageCheck struct {
	miss, back int // back is 0 if there is none
	in         *ir.Inst
	base       Reg
	low        int32
}

// planned is what is known of a block's sites beforehand.
type planned struct {
	last  [maxBlockSites + 1]uint8 // Inst of each that has a site
	again [maxBlockSites + 1]bool  // its addend is needed when RDX holds it no longer
	until uint8                    // the last Inst of the sites that have been checked
	held  uint16                   // the site whose addend is in RDX, or 0
}

// plan looks through a block.
func (e *Emitter) plan(insts []ir.Inst) {
	p := planned{}
	for i := range insts {
		in := &insts[i]
		if in.IsMemory() {
			if in.Site != 0 && in.Site <= maxBlockSites {
				p.last[in.Site] = uint8(i)
				p.again[in.Site] = p.again[in.Site] || in.Span == 0 && p.held != in.Site
			}
			p.held = in.Site
		} else if !keepsAddend(in) {
			p.held = 0
		}
	}
	p.held = 0
	e.planned = p
}

// keepsAddend tells whether the code for in, in a block, leaves RDX alone.
func keepsAddend(in *ir.Inst) bool { return keepsRDX(in) && in.Op != ir.Slow || in.Op == ir.Branch }

func isStore(in *ir.Inst) bool { return in.Op == ir.Store || in.Op == ir.FStore }

// place returns where in's memory is, after the check that it can be accessed,
// if it is in's to make. It uses RAX, RCX and RDX, the first and last of them for the
// place. slowAccess is to follow the access.
func (e *Emitter) place(in *ir.Inst) (mem, pageCheck) {
	tlb := e.l.Loads
	if isStore(in) || in.Flags&ir.Stores != 0 {
		tlb = e.l.Stores
	}
	if in.A == 0 { // rare
		e.held = 0
		e.address(in)
		return at(RAX, 0), pageCheck{miss: e.translate(tlb, in.Size)}
	}
	base := e.home[in.A]
	if base == noHome {
		base = RAX
		e.get(RAX, in.A)
	}
	m := mem{RDX, base, 0, int32(in.Imm)}
	site, low, span := in.Site, in.Low, int32(in.Span)
	switch {
	case site == 0 || site > maxBlockSites:
		site, low, span = 0, int32(in.Imm), int32(in.Size)
	case span == 0:
		if e.held != site {
			e.movRM(RDX, e.addend(site))
		}
		e.held = site
		return m, pageCheck{}
	}
	e.lea32(RCX, base, low)
	e.lea(RDX, at(base, low+span-1))
	miss := e.page(tlb)
	back := e.pos()
	if site != 0 && e.again[site] {
		e.movMR(e.addend(site), RDX)
	}
	e.held = site
	e.until = max(e.until, e.last[site])
	return m, pageCheck{miss, back, in, base, low}
}

func (e *Emitter) addend(site uint16) mem { return at(state, e.l.Addends+8*int32(site-1)) }

// lea32 adds in 32 bits.
func (a *asm) lea32(dst, base Reg, n int32) {
	if n == 0 {
		a.mov32RR(dst, base)
		return
	}
	a.rm(op{code: 0x8d}, dst, at(base, n))
}

// page gives in RDX the addend of the page that the first and last byte of an
// access are in, whose addresses RCX, of which 32 bits matter, and RDX are. It returns the
// displacement of the jump for pages that are not in the TLB. RCX is the place
// of the entry then, and RDX the tag.
//
// If the bytes lie in two pages, the entry for the first has not the tag of the
// second, whose place is another one.
func (e *Emitter) page(tlb int32) (miss int) {
	entry := func(off int32) mem { return mem{state, RCX, 0, tlb + off} }
	e.shiftRI(shr, false, RCX, 8)
	e.aluRI(aluAnd, false, RCX, (e.l.TLBEntries-1)<<4)
	e.aluRI(aluAnd, true, RDX, -4096)
	e.aluRM(aluOr, true, RDX, at(state, e.l.DataContext))
	e.aluRM(aluCmp, true, RDX, entry(0))
	miss = e.jcc(ccNE)
	e.movRM(RDX, entry(8))
	return miss
}

// slowAccess is slow for an access whose place was found before.
func (e *Emitter) slowAccess(c pageCheck) {
	if c.miss == 0 {
		return
	}
	n := len(e.slows)
	e.slow(c.miss)
	if c.in != nil {
		e.slows[n].check = c
	}
}

// refill looks for the page of a check that has failed in the second level of
// the TLB, and goes back if it is there.
func (e *Emitter) refill(c *pageCheck) {
	if c.base != RAX || c.low != 0 {
		e.lea(RAX, at(c.base, c.low))
	}
	routine := e.r.moreLoads
	if isStore(c.in) || c.in.Flags&ir.Stores != 0 {
		routine = e.r.moreStores
	}
	e.callRoutine(routine)
	if c.base == RAX && c.low != 0 {
		e.get(RAX, c.in.A) // keeps the flags
	}
	e.patch(e.jcc(ccAE), c.back)
}

// more makes the routine that looks for a page in the TLB's second level, from
// where it goes back to the first. RAX is the address of the first byte of the
// access, RCX and RDX are as page leaves them; RDX becomes the addend. Carry
// tells that the page is not there, or that there are two of them.
func (e *Emitter) more(tlb, more int32) {
	e.byte(0x53, 0x56) // push rbx, rsi
	e.movRR(RBX, RAX)
	e.aluRI(aluAnd, true, RBX, -4096)
	e.aluRM(aluOr, true, RBX, at(state, e.l.DataContext))
	e.aluRR(aluCmp, true, RBX, RDX)
	crosses := e.jcc(ccNE)
	e.movRR(RBX, RAX)
	e.shiftRI(shr, true, RBX, 26)
	e.movRR(RSI, RAX)
	e.shiftRI(shr, true, RSI, 12)
	e.aluRR(aluXor, false, RBX, RSI)
	e.aluRI(aluAnd, false, RBX, e.l.TLBSets-1)
	e.shiftRI(shl, false, RBX, 7)
	e.mov32RR(RSI, RDX)
	e.shiftRI(shr, false, RSI, 3)
	e.aluRR(aluXor, false, RSI, RDX)
	e.shiftRI(shl, false, RSI, 1)
	e.aluRI(aluAnd, false, RSI, (abi.SetEntries-1)<<4)
	e.aluRR(aluAdd, false, RBX, RSI)
	e.aluRM(aluCmp, true, RDX, mem{state, RBX, 0, more})
	absent := e.jcc(ccNE)
	e.movRM(RSI, mem{state, RBX, 0, more + 8})
	e.movMR(mem{state, RCX, 0, tlb}, RDX)
	e.movMR(mem{state, RCX, 0, tlb + 8}, RSI)
	e.movRR(RDX, RSI)
	e.byte(0x5e, 0x5b, 0xf8, 0xc3) // pop rsi, rbx; clc; ret
	e.here(crosses)
	e.movMI(false, at(state, e.l.Crossed), 1)
	e.here(absent)
	e.byte(0x5e, 0x5b, 0xf9, 0xc3) // pop rsi, rbx; stc; ret
}

// moreRoutines makes both.
func (r *Routines) moreRoutines(a *asm, l *Layout) {
	e := &Emitter{asm: *a, l: l, r: r}
	r.moreLoads = e.pos()
	e.more(l.Loads, l.MoreLoads)
	r.moreStores = e.pos()
	e.more(l.Stores, l.MoreStores)
	*a = e.asm
}
