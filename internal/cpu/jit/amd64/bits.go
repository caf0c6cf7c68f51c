package amd64

import "doppel/internal/cpu/jit/ir"

// pack emits what puts the low halves of two registers together.
func (e *Emitter) pack(in *ir.Inst, word bool) {
	e.get(RAX, in.A)
	b := e.reg(in.B, RCX)
	switch {
	case in.Op == ir.PackBytes:
		e.zeroExtend8(RAX, RAX)
		e.rr(op{code: 0x0fb6, lowRM: true}, RCX, b)
		e.shiftRI(shl, false, RCX, 8)
	case word:
		e.rr(op{code: 0x0fb7}, RAX, RAX) // movzx
		e.mov32RR(RCX, b)
		e.shiftRI(shl, false, RCX, 16)
	default:
		e.mov32RR(RAX, RAX)
		e.movRR(RCX, b)
		e.shiftRI(shl, true, RCX, 32)
	}
	e.aluRR(aluOr, true, RAX, RCX)
	if word {
		e.movsxd(RAX, RAX)
	}
	e.put(in.Dst, RAX)
}

// reverseBits reverses the bits of each byte: neighbours, pairs, halves.
func (e *Emitter) reverseBits(in *ir.Inst) {
	e.get(RAX, in.A)
	for i, mask := range []int64{0x5555_5555_5555_5555, 0x3333_3333_3333_3333, 0x0f0f_0f0f_0f0f_0f0f} {
		e.movRI(RCX, mask)
		e.movRR(RDX, RAX)
		e.shiftRI(shr, true, RDX, 1<<i)
		e.aluRR(aluAnd, true, RDX, RCX)
		e.aluRR(aluAnd, true, RAX, RCX)
		e.shiftRI(shl, true, RAX, 1<<i)
		e.aluRR(aluOr, true, RAX, RDX)
	}
	e.put(in.Dst, RAX)
}

// carryless emits a product without carries: its low half, its high half, or
// its 64 bits from bit 63 on.
func (e *Emitter) carryless(in *ir.Inst) {
	e.get(RAX, in.A)
	e.movqTo(xmm0, RAX)
	e.movqTo(xmm1, e.reg(in.B, RCX))
	e.rr(op{code: 0x0f3a44, prefix: 0x66}, xmm0, xmm1) // pclmulqdq
	e.byte(0)
	if in.Op != ir.ClMulH {
		e.movFrom(RAX, xmm0, 8)
	}
	if in.Op != ir.ClMul {
		e.rr(op{code: 0x0f3a16, prefix: 0x66, w: true}, xmm0, RCX) // pextrq
		e.byte(1)
	}
	switch in.Op {
	case ir.ClMulH:
		e.movRR(RAX, RCX)
	case ir.ClMulR:
		e.rr(wide(0x0fa4), RAX, RCX) // shld rcx, rax, 1
		e.byte(1)
		e.movRR(RAX, RCX)
	}
	e.put(in.Dst, RAX)
}
