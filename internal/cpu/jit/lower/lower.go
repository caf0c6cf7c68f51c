// Package lower turns decoded RISC-V instructions into the translator's
// micro-operations. It has no state and looks at nothing but its argument.
package lower

import (
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

const pageSize = 4096

// Block lowers the instructions of a block that starts at an offset in its
// page. Every one of them has at least one Inst, so that a block's execution
// can be counted.
func Block(start int32, insts []riscv.Inst, b *ir.Block) {
	b.Start, b.Count = start, len(insts)
	b.Insts = b.Insts[:0]
	off := start
	ended := false
	for n, d := range insts {
		if off&(pageSize-1)+int32(d.Len) > pageSize {
			b.Insts = append(b.Insts, ir.Inst{Op: ir.Across, Imm: int64(d.Raw >> 16), Index: uint8(n)})
		}
		in := one(d, off)
		in.Index = uint8(n)
		if in.Op >= ir.FAdd && in.Op <= ir.FCSRClear {
			in.Target = off + int32(d.Len)
		}
		b.Insts = append(b.Insts, in)
		off += int32(d.Len)
		ended = in.Op == ir.Jump || in.Op == ir.JumpReg
	}
	if !ended {
		b.Insts = append(b.Insts, ir.Inst{Op: ir.Jump, Target: off, Index: uint8(len(insts))})
	}
	fusePairs(b.Insts)
	markUndone(b.Insts)
}

// table says how an Op whose operands are rd, rs1 and rs2 or the immediate is
// lowered.
var table = func() (t [riscv.NumOps]ir.Inst) {
	reg := func(op riscv.Op, to ir.Op, f ir.Flags) { t[op] = ir.Inst{Op: to, Flags: f} }
	const imm, word = ir.Immediate, ir.Word
	reg(riscv.ADDI, ir.Add, imm)
	reg(riscv.SLTI, ir.Slt, imm)
	reg(riscv.SLTIU, ir.Sltu, imm)
	reg(riscv.XORI, ir.Xor, imm)
	reg(riscv.ORI, ir.Or, imm)
	reg(riscv.ANDI, ir.And, imm)
	reg(riscv.SLLI, ir.Shl, imm)
	reg(riscv.SRLI, ir.Shr, imm)
	reg(riscv.SRAI, ir.Sar, imm)
	reg(riscv.ADDIW, ir.Add, imm|word)
	reg(riscv.SLLIW, ir.Shl, imm|word)
	reg(riscv.SRLIW, ir.Shr, imm|word)
	reg(riscv.SRAIW, ir.Sar, imm|word)
	for i, to := range []ir.Op{ir.Add, ir.Sub, ir.Shl, ir.Slt, ir.Sltu, ir.Xor, ir.Shr, ir.Sar, ir.Or, ir.And} {
		reg(riscv.ADD+riscv.Op(i), to, 0)
	}
	for i, to := range []ir.Op{ir.Add, ir.Sub, ir.Shl, ir.Shr, ir.Sar} {
		reg(riscv.ADDW+riscv.Op(i), to, word)
	}
	for i, to := range []ir.Op{ir.Mul, ir.MulH, ir.MulHSU, ir.MulHU, ir.Div, ir.DivU, ir.Rem, ir.RemU} {
		reg(riscv.MUL+riscv.Op(i), to, 0)
	}
	for i, to := range []ir.Op{ir.Mul, ir.Div, ir.DivU, ir.Rem, ir.RemU} {
		reg(riscv.MULW+riscv.Op(i), to, word)
	}
	for i := range riscv.Op(3) {
		t[riscv.SH1ADD+i] = ir.Inst{Op: ir.ShlAdd, Imm: int64(i) + 1}
		t[riscv.SH1ADD_UW+i] = ir.Inst{Op: ir.ZextAdd, Imm: int64(i) + 1}
	}
	reg(riscv.ADD_UW, ir.ZextAdd, 0)
	reg(riscv.SLLI_UW, ir.ZextShl, imm)
	for i, to := range []ir.Op{ir.AndNot, ir.OrNot, ir.XorNot, ir.Max, ir.MaxU, ir.Min, ir.MinU, ir.Rol, ir.Ror} {
		reg(riscv.ANDN+riscv.Op(i), to, 0)
	}
	reg(riscv.ROLW, ir.Rol, word)
	reg(riscv.RORW, ir.Ror, word)
	reg(riscv.RORI, ir.Ror, imm)
	reg(riscv.RORIW, ir.Ror, imm|word)
	reg(riscv.CLZ, ir.Clz, 0)
	reg(riscv.CTZ, ir.Ctz, 0)
	reg(riscv.CPOP, ir.Popcnt, 0)
	reg(riscv.CLZW, ir.Clz, word)
	reg(riscv.CTZW, ir.Ctz, word)
	reg(riscv.CPOPW, ir.Popcnt, word)
	reg(riscv.SEXT_B, ir.SextB, 0)
	reg(riscv.SEXT_H, ir.SextH, 0)
	reg(riscv.ZEXT_H, ir.ZextH, 0)
	reg(riscv.REV8, ir.ByteSwap, 0)
	reg(riscv.ORC_B, ir.OrBytes, 0)
	reg(riscv.PACK, ir.Pack, 0)
	reg(riscv.PACKW, ir.Pack, word)
	reg(riscv.PACKH, ir.PackBytes, 0)
	reg(riscv.BREV8, ir.RevBits, 0)
	reg(riscv.CLMUL, ir.ClMul, 0)
	reg(riscv.CLMULH, ir.ClMulH, 0)
	reg(riscv.CLMULR, ir.ClMulR, 0)
	for i, to := range []ir.Op{ir.BitClr, ir.BitExt, ir.BitInv, ir.BitSet} {
		reg(riscv.BCLR+2*riscv.Op(i), to, 0)
		reg(riscv.BCLRI+2*riscv.Op(i), to, imm)
	}
	reg(riscv.CZERO_EQZ, ir.ZeroIfZero, 0)
	reg(riscv.CZERO_NEZ, ir.ZeroIfNonzero, 0)
	return t
}()

// pure ops only compute rd from registers and immediates.
func pure(op riscv.Op) bool {
	return op == riscv.LUI || op == riscv.AUIPC || riscv.ADDI <= op && op <= riscv.CZERO_NEZ ||
		op == riscv.MOP_R || op == riscv.MOP_RR
}

// one lowers the instruction at off.
func one(d riscv.Inst, off int32) ir.Inst {
	op := d.Op
	rd, rs1, rs2 := ir.Reg(d.Rd), ir.Reg(d.Rs1), ir.Reg(d.Rs2)
	if pure(op) && rd == 0 {
		return ir.Inst{Op: ir.Nop}
	}
	if t := table[op]; t.Op != ir.Nop {
		t.Dst, t.A, t.B = rd, rs1, rs2
		if t.Flags&ir.Immediate != 0 {
			t.Imm, t.B = d.Imm, 0
		}
		return t
	}
	switch {
	case op == riscv.LUI:
		return ir.Inst{Op: ir.Const, Dst: rd, Imm: d.Imm}
	case op == riscv.AUIPC:
		return ir.Inst{Op: ir.PC, Dst: rd, Imm: int64(off) + d.Imm}
	case op == riscv.MOP_R || op == riscv.MOP_RR: // unpriv Zimop: these write zero
		return ir.Inst{Op: ir.Const, Dst: rd}
	case op == riscv.C_MOP || riscv.PREFETCH_I <= op && op <= riscv.PREFETCH_W:
		return ir.Inst{Op: ir.Nop}
	case op == riscv.JAL:
		return ir.Inst{Op: ir.Jump, Dst: rd, Imm: int64(off) + int64(d.Len), Target: off + int32(d.Imm)}
	case op == riscv.JALR:
		return ir.Inst{Op: ir.JumpReg, Dst: rd, A: rs1, Imm: d.Imm, Target: off + int32(d.Len)}
	case riscv.BEQ <= op && op <= riscv.BGEU:
		return ir.Inst{Op: ir.Branch, Cond: ir.Cond(op - riscv.BEQ), A: rs1, B: rs2, Target: off + int32(d.Imm)}
	case riscv.LB <= op && op <= riscv.LWU:
		in := ir.Inst{Op: ir.Load, Size: 1 << ((op - riscv.LB) & 3), Flags: ir.Signed, Dst: rd, A: rs1, Imm: d.Imm}
		if op >= riscv.LBU {
			in.Flags, in.Size = 0, 1<<(op-riscv.LBU)
		}
		return in
	case riscv.SB <= op && op <= riscv.SD:
		return ir.Inst{Op: ir.Store, Size: 1 << (op - riscv.SB), A: rs1, B: rs2, Imm: d.Imm}
	case riscv.LR_W <= op && op <= riscv.AMOCAS_D:
		return atomic(d)
	case op == riscv.FENCE || op == riscv.FENCE_TSO:
		return ir.Inst{Op: ir.Barrier, Imm: int64(order(d))}
	case op >= riscv.CSRRW && op <= riscv.CSRRCI && d.Imm >= int64(riscv.CSRFflags) && d.Imm <= int64(riscv.CSRFcsr):
		return fcsr(d)
	case op >= riscv.FLW && op < riscv.NumOps:
		return float(d)
	}
	if in := system(d); in.Op != ir.Slow {
		if in.Op == ir.Call {
			in.Target = off
		}
		return in
	}
	return ir.Inst{Op: ir.Slow}
}

// order is what a fence orders of memory (unpriv §2.7). Accesses to devices
// leave the code.
func order(d riscv.Inst) (o ir.Order) {
	const succR, succW, predR, predW = 1 << 1, 1 << 0, 1 << 5, 1 << 4
	for _, pair := range []struct {
		bits int64
		o    ir.Order
	}{{predR | succR, ir.ReadRead}, {predR | succW, ir.ReadWrite}, {predW | succR, ir.WriteRead}, {predW | succW, ir.WriteWrite}} {
		if d.Imm&pair.bits == pair.bits {
			o |= pair.o
		}
	}
	if d.Op == riscv.FENCE_TSO {
		o = ir.ReadRead | ir.ReadWrite | ir.WriteWrite
	}
	return o
}

func atomic(d riscv.Inst) ir.Inst {
	in := ir.Inst{Op: ir.Slow, Size: 4, Flags: ir.Signed, Dst: ir.Reg(d.Rd), A: ir.Reg(d.Rs1), B: ir.Reg(d.Rs2)}
	op := d.Op
	if op >= riscv.LR_D && op <= riscv.AMOMAXU_D {
		in.Size = 8
		op -= riscv.LR_D - riscv.LR_W
	}
	switch op {
	case riscv.AMOSWAP_W:
		in.Op = ir.AmoSwap
	case riscv.AMOADD_W:
		in.Op = ir.AmoAdd
	case riscv.AMOAND_W:
		in.Op = ir.AmoAnd
	case riscv.AMOOR_W:
		in.Op = ir.AmoOr
	case riscv.AMOXOR_W:
		in.Op = ir.AmoXor
	case riscv.AMOCAS_D:
		in.Op, in.Size = ir.AmoCas, 8
	case riscv.AMOCAS_W:
		in.Op = ir.AmoCas
	case riscv.AMOMIN_W:
		in.Op = ir.AmoMin
	case riscv.AMOMAX_W:
		in.Op = ir.AmoMax
	case riscv.AMOMINU_W:
		in.Op = ir.AmoMinU
	case riscv.AMOMAXU_W:
		in.Op = ir.AmoMaxU
	case riscv.LR_W:
		in.Op = ir.LoadReserved
		if d.RL() { // which orders earlier stores too
			in.Imm = int64(ir.ReadRead | ir.WriteRead)
		}
	case riscv.SC_W:
		in.Op = ir.StoreConditional
	}
	return in
}
