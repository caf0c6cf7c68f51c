package engines

import (
	"slices"

	"doppel/internal/riscv"
)

func (p *program) walker() uint8 { return uint8(walker + p.r.IntN(3)) }

// access emits a load or store through a walker, of any form.
func (p *program) access() {
	base, x := p.walker(), p.scratch5()
	f := uint8(p.r.IntN(32))
	imm := int64(p.r.IntN(16)) * 8
	switch p.r.IntN(12) {
	case 0: // any alignment
		imm = int64(p.r.IntN(64))
	case 1:
		imm = int64(p.r.IntN(8))*4 - 16
	case 2:
		imm = 0
	}
	if p.theme.clean && imm < 0 {
		imm = -imm
	}
	ops := [...]riscv.Op{riscv.LB, riscv.LH, riscv.LW, riscv.LD, riscv.LBU, riscv.LHU, riscv.LWU, riscv.LD, riscv.LD, riscv.LW,
		riscv.SB, riscv.SH, riscv.SW, riscv.SD, riscv.SD, riscv.SW}
	n := p.r.IntN(16 + 5)
	if p.theme.tight && n == 19 && !p.chance(4) {
		n = 20
	}
	switch {
	case n < 16 && ops[n] >= riscv.SB:
		p.emit(riscv.Inst{Op: ops[n], Rs1: base, Rs2: x, Imm: imm})
	case n < 16:
		if p.chance(16) {
			x = 0
		}
		p.emit(riscv.Inst{Op: ops[n], Rd: x, Rs1: base, Imm: imm})
	case n == 16:
		p.emit(riscv.Inst{Op: []riscv.Op{riscv.FLW, riscv.FLD, riscv.FLH}[p.r.IntN(3)], Rd: f, Rs1: base, Imm: imm})
	case n == 17:
		p.emit(riscv.Inst{Op: []riscv.Op{riscv.FSW, riscv.FSD, riscv.FSH}[p.r.IntN(3)], Rs1: base, Rs2: f, Imm: imm})
	case n == 18: // through a computed address
		p.emit(riscv.Inst{Op: riscv.ANDI, Rd: x, Rs1: p.scratch(), Imm: 0x78})
		p.emit(riscv.Inst{Op: riscv.SH1ADD, Rd: x, Rs1: x, Rs2: base})
		p.emit(riscv.Inst{Op: []riscv.Op{riscv.LD, riscv.LWU, riscv.LB}[p.r.IntN(3)], Rd: p.scratch5(), Rs1: x, Imm: imm})
	case n == 19:
		p.atomic(base)
	default: // what was stored is loaded in another size
		p.emit(riscv.Inst{Op: riscv.SD, Rs1: base, Rs2: x, Imm: imm})
		p.emit(riscv.Inst{Op: riscv.LHU, Rd: p.scratch5(), Rs1: base, Imm: imm + int64(p.r.IntN(4))*2})
	}
}

