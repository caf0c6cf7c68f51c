package system

import (
	"doppel/internal/riscv"
)

// unit is a short run of instructions that belong together.
func (g *generator) unit() []uint32 {
	switch g.IntN(16) {
	case 0, 1, 2, 3, 4, 5:
		return g.access()
	case 6, 7, 8, 9:
		return g.csr()
	case 10:
		return g.fence()
	case 11:
		return g.leave()
	case 12:
		// An aligned address: what else of the block a fault of cbo.zero names is open, and differs.
		r := g.pointerReg()
		return append(enc(riscv.Inst{Op: riscv.ANDI, Rd: r, Rs1: r, Imm: -64}),
			enc(riscv.Inst{Op: pick(g, riscv.CBO_CLEAN, riscv.CBO_FLUSH, riscv.CBO_INVAL, riscv.CBO_ZERO, riscv.CBO_ZERO), Rs1: r})...)
	case 13:
		if !g.floats || g.jumps {
			return enc(riscv.Inst{Op: riscv.WRS_STO})
		}
		return enc(pick(g, riscv.Inst{Op: riscv.FADD_D, Rd: 1, Rs1: 2, Rs2: 3, RM: uint8(g.IntN(8))},
			riscv.Inst{Op: riscv.FMV_X_D, Rd: g.dest(), Rs1: 1}, riscv.Inst{Op: riscv.FMV_D_X, Rd: 1, Rs1: 5},
			riscv.Inst{Op: riscv.FLD, Rd: 1, Rs1: g.pointerReg()}, riscv.Inst{Op: riscv.FSD, Rs2: 1, Rs1: g.pointerReg()}))
	case 14:
		if g.jumps { // the pc must be a multiple of 2 only, what is there may be anything
			return enc(riscv.Inst{Op: riscv.JALR, Rd: 1, Rs1: g.pointerReg()})
		}
		return []uint32{g.illegal()}
	}
	return enc(riscv.Inst{Op: pick(g, riscv.ADD, riscv.SUB, riscv.XOR), Rd: g.dest(), Rs1: uint8(g.IntN(32)), Rs2: uint8(g.IntN(32))})
}

func enc(i riscv.Inst) []uint32 {
	raw, err := riscv.Encode(i)
	if err != nil {
		panic("BUG: generator: " + err.Error())
	}
	return []uint32{raw}
}

// dest is a register that no address is in.
func (g *generator) dest() uint8 {
	return pick[uint8](g, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20)
}

// pointerReg is one that an address is in.
func (g *generator) pointerReg() uint8 { return 8 + uint8(g.IntN(8)) }

func (g *generator) access() []uint32 {
	op := pick(g, riscv.LB, riscv.LH, riscv.LW, riscv.LD, riscv.LBU, riscv.LHU, riscv.LWU, riscv.LD, riscv.LD,
		riscv.SB, riscv.SH, riscv.SW, riscv.SD, riscv.SD, riscv.SD, riscv.LR_W, riscv.LR_D,
		riscv.AMOADD_W, riscv.AMOADD_D, riscv.AMOSWAP_D, riscv.AMOCAS_D, riscv.AMOMAX_W)
	if g.jumps {
		op = pick(g, riscv.LB, riscv.LH, riscv.LW, riscv.LD, riscv.LBU, riscv.LHU, riscv.LWU)
	}
	i := riscv.Inst{Op: op, Rd: g.dest(), Rs1: g.pointerReg(), Rs2: 16 + g.dest()&7}
	switch op {
	case riscv.LR_W, riscv.LR_D:
		i.Rs2 = 0
		if g.chance(2) {
			// Only after its LR: whether SC without a reservation faults is open, and differs.
			sc := riscv.Inst{Op: op - riscv.LR_W + riscv.SC_W, Rd: g.dest(), Rs1: i.Rs1, Rs2: 17}
			return append(enc(i), enc(sc)...)
		}
	case riscv.AMOCAS_D:
		i.Rd = 5 // QEMU takes x0 for a register to write: see ../user/flaws.go
	}
	return enc(i)
}

