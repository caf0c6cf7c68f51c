package arm64

import (
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// address returns a register that holds A + Imm, which is X0 unless the
// address is that of a guest register as it is.
func (e *Emitter) address(in *ir.Inst) Reg {
	switch {
	case in.A == 0:
		e.movI(X0, in.Imm)
	case in.Imm == 0:
		return e.reg(in.A, X0)
	default:
		e.addI(true, X0, e.reg(in.A, X0), in.Imm, X1)
	}
	return X0
}

// translate finds the host's address for a virtual address: their difference,
// from a TLB, will be in X3. It returns the branch for addresses that are not
// in the TLB or not aligned: their low bits are kept in what is compared with
// the tag.
//
// An entry maps a whole page of RAM, and the access, being aligned, does not
// leave the page.
func (e *Emitter) translate(addr, tlb Reg, size uint8) (miss int) {
	e.ubfx(true, X1, addr, 12, log2(e.l.TLBEntries))
	if e.region != nil { // these registers are the region's
		off := e.l.Loads
		if tlb == stores {
			off = e.l.Stores
		}
		e.addI(true, X2, state, int64(off), X2)
		tlb = X2
	}
	e.shifted(opAdd, true, X1, tlb, X1, lsl, 4)
	e.pair(true, X2, X3, X1, 0)
	e.field(load64, X1, e.l.DataContext)
	e.rrr(opEor, true, X2, X2, X1)
	e.logicalI(opAnd, true, X1, addr, ^int64(0xfff&^(uint64(size)-1)), X1)
	e.cmp(true, X1, X2)
	return e.bc(ne)
}

func (e *Emitter) load(in *ir.Inst) {
	a := e.address(in)
	miss := e.translate(a, loads, in.Size)
	back := e.pos()
	if in.Dst != 0 {
		d := e.dst(in.Dst)
		e.indexed(loadWidth(in.Size, in.Flags&ir.Signed != 0), d, a, X3)
		e.put(in.Dst, d)
	}
	e.missed(miss, back, a, e.r.loads, in.Size)
}

// missed is slow after translate, for what is at back and is not atomic: first
// a routine has another look.
func (e *Emitter) missed(miss, back int, addr Reg, retry int, size uint8) {
	e.slow(miss)
	s := &e.slows[len(e.slows)-1]
	s.retry, s.addr, s.size, s.back = retry, addr, size, back
}

// retry is a routine for an access of X1 bytes at X0 that translate has refused.
// One that is not aligned but inside one page is good, and one that the TLB's
// second level has, from where it goes back to the first. X1 is 0 if X3 is what
// translate finds.
func (a *asm) retry(l *Layout, tlb Reg, more int32) {
	a.ubfx(true, X2, X0, 0, 12)
	a.rrr(opAdd, true, X2, X2, X1)
	a.movI(X3, 1<<12)
	a.cmp(true, X2, X3)
	inPage := a.bc(ls)
	a.ret() // X1 is not 0
	a.here(inPage)
	a.access(load64, X1, state, l.DataContext, X1)
	a.logicalI(opAnd, true, X2, X0, ^int64(0xfff), X3)
	a.rrr(opOrr, true, X1, X1, X2) // the tag
	a.ubfx(true, X2, X0, 12, log2(l.TLBEntries))
	a.shifted(opAdd, true, X2, tlb, X2, lsl, 4)
	a.access(load64, X3, X2, 0, X3)
	a.cmp(true, X3, X1)
	miss := a.bc(ne)
	a.access(load64, X3, X2, 8, X3)
	a.movI(X1, 0)
	a.ret()

	a.here(miss)
	a.fmovF(8, V0, LR)
	a.ubfx(true, X3, X0, 12, 52)
	a.shifted(opEor, true, X3, X3, X0, lsr, 26)
	a.ubfx(true, X3, X3, 0, log2(l.TLBSets))
	a.ubfx(true, LR, X1, 3, 61)
	a.shifted(opEor, true, LR, LR, X1, lsr, 6)
	a.ubfx(true, LR, LR, 0, log2(abi.SetEntries))
	a.shifted(opAdd, true, LR, LR, X3, lsl, log2(abi.SetEntries))
	a.addI(true, X3, state, int64(more), X3)
	a.shifted(opAdd, true, LR, X3, LR, lsl, 4)
	a.access(load64, X3, LR, 0, X3)
	a.cmp(true, X3, X1)
	absent := a.bc(ne)
	a.access(load64, X3, LR, 8, X3)
	a.pair(false, X1, X3, X2, 0)
	a.movI(X1, 0)
	a.here(absent) // X1 is a tag, not 0
	a.fmovX(8, LR, V0)
	a.ret()
}

func loadWidth(size uint8, signed bool) width {
	k := log2(int32(size))
	if signed {
		return [...]width{load8s, load16s, load32s, load64}[k]
	}
	return [...]width{load8, load16, load32, load64}[k]
}

func storeWidth(size uint8) width {
	return [...]width{store8, store16, store32, store64}[log2(int32(size))]
}

func (e *Emitter) store(in *ir.Inst) {
	a := e.address(in)
	miss := e.translate(a, stores, in.Size)
	back := e.pos()
	e.indexed(storeWidth(in.Size), e.reg(in.B, X1), a, X3)
	e.missed(miss, back, a, e.r.stores, in.Size)
}
