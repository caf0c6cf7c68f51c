package amd64

import "doppel/internal/cpu/jit/ir"

// address puts A + Imm into RAX.
func (e *Emitter) address(in *ir.Inst) {
	switch h := e.home[in.A]; {
	case in.A == 0:
		e.movRI(RAX, in.Imm)
	case h != noHome && in.Imm != 0:
		e.lea(RAX, at(h, int32(in.Imm)))
	default:
		e.get(RAX, in.A)
		if in.Imm != 0 {
			e.aluRI(aluAdd, true, RAX, int32(in.Imm))
		}
	}
}

// translate makes the virtual address in RAX the host's, through a TLB. It
// returns the displacement of the jump for addresses that are not in it or not
// aligned: their low bits are kept in what is compared with the tag.
//
// An entry maps a whole page of RAM, and the access, being aligned, does not
// leave the page.
func (e *Emitter) translate(tlb int32, size uint8) (miss int) {
	entry := func(off int32) mem { return mem{state, RCX, 0, tlb + off} }
	e.mov32RR(RCX, RAX)
	e.shiftRI(shr, false, RCX, 8)
	e.aluRI(aluAnd, false, RCX, (e.l.TLBEntries-1)<<4)
	e.movRR(RDX, RAX)
	e.aluRI(aluAnd, true, RDX, ^int32(0xfff&^(uint32(size)-1)))
	e.aluRM(aluOr, true, RDX, at(state, e.l.DataContext))
	e.aluRM(aluCmp, true, RDX, entry(0))
	miss = e.jcc(ccNE)
	e.aluRM(aluAdd, true, RAX, entry(8))
	return miss
}

func (e *Emitter) load(in *ir.Inst) {
	m, check := e.place(in)
	if in.Dst != 0 {
		d := e.dst(in.Dst)
		e.rm(loadOp(in.Size, in.Flags&ir.Signed != 0), d, m)
		e.put(in.Dst, d)
	}
	e.slowAccess(check)
}

func loadOp(size uint8, signed bool) op {
	switch {
	case size == 1 && signed:
		return wide(0x0fbe)
	case size == 1:
		return op{code: 0x0fb6}
	case size == 2 && signed:
		return wide(0x0fbf)
	case size == 2:
		return op{code: 0x0fb7}
	case size == 4 && signed:
		return wide(0x63)
	case size == 4:
		return op{code: 0x8b}
	}
	return wide(0x8b)
}

func storeOp(size uint8) op {
	switch size {
	case 1:
		return op{code: 0x88, low: true}
	case 2:
		return op{code: 0x89, prefix: 0x66}
	case 4:
		return op{code: 0x89}
	}
	return wide(0x89)
}

func (e *Emitter) store(in *ir.Inst) {
	m, check := e.place(in)
	e.rm(storeOp(in.Size), e.reg(in.B, RCX), m)
	e.slowAccess(check)
}
