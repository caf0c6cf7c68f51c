package engines

import (
	"math/rand/v2"

	"doppel/internal/riscv"
)

// newAddresses makes a program that leads every form of access through every
// shape of address: those of plain memory, with each of their bits turned, at
// and across the ends of pages, superpages and RAM, not canonical, around 2^64,
// and such as fall on the same entry of a TLB as one that has just been used.
func newAddresses(seed uint64) *program {
	r := rand.New(rand.NewPCG(seed, 0x61646472))
	p := &program{world: newWorld(r), theme: theme{name: "addresses"}}
	for i := range entries {
		p.u64(poolAt+uint64(i)*8, p.shape())
	}
	p.generators(r.Uint64())
	top := p.here()
	for range 24 {
		const table, n = walker + 1, counter
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: table, Rs1: poolReg})
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: n, Imm: entries})
		head := p.here()
		p.emit(riscv.Inst{Op: riscv.LD, Rd: walker, Rs1: table})
		p.form(walker)
		if p.chance(3) {
			p.form(walker)
		}
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: table, Rs1: table, Imm: 8})
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: n, Rs1: n, Imm: -1})
		p.jump(riscv.Inst{Op: riscv.BNE, Rs1: n}, &head)
	}
	p.trap()
	p.jump(riscv.Inst{Op: riscv.JAL}, &top)
	p.finish()
	return p
}

// entries is how many addresses there are.
const entries = page / 8

// shape is one address. In a world without translation it is neither code nor
// what handlers remember.
func (p *program) shape() uint64 {
	for {
		a := p.anyShape()
		const reach = 4096 // of an offset and the access itself
		if off := a + reach - base; !p.paged && off < dataAt+2*reach {
			continue
		}
		return a
	}
}

func (p *program) anyShape() uint64 {
	r := p.r
	good := p.pool[r.IntN(p.good)] + r.Uint64N(page)
	switch r.IntN(12) {
	case 0, 1:
		return good
	case 2, 3: // one bit is wrong
		return good ^ 1<<r.IntN(64)
	case 4: // the same entry of a TLB of any size
		return good + page<<r.IntN(40)
	case 5:
		return good - page<<r.IntN(40)
	case 6: // the end of a page
		return good&^(page-1) - 9 + r.Uint64N(18)
	case 7: // the end of RAM
		end := uint64(base + ramSize)
		if p.paged {
			end = p.win + largeVA + ramSize
		}
		return end - 20 + r.Uint64N(24)
	case 8: // around 2^64, 0 and where addresses stop being canonical
		return []uint64{0, 1 << 38, 1 << 47, 1 << 56, 1 << 63, 0xffff_ffc0_0000_0000}[r.IntN(6)] - 16 + r.Uint64N(32)
	case 9:
		return p.pool[r.IntN(len(p.pool))] + r.Uint64N(64)
	case 10: // only sign or zero extension of the lower half
		return uint64(int64(int32(good)))
	}
	return r.Uint64()
}

// form emits an access of any form through a register.
func (p *program) form(base uint8) {
	imm := int64(p.r.IntN(4096) - 2048)
	if p.chance(2) {
		imm = int64(p.r.IntN(17) - 8)
	}
	x, f := p.scratch5(), uint8(p.r.IntN(32))
	pick := func(ops ...riscv.Op) riscv.Op { return ops[p.r.IntN(len(ops))] }
	var i riscv.Inst
	switch p.r.IntN(8) {
	case 0, 1:
		i = riscv.Inst{Op: riscv.LB + riscv.Op(p.r.IntN(int(riscv.LWU-riscv.LB)+1)), Rd: x, Rs1: base, Imm: imm}
	case 2, 3:
		i = riscv.Inst{Op: riscv.SB + riscv.Op(p.r.IntN(4)), Rs1: base, Rs2: x, Imm: imm}
	case 4:
		i = riscv.Inst{Op: pick(riscv.FLH, riscv.FLW, riscv.FLD), Rd: f, Rs1: base, Imm: imm}
	case 5:
		i = riscv.Inst{Op: pick(riscv.FSH, riscv.FSW, riscv.FSD), Rs1: base, Rs2: f, Imm: imm}
	case 6:
		i = riscv.Inst{Op: pick(riscv.CBO_ZERO, riscv.CBO_CLEAN, riscv.CBO_FLUSH, riscv.AMOCAS_Q), Rs1: base}
		if i.Op == riscv.AMOCAS_Q {
			i.Rd, i.Rs2 = 10, 12
		}
	default:
		p.atomic(base)
		return
	}
	p.emit(i)
}
