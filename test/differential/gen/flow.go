package gen

import "doppel/internal/riscv"

// jump emits a forward jump or branch, or a loop that ends.
func (g *Generator) jump(op riscv.Op) {
	if op == riscv.BNE && g.r.IntN(2) == 0 {
		g.loop()
		return
	}
	i := riscv.Inst{Op: op, Rs1: g.xsrc(), Rs2: g.xsrc()}
	if op == riscv.JAL {
		i = riscv.Inst{Op: op, Rd: g.xdst()}
	}
	g.forward(i)
}

// jumpRegister emits auipc and a jalr that leads forward of it.
func (g *Generator) jumpRegister() {
	t := g.temp(0)
	g.raw(g.uncompressed(riscv.Inst{Op: riscv.AUIPC, Rd: t}))
	// The distance counts from the jalr, 4 bytes behind the auipc whose address t holds; bit 0 is ignored (unpriv §2.5.1).
	g.forward(riscv.Inst{Op: riscv.JALR, Rd: g.xdst(), Rs1: t, Imm: 4 + int64(g.r.IntN(2))})
}

// loop emits a loop over a few instructions, run up to 8 times.
func (g *Generator) loop() {
	if len(g.open) > 0 { // an outer jump could enter it behind its counter's start
		g.alu()
		return
	}
	n := g.temp(0)
	g.emit(riscv.Inst{Op: riscv.ADDI, Rd: n, Imm: 1 + int64(g.r.IntN(8))})
	g.locked[n] = true
	start := len(g.p.Code)
	for range 1 + g.r.IntN(5) {
		g.body()
		g.boundary()
	}
	for len(g.open) > 0 {
		g.alu()
		g.boundary()
	}
	g.locked[n] = false
	g.emit(riscv.Inst{Op: riscv.ADDI, Rd: n, Rs1: n, Imm: -1})
	var back int64
	for _, c := range g.p.Code[start:] {
		back += int64(c.Len)
	}
	g.emit(riscv.Inst{Op: riscv.BNE, Rs1: n, Imm: -back})
}

// body emits one instruction of a loop: no loop in a loop.
func (g *Generator) body() {
	for {
		op := g.ops[g.r.IntN(len(g.ops))]
		if op != riscv.BNE {
			g.instruction(op)
			return
		}
	}
}

// csr emits an access to the floating-point control and status registers.
func (g *Generator) csr(op riscv.Op) {
	i := riscv.Inst{Op: op, Rd: g.xdst(), Imm: int64(riscv.CSRFflags)}
	switch {
	case g.r.IntN(3) == 0: // read only
		i.Op, i.Imm = riscv.CSRRS, int64(riscv.CSRFflags)+int64(g.r.IntN(3))
		if op == riscv.CSRRC || op == riscv.CSRRSI || op == riscv.CSRRCI {
			i.Op = op
		}
	case op == riscv.CSRRWI && g.r.IntN(2) == 0: // frm 5 to 7 would make instructions trap
		i.Imm, i.Rs1 = int64(riscv.CSRFrm), uint8(g.r.IntN(5))
	case op == riscv.CSRRWI, op == riscv.CSRRSI, op == riscv.CSRRCI:
		i.Rs1 = uint8(g.r.IntN(32))
	default:
		i.Rs1 = g.xsrc()
	}
	g.emit(i)
}
