package interp

import (
	"math/bits"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// exec runs until the budget left is spent or there is another exit, which it
// leaves in v.exit.
//
// It is one function so that the compiler makes one jump table of the switch
// and keeps the loop's variables in registers. A case that is done says
// continue; one that leaves the switch at its end has not executed its
// instruction, and v.slow does. Calls are thus kept out of the cases.
func (v *VCPU) exec(left int64) {
	var (
		h    = v.h
		x    = &h.X
		pc   = h.PC // of the block
		blk  *block
		next *block
		from *block // the block whose link to fill in, at slot
		slot uint8
		ip   *inst // the next instruction
		in   *inst // the one being executed
		to   uint64
		je   *jumpEntry
	)

lookup: // the block at pc, by virtual address
	je = &v.jumps[jumpIndex(pc)]
	if je.pc == pc && je.key == v.jumpKey {
		blk = je.blk
		goto enter
	}
find:
	blk = nil
	if left > 0 && h.Attention.Load() == 0 {
		h.Instret = uint64(v.mark - left) // for counters that see the trap
		if blk = v.fetch(pc); blk == nil {
			// Instruction fetch trapped.
			from = nil
			left--
			v.mark--
			v.refresh()
			pc = h.PC
			goto lookup
		}
		if from != nil {
			// Links hold in every address space, so they never leave the page,
			// even if the page tables have changed without a fence.
			if blk != &v.single && blk.gpa == from.gpa&^pageMask|memory.GPA(pc&pageMask) && slot < from.slots {
				*from.link(slot) = blk
			}
			from = nil
		}
	}

enter: // blk at pc
	if blk == nil || blk.gen != v.gen || left < int64(blk.need) || h.Attention.Load() != 0 {
		goto special
	}
	if blk.heat--; blk.heat < 0 {
		goto special
	}
	ip = blk.first

	for {
		in = ip
		ip = ip.next()
		switch in.op {
		case opNop:
			continue
		case opFall:
			left -= int64(in.n)
			to = pc + uint64(in.off)
			slot = in.rd
			goto follow
		case opJump:
			left -= int64(in.n) + 1
			to = pc + uint64(in.off) + uint64(in.imm)
			slot = in.rd
			goto follow
		case riscv.JAL:
			left -= int64(in.n) + 1
			to = pc + uint64(in.off)
			x[in.rd&31] = to + uint64(in.rs2)
			to += uint64(in.imm)
			slot = in.rs1
			goto follow
		case riscv.JALR:
			left -= int64(in.n) + 1
			to = (x[in.rs1&31] + uint64(in.imm)) &^ 1
			pc += uint64(in.off) + uint64(in.rs2)
			x[in.rd&31] = pc
			x[0] = 0
			pc = to
			goto lookup

		case riscv.BEQ:
			if x[in.rs1&31] != x[in.rs2&31] {
				continue
			}
			goto taken
		case riscv.BNE:
			if x[in.rs1&31] == x[in.rs2&31] {
				continue
			}
			goto taken
		case riscv.BLT:
			if int64(x[in.rs1&31]) >= int64(x[in.rs2&31]) {
				continue
			}
			goto taken
		case riscv.BGE:
			if int64(x[in.rs1&31]) < int64(x[in.rs2&31]) {
				continue
			}
			goto taken
		case riscv.BLTU:
			if x[in.rs1&31] >= x[in.rs2&31] {
				continue
			}
			goto taken
		case riscv.BGEU:
			if x[in.rs1&31] < x[in.rs2&31] {
				continue
			}
			goto taken

		case riscv.LB:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^pageMask|v.dataCtx {
				x[in.rd&31] = uint64(int64(*(*int8)(e.at(va))))
				continue
			}
		case riscv.LBU:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^pageMask|v.dataCtx {
				x[in.rd&31] = uint64(*(*uint8)(e.at(va)))
				continue
			}
		case riscv.LH:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^1)|v.dataCtx {
				x[in.rd&31] = uint64(int64(int16(le16(*(*uint16)(e.at(va))))))
				continue
			}
		case riscv.LHU:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^1)|v.dataCtx {
				x[in.rd&31] = uint64(le16(*(*uint16)(e.at(va))))
				continue
			}
		case riscv.LW:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^3)|v.dataCtx {
				x[in.rd&31] = sext32(le32(*(*uint32)(e.at(va))))
				continue
			}
		case riscv.LWU:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^3)|v.dataCtx {
				x[in.rd&31] = uint64(le32(*(*uint32)(e.at(va))))
				continue
			}
		case riscv.LD:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^7)|v.dataCtx {
				x[in.rd&31] = le64(*(*uint64)(e.at(va)))
				continue
			}
		case riscv.FLW:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^3)|v.dataCtx && v.fpReady {
				h.F[in.rd&31] = box32 | uint64(le32(*(*uint32)(e.at(va))))
				continue
			}
		case riscv.FLD:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^7)|v.dataCtx && v.fpReady {
				h.F[in.rd&31] = le64(*(*uint64)(e.at(va)))
				continue
			}

		case riscv.SB:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.stores[va>>memory.PageShift%tlbSize]; e.tag == va&^pageMask|v.dataCtx {
				*(*uint8)(e.at(va)) = uint8(x[in.rs2&31])
				continue
			}
		case riscv.SH:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.stores[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^1)|v.dataCtx {
				*(*uint16)(e.at(va)) = le16(uint16(x[in.rs2&31]))
				continue
			}
		case riscv.SW:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.stores[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^3)|v.dataCtx {
				*(*uint32)(e.at(va)) = le32(uint32(x[in.rs2&31]))
				continue
			}
		case riscv.SD:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.stores[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^7)|v.dataCtx {
				*(*uint64)(e.at(va)) = le64(x[in.rs2&31])
				continue
			}
		case riscv.FSW:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.stores[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^3)|v.dataCtx && v.fpReady {
				*(*uint32)(e.at(va)) = le32(uint32(h.F[in.rs2&31]))
				continue
			}
		case riscv.FSD:
			va := x[in.rs1&31] + uint64(in.imm)
			if e := &v.stores[va>>memory.PageShift%tlbSize]; e.tag == va&^(pageMask&^7)|v.dataCtx && v.fpReady {
				*(*uint64)(e.at(va)) = le64(h.F[in.rs2&31])
				continue
			}

		case riscv.LUI:
			x[in.rd&31] = uint64(in.imm)
			continue
		case riscv.AUIPC:
			x[in.rd&31] = pc + uint64(in.off) + uint64(in.imm)
			continue
		case riscv.ADDI:
			x[in.rd&31] = x[in.rs1&31] + uint64(in.imm)
			continue
		case riscv.SLTI:
			x[in.rd&31] = b2u(int64(x[in.rs1&31]) < in.imm)
			continue
		case riscv.SLTIU:
			x[in.rd&31] = b2u(x[in.rs1&31] < uint64(in.imm))
			continue
		case riscv.XORI:
			x[in.rd&31] = x[in.rs1&31] ^ uint64(in.imm)
			continue
		case riscv.ORI:
			x[in.rd&31] = x[in.rs1&31] | uint64(in.imm)
			continue
		case riscv.ANDI:
			x[in.rd&31] = x[in.rs1&31] & uint64(in.imm)
			continue
		case riscv.SLLI:
			x[in.rd&31] = x[in.rs1&31] << (in.imm & 63)
			continue
		case riscv.SRLI:
			x[in.rd&31] = x[in.rs1&31] >> (in.imm & 63)
			continue
		case riscv.SRAI:
			x[in.rd&31] = uint64(int64(x[in.rs1&31]) >> (in.imm & 63))
			continue
		case riscv.ADDIW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) + uint32(in.imm))
			continue
		case riscv.SLLIW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) << (in.imm & 31))
			continue
		case riscv.SRLIW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) >> (in.imm & 31))
			continue
		case riscv.SRAIW:
			x[in.rd&31] = uint64(int64(int32(x[in.rs1&31]) >> (in.imm & 31)))
			continue

		case riscv.ADD:
			x[in.rd&31] = x[in.rs1&31] + x[in.rs2&31]
			continue
		case riscv.SUB:
			x[in.rd&31] = x[in.rs1&31] - x[in.rs2&31]
			continue
		case riscv.SLL:
			x[in.rd&31] = x[in.rs1&31] << (x[in.rs2&31] & 63)
			continue
		case riscv.SLT:
			x[in.rd&31] = b2u(int64(x[in.rs1&31]) < int64(x[in.rs2&31]))
			continue
		case riscv.SLTU:
			x[in.rd&31] = b2u(x[in.rs1&31] < x[in.rs2&31])
			continue
		case riscv.XOR:
			x[in.rd&31] = x[in.rs1&31] ^ x[in.rs2&31]
			continue
		case riscv.SRL:
			x[in.rd&31] = x[in.rs1&31] >> (x[in.rs2&31] & 63)
			continue
		case riscv.SRA:
			x[in.rd&31] = uint64(int64(x[in.rs1&31]) >> (x[in.rs2&31] & 63))
			continue
		case riscv.OR:
			x[in.rd&31] = x[in.rs1&31] | x[in.rs2&31]
			continue
		case riscv.AND:
			x[in.rd&31] = x[in.rs1&31] & x[in.rs2&31]
			continue
		case riscv.ADDW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) + uint32(x[in.rs2&31]))
			continue
		case riscv.SUBW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) - uint32(x[in.rs2&31]))
			continue
		case riscv.SLLW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) << (x[in.rs2&31] & 31))
			continue
		case riscv.SRLW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) >> (x[in.rs2&31] & 31))
			continue
		case riscv.SRAW:
			x[in.rd&31] = uint64(int64(int32(x[in.rs1&31]) >> (x[in.rs2&31] & 31)))
			continue

		case riscv.MUL:
			x[in.rd&31] = x[in.rs1&31] * x[in.rs2&31]
			continue
		case riscv.MULH:
			a, b := x[in.rs1&31], x[in.rs2&31]
			hi, _ := bits.Mul64(a, b)
			x[in.rd&31] = hi - uint64(int64(a)>>63)&b - uint64(int64(b)>>63)&a
			continue
		case riscv.MULHSU:
			a, b := x[in.rs1&31], x[in.rs2&31]
			hi, _ := bits.Mul64(a, b)
			x[in.rd&31] = hi - uint64(int64(a)>>63)&b
			continue
		case riscv.MULHU:
			hi, _ := bits.Mul64(x[in.rs1&31], x[in.rs2&31])
			x[in.rd&31] = hi
			continue
		case riscv.MULW:
			x[in.rd&31] = sext32(uint32(x[in.rs1&31]) * uint32(x[in.rs2&31]))
			continue
		// unpriv §13.2: division by zero gives all ones and leaves the
		// dividend; Go, too, makes the most negative number over -1 itself.
		case riscv.DIV:
			r := ^uint64(0)
			if b := int64(x[in.rs2&31]); b != 0 {
				r = uint64(int64(x[in.rs1&31]) / b)
			}
			x[in.rd&31] = r
			continue
		case riscv.DIVU:
			r := ^uint64(0)
			if b := x[in.rs2&31]; b != 0 {
				r = x[in.rs1&31] / b
			}
			x[in.rd&31] = r
			continue
		case riscv.REM:
			r := x[in.rs1&31]
			if b := int64(x[in.rs2&31]); b != 0 {
				r = uint64(int64(r) % b)
			}
			x[in.rd&31] = r
			continue
		case riscv.REMU:
			r := x[in.rs1&31]
			if b := x[in.rs2&31]; b != 0 {
				r %= b
			}
			x[in.rd&31] = r
			continue
		case riscv.DIVW:
			r := ^uint64(0)
			if b := int32(x[in.rs2&31]); b != 0 {
				r = uint64(int64(int32(x[in.rs1&31]) / b))
			}
			x[in.rd&31] = r
			continue
		case riscv.DIVUW:
			r := ^uint64(0)
			if b := uint32(x[in.rs2&31]); b != 0 {
				r = sext32(uint32(x[in.rs1&31]) / b)
			}
			x[in.rd&31] = r
			continue
		case riscv.REMW:
			r := int32(x[in.rs1&31])
			if b := int32(x[in.rs2&31]); b != 0 {
				r %= b
			}
			x[in.rd&31] = uint64(int64(r))
			continue
		case riscv.REMUW:
			r := uint32(x[in.rs1&31])
			if b := uint32(x[in.rs2&31]); b != 0 {
				r %= b
			}
			x[in.rd&31] = sext32(r)
			continue

		case riscv.SH1ADD:
			x[in.rd&31] = x[in.rs2&31] + x[in.rs1&31]<<1
			continue
		case riscv.SH2ADD:
			x[in.rd&31] = x[in.rs2&31] + x[in.rs1&31]<<2
			continue
		case riscv.SH3ADD:
			x[in.rd&31] = x[in.rs2&31] + x[in.rs1&31]<<3
			continue
		case riscv.ADD_UW:
			x[in.rd&31] = x[in.rs2&31] + uint64(uint32(x[in.rs1&31]))
			continue
		case riscv.SH1ADD_UW:
			x[in.rd&31] = x[in.rs2&31] + uint64(uint32(x[in.rs1&31]))<<1
			continue
		case riscv.SH2ADD_UW:
			x[in.rd&31] = x[in.rs2&31] + uint64(uint32(x[in.rs1&31]))<<2
			continue
		case riscv.SH3ADD_UW:
			x[in.rd&31] = x[in.rs2&31] + uint64(uint32(x[in.rs1&31]))<<3
			continue
		case riscv.SLLI_UW:
			x[in.rd&31] = uint64(uint32(x[in.rs1&31])) << (in.imm & 63)
			continue

		case riscv.ANDN:
			x[in.rd&31] = x[in.rs1&31] &^ x[in.rs2&31]
			continue
		case riscv.ORN:
			x[in.rd&31] = x[in.rs1&31] | ^x[in.rs2&31]
			continue
		case riscv.XNOR:
			x[in.rd&31] = ^(x[in.rs1&31] ^ x[in.rs2&31])
			continue
		case riscv.MAX:
			x[in.rd&31] = uint64(max(int64(x[in.rs1&31]), int64(x[in.rs2&31])))
			continue
		case riscv.MAXU:
			x[in.rd&31] = max(x[in.rs1&31], x[in.rs2&31])
			continue
		case riscv.MIN:
			x[in.rd&31] = uint64(min(int64(x[in.rs1&31]), int64(x[in.rs2&31])))
			continue
		case riscv.MINU:
			x[in.rd&31] = min(x[in.rs1&31], x[in.rs2&31])
			continue
		case riscv.ROL:
			x[in.rd&31] = bits.RotateLeft64(x[in.rs1&31], int(x[in.rs2&31]&63))
			continue
		case riscv.ROR:
			x[in.rd&31] = bits.RotateLeft64(x[in.rs1&31], -int(x[in.rs2&31]&63))
			continue
		case riscv.RORI:
			x[in.rd&31] = bits.RotateLeft64(x[in.rs1&31], -int(in.imm))
			continue
		case riscv.ROLW:
			x[in.rd&31] = sext32(bits.RotateLeft32(uint32(x[in.rs1&31]), int(x[in.rs2&31]&31)))
			continue
		case riscv.RORW:
			x[in.rd&31] = sext32(bits.RotateLeft32(uint32(x[in.rs1&31]), -int(x[in.rs2&31]&31)))
			continue
		case riscv.RORIW:
			x[in.rd&31] = sext32(bits.RotateLeft32(uint32(x[in.rs1&31]), -int(in.imm)))
			continue
		case riscv.CLZ:
			x[in.rd&31] = uint64(bits.LeadingZeros64(x[in.rs1&31]))
			continue
		case riscv.CTZ:
			x[in.rd&31] = uint64(bits.TrailingZeros64(x[in.rs1&31]))
			continue
		case riscv.CLZW:
			x[in.rd&31] = uint64(bits.LeadingZeros32(uint32(x[in.rs1&31])))
			continue
		case riscv.CTZW:
			x[in.rd&31] = uint64(bits.TrailingZeros32(uint32(x[in.rs1&31])))
			continue
		case riscv.SEXT_B:
			x[in.rd&31] = uint64(int64(int8(x[in.rs1&31])))
			continue
		case riscv.SEXT_H:
			x[in.rd&31] = uint64(int64(int16(x[in.rs1&31])))
			continue
		case riscv.ZEXT_H:
			x[in.rd&31] = uint64(uint16(x[in.rs1&31]))
			continue
		case riscv.REV8:
			x[in.rd&31] = bits.ReverseBytes64(x[in.rs1&31])
			continue

		case riscv.BCLR:
			x[in.rd&31] = x[in.rs1&31] &^ (1 << (x[in.rs2&31] & 63))
			continue
		case riscv.BCLRI:
			x[in.rd&31] = x[in.rs1&31] &^ (1 << (in.imm & 63))
			continue
		case riscv.BEXT:
			x[in.rd&31] = x[in.rs1&31] >> (x[in.rs2&31] & 63) & 1
			continue
		case riscv.BEXTI:
			x[in.rd&31] = x[in.rs1&31] >> (in.imm & 63) & 1
			continue
		case riscv.BINV:
			x[in.rd&31] = x[in.rs1&31] ^ 1<<(x[in.rs2&31]&63)
			continue
		case riscv.BINVI:
			x[in.rd&31] = x[in.rs1&31] ^ 1<<(in.imm&63)
			continue
		case riscv.BSET:
			x[in.rd&31] = x[in.rs1&31] | 1<<(x[in.rs2&31]&63)
			continue
		case riscv.BSETI:
			x[in.rd&31] = x[in.rs1&31] | 1<<(in.imm&63)
			continue
		case riscv.CZERO_EQZ:
			r := x[in.rs1&31]
			if x[in.rs2&31] == 0 {
				r = 0
			}
			x[in.rd&31] = r
			continue
		case riscv.CZERO_NEZ:
			r := x[in.rs1&31]
			if x[in.rs2&31] != 0 {
				r = 0
			}
			x[in.rd&31] = r
			continue
		}

		h.PC = pc + uint64(in.off)
		h.Instret = uint64(v.mark - left + int64(in.n))
		switch v.slow(blk, in) {
		case slowNext:
			continue
		case slowJump:
			left -= int64(in.n) + 1
			v.refresh()
			pc = h.PC
			goto lookup
		case slowTrap:
			left -= int64(in.n) + 1
			v.mark--
			v.refresh()
			pc = h.PC
			goto lookup
		case slowSingle:
			blk = &v.single
			goto enter
		case slowExit: // the state is complete
			return
		}
	}