// group emits accesses off one base, or two in turn, as compilers do where they
// save registers, copy, or fill in structures. Bases are copies of walkers in
// registers of all kinds, and may move.
func (p *program) group() {
	var bases []uint8
	for range 1 + p.r.IntN(2) {
		b := p.walker()
		if !p.chance(3) {
			t := p.scratch5()
			p.emit(riscv.Inst{Op: riscv.ADDI, Rd: t, Rs1: b, Imm: int64(p.r.IntN(3)) * 16})
			b = t
		}
		bases = append(bases, b)
	}
	p.kept = bases
	defer func() { p.kept = nil }()
	loads, stores := p.r.IntN(3), p.r.IntN(3)
	off := int64(p.r.IntN(8)) * 8
	for range 3 + p.r.IntN(10) {
		b := bases[p.r.IntN(len(bases))]
		off = (off + []int64{8, 8, 8, 4, 16, 1, 40}[p.r.IntN(7)]) % 256
		if p.chance(8) {
			off = int64(p.r.IntN(512))
		}
		switch n := p.r.IntN(4 + loads + stores); {
		case n == 0:
			p.emit(riscv.Inst{Op: riscv.XOR, Rd: p.scratch5(), Rs1: p.scratch(), Rs2: p.scratch()})
		case n == 1 && !slices.Contains(locked, b) && p.chance(2):
			p.emit(riscv.Inst{Op: riscv.ADDI, Rd: b, Rs1: b, Imm: []int64{-16, 8, 16, 64}[p.r.IntN(4)]})
		case n == 1 && p.chance(3):
			p.atomic(p.walker())
		case n == 1 && p.chance(3):
			end := label{at: -1}
			p.jump(riscv.Inst{Op: riscv.BEQ, Rs1: p.scratch(), Rs2: p.scratch()}, &end)
			p.emit(riscv.Inst{Op: riscv.SD, Rs1: b, Rs2: p.scratch(), Imm: off})
			p.bind(&end)
		case n == 1 && p.chance(2):
			f := uint8(p.r.IntN(32))
			p.emit([]riscv.Inst{{Op: riscv.FLD, Rd: f, Rs1: b, Imm: off}, {Op: riscv.FSD, Rs1: b, Rs2: f, Imm: off},
				{Op: riscv.FLW, Rd: f, Rs1: b, Imm: off}}[p.r.IntN(3)])
		case n < 3+loads:
			p.emit(riscv.Inst{Op: []riscv.Op{riscv.LD, riscv.LD, riscv.LW, riscv.LBU, riscv.LH}[p.r.IntN(5)], Rd: p.scratch5(), Rs1: b, Imm: off})
		default:
			p.emit(riscv.Inst{Op: []riscv.Op{riscv.SD, riscv.SD, riscv.SW, riscv.SB, riscv.SH}[p.r.IntN(5)], Rs1: b, Rs2: p.scratch(), Imm: off})
		}
	}
	if p.chance(4) { // the base is what it leads to
		b := bases[0]
		if !slices.Contains(locked, b) {
			p.emit(riscv.Inst{Op: riscv.LD, Rd: b, Rs1: b, Imm: off})
		}
	}
}

func (p *program) atomic(base uint8) {
	op := riscv.AMOSWAP_W + riscv.Op(p.r.IntN(int(riscv.AMOCAS_D-riscv.AMOSWAP_W)+1))
	i := riscv.Inst{Op: op, Rd: p.scratch5(), Rs1: base, Rs2: p.scratch()}
	switch op {
	case riscv.LR_D, riscv.LR_W:
		i.Rs2 = 0
	}
	if raw, err := riscv.Encode(i); err == nil {
		p.raw(raw | uint32(p.r.IntN(4))<<25)
	}
	if p.chance(8) {
		lr, sc := riscv.LR_W, riscv.SC_W
		if p.chance(2) {
			lr, sc = riscv.LR_D, riscv.SC_D
		}
		p.emit(riscv.Inst{Op: lr, Rd: p.scratch5(), Rs1: base})
		if p.chance(3) {
			p.access()
		}
		p.emit(riscv.Inst{Op: sc, Rd: p.scratch5(), Rs1: base, Rs2: p.scratch()})
	}
}

// advance makes a walker go on. A clean theme's stays in its page's first
// half; another's may leave plain memory after many rounds.
func (p *program) advance() {
	b := p.walker()
	if p.theme.clean {
		// Round and round in 2 KiB from the start of a page, or 4 KiB across
		// two.
		t := p.scratch5()
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: t, Rs1: b, Imm: []int64{1, 4, 8, 8, 16, 24, 64}[p.r.IntN(7)]})
		p.emit(riscv.Inst{Op: riscv.SLLI, Rd: t, Rs1: t, Imm: 53})
		p.emit(riscv.Inst{Op: riscv.SRLI, Rd: t, Rs1: t, Imm: 53})
		p.emit(riscv.Inst{Op: riscv.SRLI, Rd: b, Rs1: b, Imm: 12})
		p.emit(riscv.Inst{Op: riscv.SLLI, Rd: b, Rs1: b, Imm: 12})
		p.emit(riscv.Inst{Op: riscv.ADD, Rd: b, Rs1: b, Rs2: t})
		return
	}
	p.emit(riscv.Inst{Op: riscv.ADDI, Rd: b, Rs1: b, Imm: []int64{1, 2, 4, 8, 8, 8, 8, 16, 16, 24, 32, 64, 256, 2040}[p.r.IntN(14)]})
}

