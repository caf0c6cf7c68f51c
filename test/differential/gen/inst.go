package gen

import (
	"strconv"

	"doppel/internal/riscv"
)

// xsrc is an integer register to read.
func (g *Generator) xsrc() uint8 {
	if g.r.IntN(2) == 0 {
		return 8 + uint8(g.r.IntN(8)) // those that compressed instructions name
	}
	return uint8(g.r.IntN(32))
}

// xdst is an integer register to write.
func (g *Generator) xdst() uint8 {
	for {
		if r := g.xsrc(); !g.locked[r] {
			return r
		}
	}
}

func (g *Generator) freg() uint8 {
	if g.r.IntN(2) == 0 {
		return 8 + uint8(g.r.IntN(4)) // few, so that results become operands
	}
	return uint8(g.r.IntN(32))
}

// rm is a rounding mode that does not trap: frm is never 5 to 7.
func (g *Generator) rm() uint8 {
	if g.r.IntN(2) == 0 {
		return riscv.DYN
	}
	return uint8(g.r.IntN(5))
}

// simm is a signed immediate of so many bits.
func (g *Generator) simm(bits int) int64 {
	n := bits
	if g.r.IntN(2) == 0 {
		n = 1 + g.r.IntN(bits)
	}
	return int64(g.r.Uint64()) >> (64 - n)
}

// alu emits a plain integer instruction.
func (g *Generator) alu() {
	ops := [...]riscv.Op{riscv.ADD, riscv.XOR, riscv.ADDI, riscv.SUB, riscv.SLTU}
	g.instruction(ops[g.r.IntN(len(ops))])
}

// instruction emits op, with what has to come before it, or something plain if
// that came out as one of the instructions to avoid.
func (g *Generator) instruction(op riscv.Op) {
	start, jumps := len(g.p.Code), len(g.open)
	g.any(op)
	if g.cfg.Avoid == nil || len(g.open) != jumps {
		return
	}
	for _, c := range g.p.Code[start:] {
		if g.cfg.Avoid(c.Inst()) {
			g.p.Code = g.p.Code[:start]
			g.emit(riscv.Inst{Op: riscv.ADD, Rd: g.xdst(), Rs1: g.xsrc(), Rs2: g.xsrc()})
			return
		}
	}
}

func (g *Generator) any(op riscv.Op) {
	switch op {
	case riscv.JAL, riscv.BEQ, riscv.BNE, riscv.BLT, riscv.BGE, riscv.BLTU, riscv.BGEU:
		g.jump(op)
	case riscv.JALR:
		g.jumpRegister()
	case riscv.CSRRW, riscv.CSRRS, riscv.CSRRC, riscv.CSRRWI, riscv.CSRRSI, riscv.CSRRCI:
		g.csr(op)
	case riscv.MOP_R:
		g.emit(riscv.Inst{Op: op, Rd: g.xdst(), Rs1: g.xsrc(), Imm: int64(g.r.IntN(32))})
	case riscv.MOP_RR:
		g.emit(riscv.Inst{Op: op, Rd: g.xdst(), Rs1: g.xsrc(), Rs2: g.xsrc(), Imm: int64(g.r.IntN(8))})
	case riscv.C_MOP:
		f, ok := riscv.FormByName("c.mop." + strconv.Itoa(2*g.r.IntN(8)+1))
		if !ok {
			panic("BUG: generator: c.mop")
		}
		raw, err := f.Encode(riscv.Inst{})
		if err != nil {
			panic("BUG: generator: " + err.Error())
		}
		g.raw(Code{raw, 2})
	case riscv.LR_W, riscv.LR_D, riscv.SC_W, riscv.SC_D:
		g.reserve(op)
	case riscv.CBO_ZERO:
		// Zicboz: the block around any address in it.
		t := g.address(1)
		g.emit(riscv.Inst{Op: op, Rs1: t})
	case riscv.AMOCAS_Q:
		t := g.address(16)
		g.amo(riscv.Inst{Op: op, Rd: g.even(t), Rs1: t, Rs2: g.evenSource()})
	default:
		if op >= riscv.AMOSWAP_W && op <= riscv.AMOCAS_D {
			g.atomic(op)
			return
		}
		g.operands(op)
	}
}

// operands emits an instruction whose operands are independent of each other.
func (g *Generator) operands(op riscv.Op) {
	f, ok := riscv.FormByName(op.String())
	if !ok {
		panic("BUG: generator: no form of " + op.String())
	}
	i := riscv.Inst{Op: op}
	for _, o := range f.Operands {
		switch o {
		case riscv.OperandRd:
			i.Rd = g.xdst()
		case riscv.OperandRs1:
			i.Rs1 = g.xsrc()
			if g.r.IntN(3) == 0 && !g.locked[i.Rd] { // rd is there already: compressed instructions want both the same
				i.Rs1 = i.Rd
			}
		case riscv.OperandRs2:
			i.Rs2 = g.xsrc()
		case riscv.OperandFd:
			i.Rd = g.freg()
		case riscv.OperandFs1:
			i.Rs1 = g.freg()
		case riscv.OperandFs2:
			i.Rs2 = g.freg()
		case riscv.OperandFs3:
			i.Rs3 = g.freg()
		case riscv.OperandRM:
			i.RM = g.rm()
		case riscv.OperandRTZ:
			i.RM = riscv.RTZ
		case riscv.OperandImm:
			i.Imm = g.simm(12)
			if g.r.IntN(2) == 0 {
				i.Imm = g.simm(6)
			}
		case riscv.OperandIOff, riscv.OperandSOff:
			i.Rs1, i.Imm = g.access()
		case riscv.OperandPOff:
			i.Rs1, i.Imm = g.xsrc(), g.simm(7)<<5
		case riscv.OperandUImm:
			i.Imm = g.simm(20) << 12
		case riscv.OperandShamt6:
			i.Imm = int64(g.r.IntN(64))
		case riscv.OperandShamt5:
			i.Imm = int64(g.r.IntN(32))
		case riscv.OperandPred, riscv.OperandSucc:
			// fm 0: all else is reserved or fence.tso. pred 0 with succ w is pause.
			i.Imm = int64(1+g.r.IntN(15))<<4 | int64(1+g.r.IntN(15))
		case riscv.OperandFli:
			i.Rs1 = uint8(g.r.IntN(32))
		default:
			panic("BUG: generator: operand " + o.String() + " of " + op.String())
		}
	}
	if op == riscv.PACKW && i.Rs2 == 0 { // is zext.h
		i.Rs2 = 1
	}
	if op == riscv.ORI && i.Rd == 0 { // may be a prefetch
		i.Rd = g.temp(0)
	}
	g.emit(i)
	if g.cfg.Keep != nil && g.cfg.Keep(i) {
		g.emit(riscv.Inst{Op: riscv.FSD, Rs1: 2, Rs2: i.Rd, Imm: int64(g.r.IntN(8)) * 8})
	}
}