taken: // the branch in, which is blk's
	left -= int64(in.n) + 1
	to = pc + uint64(in.off) + uint64(in.imm)
	slot = in.rd

follow: // from blk, by its link slot, to the block at to
	pc = to
	if slot >= blk.slots {
		goto lookup
	}
	if next = *blk.link(slot); next != nil {
		blk = next
		goto enter
	}
	from = blk
	goto find

special: // before the instruction at pc, the first of blk if that is not nil
	from = nil
	h.PC = pc
	h.Instret = uint64(v.mark - left)
	if h.Attention.Load() != 0 {
		// priv §3.1.9: interrupts are taken between instructions.
		ev := h.Poll()
		if ev.Kicked {
			v.exit = cpu.Exit{Reason: cpu.ExitKicked}
			return
		}
		if h.Halted {
			v.exit = cpu.Exit{Reason: cpu.ExitHalt}
			return
		}
		v.refresh()
		pc = h.PC
		goto lookup
	}
	if left == 0 {
		v.exit = cpu.Exit{Reason: cpu.ExitBudget}
		return
	}
	if blk == nil {
		goto find
	}
	if blk != &v.single {
		if blk.gen != v.gen {
			blk = v.currentOf(blk)
		}
		if left < int64(blk.need) {
			v.prefix(blk, int(left))
			blk = &v.part
		} else if blk.heat < 0 && !v.own {
			v.hot = blk // the translator's
			return
		} else if blk.heat < 0 {
			blk.heat, v.own = 1, false
		}
		goto enter
	}
	blk.gen = v.gen
	goto enter
}
