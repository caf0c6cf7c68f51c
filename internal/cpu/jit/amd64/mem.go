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
	e.address(in)
	miss := e.translate(e.l.Loads, in.Size)
	if in.Dst != 0 {
		d := e.dst(in.Dst)
		e.rm(loadOp(in.Size, in.Flags&ir.Signed != 0), d, at(RAX, 0))
		e.put(in.Dst, d)
	}
	e.slow(miss)
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
	e.address(in)
	miss := e.translate(e.l.Stores, in.Size)
	e.rm(storeOp(in.Size), e.reg(in.B, RCX), at(RAX, 0))
	e.slow(miss)
}

// amo emits an atomic access. Locked operations are sequentially consistent.
func (e *Emitter) amo(in *ir.Inst) {
	w := in.Size == 8
	e.get(RAX, in.A)
	miss := e.translate(e.l.Stores, in.Size)
	is := ir.AmoAnd <= in.Op && in.Op <= ir.AmoXor
	var o alu
	if is {
		o = [...]alu{aluAnd, aluOr, aluXor}[in.Op-ir.AmoAnd]
	}
	switch {
	case is && in.Dst == 0:
		b := e.reg(in.B, RCX)
		e.byte(0xf0)
		e.aluMR(o, w, at(RAX, 0), b)
	case is:
		e.movRR(RDX, RAX)
		e.rm(op{code: 0x8b, w: w}, RAX, at(RDX, 0))
		again := e.pos()
		e.movRR(RCX, RAX)
		e.aluR(o, w, RCX, in.B)
		e.cmpxchg(w)
		e.patch(e.jcc(ccNE), again)
	case in.Op == ir.AmoCas:
		e.movRR(RDX, RAX)
		e.get(RAX, in.Dst)
		e.get(RCX, in.B)
		e.cmpxchg(w)
	case in.Op == ir.AmoAdd:
		e.movRR(RDX, RAX)
		e.get(RAX, in.B)
		e.byte(0xf0)
		e.rm(op{code: 0x0fc1, w: w}, RAX, at(RDX, 0)) // xadd
	default: // AmoSwap
		e.movRR(RDX, RAX)
		e.get(RAX, in.B)
		e.rm(op{code: 0x87, w: w}, RAX, at(RDX, 0)) // xchg locks by itself
	}
	if in.Dst != 0 {
		if !w {
			e.movsxd(RAX, RAX)
		}
		e.put(in.Dst, RAX)
	}
	e.slow(miss)
}

// cmpxchg stores RCX at RDX if RAX is there, and else loads RAX.
func (e *Emitter) cmpxchg(w bool) {
	e.byte(0xf0)
	e.rm(op{code: 0x0fb1, w: w}, RCX, at(RDX, 0))
}