// access is a base register and an offset inside the scratch memory.
func (g *Generator) access() (base uint8, off int64) {
	base = pointers[g.r.IntN(len(pointers))]
	switch g.r.IntN(6) {
	case 0:
		return g.address(1), 0
	case 1:
		return base, g.simm(9) // any alignment
	case 2:
		return base, g.simm(6) &^ 7
	default:
		return base, int64(g.r.IntN(16)) * 8 // compressed
	}
}

// address computes a multiple of align inside the scratch memory into a
// register that it returns.
func (g *Generator) address(align int64) uint8 {
	t := g.temp(0)
	p := pointers[g.r.IntN(len(pointers))]
	if align == 1 {
		// A random register decides: base + (x & 127).
		g.emit(riscv.Inst{Op: riscv.ANDI, Rd: t, Rs1: g.xsrc(), Imm: 127})
		g.emit(riscv.Inst{Op: riscv.ADD, Rd: t, Rs1: t, Rs2: p})
		return t
	}
	g.emit(riscv.Inst{Op: riscv.ADDI, Rd: t, Rs1: p, Imm: g.simm(8)})
	g.emit(riscv.Inst{Op: riscv.ANDI, Rd: t, Rs1: t, Imm: -align})
	return t
}

// temp is a register to write, neither x0 nor avoid.
func (g *Generator) temp(avoid uint8) uint8 {
	for {
		if r := g.xdst(); r != 0 && r != avoid {
			return r
		}
	}
}

func (g *Generator) atomic(op riscv.Op) {
	align := int64(4)
	switch op {
	case riscv.AMOSWAP_D, riscv.AMOADD_D, riscv.AMOXOR_D, riscv.AMOAND_D, riscv.AMOOR_D, riscv.AMOMIN_D,
		riscv.AMOMAX_D, riscv.AMOMINU_D, riscv.AMOMAXU_D, riscv.AMOCAS_D:
		align = 8
	}
	t := g.address(align)
	i := riscv.Inst{Op: op, Rd: g.xdst(), Rs1: t, Rs2: g.xsrc()}
	if (op == riscv.AMOCAS_W || op == riscv.AMOCAS_D) && g.r.IntN(2) == 0 {
		// Load what is there first, so that the comparison succeeds.
		i.Rd = g.temp(t)
		load := riscv.LW
		if op == riscv.AMOCAS_D {
			load = riscv.LD
		}
		g.emit(riscv.Inst{Op: load, Rd: i.Rd, Rs1: t})
	}
	g.amo(i)
}

// amo emits an atomic instruction with any aq and rl.
func (g *Generator) amo(i riscv.Inst) {
	c := g.uncompressed(i)
	c.Raw |= uint32(g.r.IntN(4)) << 25
	g.raw(c)
}

// even is a register pair to write, apart from register avoid.
func (g *Generator) even(avoid uint8) uint8 {
	for {
		r := g.xdst() &^ 1
		if r == 0 || !g.locked[r] && !g.locked[r+1] && r != avoid&^1 {
			return r
		}
	}
}

func (g *Generator) evenSource() uint8 { return g.xsrc() &^ 1 }

// reserve emits LR, something harmless and SC, or SC alone, which fails.
func (g *Generator) reserve(op riscv.Op) {
	lr, sc, align := riscv.LR_W, riscv.SC_W, int64(4)
	if op == riscv.LR_D || op == riscv.SC_D {
		lr, sc, align = riscv.LR_D, riscv.SC_D, 8
	}
	t := g.address(align)
	if op == lr || g.r.IntN(3) > 0 {
		g.amo(riscv.Inst{Op: lr, Rd: g.temp(t), Rs1: t})
		for range g.r.IntN(3) {
			g.emit(riscv.Inst{Op: riscv.ADD, Rd: g.temp(t), Rs1: g.xsrc(), Rs2: g.xsrc()})
		}
	}
	g.amo(riscv.Inst{Op: sc, Rd: g.temp(t), Rs1: t, Rs2: g.xsrc()})
	// A second one fails: the first gave the reservation up (unpriv §13.2).
	if g.r.IntN(4) == 0 {
		g.amo(riscv.Inst{Op: sc, Rd: g.temp(t), Rs1: t, Rs2: g.xsrc()})
	}
}
