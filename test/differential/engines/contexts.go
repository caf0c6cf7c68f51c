package engines

import (
	"math/rand/v2"

	"doppel/internal/riscv"
)

// newContexts makes a program of hot loops between which the translations that
// they rely on change: PTEs, the address space, SUM, MXR, the mode, with the
// fences that this takes.
func newContexts(seed uint64) *program {
	r := rand.New(rand.NewPCG(seed, 0x637478))
	p := &program{theme: theme{name: "contexts", tight: true}}
	for p.world = newWorld(r); !p.paged || p.mode == riscv.Machine; {
		p.world = newWorld(r)
	}
	if p.chance(2) {
		p.state.CSR.Mstatus &^= riscv.MstatusSUM | riscv.MstatusMXR
	}
	for i := range 16 {
		p.ram[machineData+64+i] = []byte{0, 3, 3, 9, 9, 9, 4, 5, 8, 8, 1, 10}[r.IntN(12)]
	}
	p.state.CSR.Medeleg = 0
	p.pool = p.pool[:0]
	for range 64 {
		at := r.Uint64N(12) * page
		if p.chance(3) {
			at = r.Uint64N(4) * page // one of which changes
		}
		p.pool = append(p.pool, p.data()+at+r.Uint64N(450)*8)
	}
	for i, v := range p.pool {
		p.u64(poolAt+uint64(i)*8, v)
	}
	p.generators(r.Uint64())
	top := p.here()
	for range 2 + r.IntN(5) {
		for i := range uint8(3) {
			p.emit(riscv.Inst{Op: riscv.LD, Rd: walker + i, Rs1: poolReg, Imm: int64(r.IntN(64)) * 8})
		}
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: counter, Imm: int64(20 + r.IntN(300))})
		head := p.here()
		for range 1 + r.IntN(5) {
			p.access()
		}
		if p.chance(3) {
			p.snippet()
		}
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: counter, Rs1: counter, Imm: -1})
		p.jump(riscv.Inst{Op: riscv.BNE, Rs1: counter}, &head)
		p.raw(mustEncode(riscv.Inst{Op: riscv.ECALL}))
	}
	p.jump(riscv.Inst{Op: riscv.JAL}, &top)
	p.finish()
	return p
}
