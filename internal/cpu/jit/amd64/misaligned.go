package amd64

import (
	"math/bits"

	"doppel/internal/cpu/jit/abi"
)

// misaligned makes the routines that are for addresses which translate has
// refused: those that are not aligned but inside one page are good, and those
// that the TLB's second level has, from where they go back to the first. Carry
// tells that RAX is not the host's address now.
func (r *Routines) misaligned(a *asm, l *Layout) {
	e := &Emitter{asm: *a, l: l, r: r}
	for i := range r.loads {
		r.loads[i] = e.pos()
		e.retry(l.Loads, l.MoreLoads, 1<<i)
		r.stores[i] = e.pos()
		e.retry(l.Stores, l.MoreStores, 1<<i)
	}
	*a = e.asm
}

func (e *Emitter) retry(tlb, more int32, size int32) {
	e.mov32RR(RCX, RAX)
	e.aluRI(aluAnd, false, RCX, 4095)
	e.aluRI(aluCmp, false, RCX, 4096-size)
	crosses := e.jcc(ccA)
	miss := e.translate(tlb, 1)
	e.byte(0xf8, 0xc3) // clc; ret

	// RCX is the entry's place now, and RDX the tag, which has the context.
	e.here(miss)
	e.byte(0x53, 0x56) // push rbx, rsi
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
	e.aluRR(aluAdd, true, RAX, RSI)
	e.byte(0x5e, 0x5b, 0xf8, 0xc3) // pop rsi, rbx; clc; ret
	e.here(absent)
	e.byte(0x5e, 0x5b) // pop rsi, rbx
	e.here(crosses)
	e.byte(0xf9, 0xc3) // stc; ret
}

// slowAccess is slow for an access of RAM whose address translate has just
// made, at back: misaligned ones in one page are done here.
func (e *Emitter) slowAccess(miss, back int, store bool, size uint8) {
	n := len(e.slows)
	e.slow(miss)
	if len(e.slows) == n {
		return
	}
	i := bits.TrailingZeros8(size)
	s := &e.slows[n]
	s.retry, s.back = e.r.loads[i], back
	if store {
		s.retry = e.r.stores[i]
	}
}
