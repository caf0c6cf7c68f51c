package amd64

import "math/bits"

// misaligned makes the routines that are for addresses which translate has
// refused: those that are not aligned but inside one page are good. Carry tells
// that RAX is not the host's address now.
func (r *Routines) misaligned(a *asm, l *Layout) {
	e := &Emitter{asm: *a, l: l, r: r}
	for i := range r.loads {
		r.loads[i] = e.pos()
		e.retry(l.Loads, 2<<i)
		r.stores[i] = e.pos()
		e.retry(l.Stores, 2<<i)
	}
	*a = e.asm
}

func (e *Emitter) retry(tlb int32, size int32) {
	e.mov32RR(RCX, RAX)
	e.aluRI(aluAnd, false, RCX, 4095)
	e.aluRI(aluCmp, false, RCX, 4096-size)
	crosses := e.jcc(ccA)
	miss := e.translate(tlb, 1)
	e.byte(0xf8, 0xc3) // clc; ret
	e.here(crosses, miss)
	e.byte(0xf9, 0xc3) // stc; ret
}

// slowAccess is slow for an access of RAM whose address translate has just
// made, at back: misaligned ones in one page are done here.
func (e *Emitter) slowAccess(miss, back int, store bool, size uint8) {
	n := len(e.slows)
	e.slow(miss)
	if len(e.slows) == n || size == 1 {
		return
	}
	i := bits.TrailingZeros8(size) - 1
	s := &e.slows[n]
	s.retry, s.back = e.r.loads[i], back
	if store {
		s.retry = e.r.stores[i]
	}
}