// rebase points a walker at one of the pool's addresses.
func (p *program) rebase() {
	n := p.good
	if !p.theme.clean && p.chance(2) {
		n = len(p.pool)
	}
	p.emit(riscv.Inst{Op: riscv.LD, Rd: p.walker(), Rs1: poolReg, Imm: int64(p.r.IntN(n)) * 8})
}

// trap emits an instruction that traps.
func (p *program) trap() {
	switch p.r.IntN(6) {
	case 0:
		p.raw(mustEncode(riscv.Inst{Op: riscv.EBREAK}))
	case 1:
		p.raw(0xffff_ffff)
	case 2:
		p.raw(mustEncode(riscv.Inst{Op: riscv.CSRRW, Rd: p.scratch5(), Rs1: p.scratch(), Imm: 0x7c0})) // no such register
	default:
		p.raw(mustEncode(riscv.Inst{Op: riscv.ECALL}))
	}
}

// asAnother turns MPRV on or off, with another mode in MPP.
func (p *program) asAnother() {
	t := p.scratch5()
	p.constant(t, 1<<17|3<<11)
	p.emit(riscv.Inst{Op: riscv.CSRRC, Rs1: t, Imm: int64(riscv.CSRMstatus)})
	if p.chance(3) {
		return
	}
	p.constant(t, 1<<17|int64(p.r.IntN(2))<<11)
	p.emit(riscv.Inst{Op: riscv.CSRRS, Rs1: t, Imm: int64(riscv.CSRMstatus)})
}

// privileged emits an access to a CSR, or a fence. What would have the handlers
// lose their data is left out.
func (p *program) privileged() {
	rd, rs := p.scratch5(), p.scratch()
	op := riscv.CSRRW + riscv.Op(p.r.IntN(6))
	csr := func(c ...riscv.CSR) riscv.Inst {
		return riscv.Inst{Op: op, Rd: rd, Rs1: rs, Imm: int64(c[p.r.IntN(len(c))])}
	}
	i := riscv.Inst{Op: riscv.FENCE_I}
	if p.shadowed && p.chance(2) {
		p.asAnother()
		return
	}
	switch p.r.IntN(10) {
	case 0:
	case 1:
		i = riscv.Inst{Op: riscv.FENCE, Imm: int64(p.r.IntN(256))}
	case 2:
		i = riscv.Inst{Op: riscv.SFENCE_VMA, Rs1: []uint8{0, rs, p.walker()}[p.r.IntN(3)]}
	case 3, 4:
		i = csr(riscv.CSRFflags, riscv.CSRFcsr)
	case 5:
		i = riscv.Inst{Op: riscv.CSRRWI, Rd: rd, Rs1: uint8(p.r.IntN(8)), Imm: int64(riscv.CSRFrm)}
	case 6:
		i = riscv.Inst{Op: riscv.CSRRS, Rd: rd, Imm: int64([]riscv.CSR{riscv.CSRCycle, riscv.CSRInstret, riscv.CSRTime, riscv.CSRSstatus,
			riscv.CSRScause, riscv.CSRStval, riscv.CSRSepc, riscv.CSRSip, riscv.CSRSatp, riscv.CSRMcause, riscv.CSRMstatus, riscv.CSRMinstret}[p.r.IntN(12)])}
	case 7:
		i = csr(riscv.CSRSepc, riscv.CSRScause, riscv.CSRStval, riscv.CSRSie, riscv.CSRSip, riscv.CSRScounteren)
	case 8:
		// SUM, MXR and SIE go on and off.
		t := p.scratch5()
		p.constant(t, int64(p.r.Uint32())&(1<<18|1<<19|1<<1))
		i = riscv.Inst{Op: []riscv.Op{riscv.CSRRS, riscv.CSRRC}[p.r.IntN(2)], Rd: rd, Rs1: t, Imm: int64(riscv.CSRSstatus)}
	case 9:
		i = csr(riscv.CSRMie, riscv.CSRMcause, riscv.CSRMtval, riscv.CSRMinstret, riscv.CSRMcycle, riscv.CSRMcountinhibit, riscv.CSRMhpmevent3)
	}
	p.raw(mustEncode(i))
}