// registers are the CSRs that programs read and write.
var registers = append([]riscv.CSR{
	riscv.CSRMstatus, riscv.CSRSstatus, riscv.CSRSstatus, riscv.CSRSie, riscv.CSRSip, riscv.CSRMisa,
	riscv.CSRMhartid, riscv.CSRMvendorid, riscv.CSRTime, riscv.CSRCycle,
	riscv.CSRInstret, riscv.CSRHpmcounter3, riscv.CSRHpmcounter31, riscv.CSRMcycle, riscv.CSRMhpmcounter5,
	riscv.CSRMhpmevent5, riscv.CSRSstateen0, riscv.CSRMconfigptr, riscv.CSRSeed, riscv.CSRMseccfg, riscv.CSRPmpaddr15, riscv.CSRPmpcfg2,
	riscv.CSRScountovf, riscv.CSRMstateen1, riscv.CSRSstateen1,
}, given[:]...)

// operands are the bits that programs write to registers in which QEMU keeps
// bits that we have not: of local interrupts and of the hypervisor extension;
// UXL, which QEMU lets go to 32 bits.
var operands = map[riscv.CSR]uint64{
	riscv.CSRMie: 0x222, riscv.CSRSie: 0x222, riscv.CSRMip: 0x222, riscv.CSRSip: 0x222,
	riscv.CSRMstatus: statusBits | riscv.MstatusMPRV, riscv.CSRSstatus: statusBits, riscv.CSRMideleg: 0x222, riscv.CSRMedeleg: 0x3ff, riscv.CSRMenvcfg: 0, riscv.CSRSenvcfg: 0,
}

// csr is an access to a register, with a fence behind it where the
// specification wants one before the effect is certain.
func (g *generator) csr() []uint32 {
	c := registers[g.IntN(len(registers))]
	if g.floats && (c == riscv.CSRMstatus || c == riscv.CSRSstatus) {
		c = pick(g, riscv.CSRFcsr, riscv.CSRFrm, riscv.CSRFflags)
	}
	if g.chance(16) {
		c = riscv.CSR(g.IntN(4096))
		if _, ok := c.Name(); ok || c&^3 == 0x31c { // only what nobody has; QEMU has mstateen0h to 3h on RV64 too
			c = 0x5c0
		}
	}
	op := pick(g, riscv.CSRRW, riscv.CSRRS, riscv.CSRRC, riscv.CSRRWI, riscv.CSRRSI, riscv.CSRRCI)
	i := riscv.Inst{Op: op, Rd: g.dest(), Rs1: uint8(g.IntN(32)), Imm: int64(c)}
	switch c {
	case riscv.CSRTime, riscv.CSRCycle, riscv.CSRInstret, riscv.CSRMcycle, riscv.CSRSeed, riscv.CSRMisa,
		riscv.CSRMvendorid, riscv.CSRMip, riscv.CSRHpmcounter3, riscv.CSRHpmcounter31, riscv.CSRMhpmcounter5,
		riscv.CSRMhpmevent5, riscv.CSRMseccfg:
		// Their values are each machine's own; whether they may be read is not.
		i.Rd = 0
		if c == riscv.CSRMisa || c == riscv.CSRMseccfg || c == riscv.CSRTime || c == riscv.CSRCycle || c == riscv.CSRMcycle {
			i.Op, i.Rs1 = riscv.CSRRS, 0
		}
	case riscv.CSRPmpaddr0, riscv.CSRPmpaddr1, riscv.CSRPmpaddr2, riscv.CSRPmpaddr3, riscv.CSRPmpaddr15: // QEMU keeps 64 bits
		i.Op = pick(g, riscv.CSRRWI, riscv.CSRRSI, riscv.CSRRCI)
	case riscv.CSRSepc, // QEMU keeps bit 0
		riscv.CSRMstateen0, riscv.CSRMstateen1, riscv.CSRSstateen0, riscv.CSRSstateen1: // QEMU has more to govern
		i.Op, i.Rs1 = pick(g, riscv.CSRRS, riscv.CSRRW), 0
	case riscv.CSRMtvec, riscv.CSRStvec, riscv.CSRStimecmp, riscv.CSRPmpcfg0, riscv.CSRPmpcfg2, riscv.CSRMepc:
		// Written, they would move the end of the program, race with the clock or lock for good.
		i.Op, i.Rs1 = riscv.CSRRS, 0
	case riscv.CSRSatp:
		// A root elsewhere would have the walk read devices: bare or the table there is.
		if g.chance(2) {
			i.Op, i.Rs1 = riscv.CSRRW, 0
		} else {
			i.Op, i.Rs1 = riscv.CSRRS, 0
		}
	}
	var out []uint32
	if mask, ok := operands[c]; ok {
		v := g.some(mask)
		i.Op, i.Rs1 = pick(g, riscv.CSRRW, riscv.CSRRS, riscv.CSRRC), 7
		if c == riscv.CSRMenvcfg || c == riscv.CSRSenvcfg {
			v, i.Op = g.envcfg(), riscv.CSRRW
		}
		if c == riscv.CSRMip || c == riscv.CSRSip {
			i.Op = riscv.CSRRC // never more than one pending: see csrs
		}
		out = append(enc(riscv.Inst{Op: riscv.LUI, Rd: 7, Imm: int64(v+0x800) &^ 0xfff}),
			enc(riscv.Inst{Op: riscv.ADDIW, Rd: 7, Rs1: 7, Imm: int64(v<<52) >> 52})...)
	}
	out = append(out, enc(i)...)
	switch c {
	case riscv.CSRSatp, riscv.CSRMenvcfg, riscv.CSRPmpaddr0, riscv.CSRPmpaddr1, riscv.CSRPmpaddr2, riscv.CSRPmpaddr3, riscv.CSRPmpaddr15:
		out = append(out, enc(riscv.Inst{Op: riscv.SFENCE_VMA})...)
	}
	return out
}

