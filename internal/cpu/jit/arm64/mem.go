package arm64

import "doppel/internal/cpu/jit/ir"

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

// missed is slow after translate, for what is at back and is not atomic: that
// is done inline too if the address is misaligned only and its page is in the
// TLB.
func (e *Emitter) missed(miss, back int, addr Reg, retry int, size uint8) {
	e.slow(miss)
	if size > 1 {
		s := &e.slows[len(e.slows)-1]
		s.retry, s.addr, s.size, s.back = retry, addr, size, back
	}
}

// retry is a routine that does what translate does for an access of X1 bytes at
// X0, aligned or not, that does not leave its page. X1 is 0 if that is so and
// X3 has been found.
func (a *asm) retry(l *Layout, tlb Reg) {
	a.ubfx(true, X2, X0, 0, 12)
	a.rrr(opAdd, true, X2, X2, X1)
	a.movI(X3, 1<<12)
	a.cmp(true, X2, X3)
	inPage := a.bc(ls)
	a.ret() // X1 is not 0
	a.here(inPage)
	a.ubfx(true, X1, X0, 12, log2(l.TLBEntries))
	a.shifted(opAdd, true, X1, tlb, X1, lsl, 4)
	a.pair(true, X2, X3, X1, 0)
	a.access(load64, X1, state, l.DataContext, X1)
	a.rrr(opEor, true, X2, X2, X1)
	a.logicalI(opAnd, true, X1, X0, ^int64(0xfff), X1)
	a.rrr(opEor, true, X1, X1, X2)
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