// envcfg is a value of the fields that menvcfg and senvcfg share. CBIE is never
// 2, which is reserved (priv §3.1.18) and which QEMU keeps where we do not.
func (g *generator) envcfg() uint64 {
	return g.some(riscv.EnvcfgFIOM|riscv.EnvcfgCBCFE|riscv.EnvcfgCBZE) | pick[uint64](g, 0, 1, 3)<<riscv.EnvcfgCBIEShift
}

func (g *generator) fence() []uint32 {
	r := func() uint8 { return pick(g, uint8(0), g.pointerReg()) }
	return enc(pick(g, riscv.Inst{Op: riscv.SFENCE_VMA, Rs1: r(), Rs2: r()}, riscv.Inst{Op: riscv.SINVAL_VMA, Rs1: r(), Rs2: r()},
		riscv.Inst{Op: riscv.FENCE_I}, // QEMU has sfence.w.inval and sfence.inval.ir in U-mode too: not here
		riscv.Inst{Op: riscv.FENCE, Imm: 0xff}))
}

// leave changes the privilege mode.
func (g *generator) leave() []uint32 {
	switch g.IntN(4) {
	case 0:
		return enc(riscv.Inst{Op: riscv.ECALL})
	case 1:
		return enc(riscv.Inst{Op: riscv.SRET}) // to sepc, an address of data: usually a fetch that faults
	case 2:
		return append(jumpBehind(riscv.CSRSepc), enc(riscv.Inst{Op: riscv.SRET})...)
	}
	return append(jumpBehind(riscv.CSRMepc), enc(riscv.Inst{Op: riscv.MRET})...)
}

// jumpBehind points a CSR at what follows the instruction after it.
func jumpBehind(c riscv.CSR) []uint32 {
	out := enc(riscv.Inst{Op: riscv.AUIPC, Rd: 7})
	out = append(out, enc(riscv.Inst{Op: riscv.ADDI, Rd: 7, Rs1: 7, Imm: 16})...)
	return append(out, enc(riscv.Inst{Op: riscv.CSRRW, Rs1: 7, Imm: int64(c)})...)
}

// illegal is a word that no instruction is, to us and, as far as tables go, to anybody.
func (g *generator) illegal() uint32 {
	return pick[uint32](g, 0, 0xffff_ffff, 0x1230_007f, 0x0000_707b)
}
