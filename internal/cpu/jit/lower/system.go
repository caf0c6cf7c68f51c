package lower

import (
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

// system lowers the privileged instructions that kernels execute at every
// system call, fault and lock.
func system(d riscv.Inst) ir.Inst {
	switch d.Op {
	case riscv.ECALL:
		return ir.Inst{Op: ir.Call}
	case riscv.SRET:
		return ir.Inst{Op: ir.Return}
	case riscv.CBO_ZERO:
		return ir.Inst{Op: ir.ZeroLine, A: ir.Reg(d.Rs1)}
	case riscv.CSRRW, riscv.CSRRS, riscv.CSRRC, riscv.CSRRWI, riscv.CSRRSI, riscv.CSRRCI:
		return csr(d)
	}
	return ir.Inst{Op: ir.Slow}
}

func csr(d riscv.Inst) ir.Inst {
	in := ir.Inst{Target: int32(d.CSR()), Dst: ir.Reg(d.Rd), A: ir.Reg(d.Rs1)}
	switch d.Op {
	case riscv.CSRRWI, riscv.CSRRSI, riscv.CSRRCI:
		in.A, in.Imm, in.Flags = 0, int64(d.Rs1), ir.Immediate
	}
	switch d.Op {
	case riscv.CSRRW, riscv.CSRRWI:
		in.Op = ir.CSRSwap
	case riscv.CSRRS, riscv.CSRRSI:
		in.Op = ir.CSRSet
	default:
		in.Op = ir.CSRClear
	}
	// unpriv §6.1: a set or clear with x0 or the immediate 0 does not write.
	read := in.Op != ir.CSRSwap && d.Rs1 == 0
	if read {
		in.Op, in.Flags = ir.CSRSet, ir.Immediate
	}
	switch d.CSR() {
	case riscv.CSRSstatus, riscv.CSRSscratch, riscv.CSRSepc, riscv.CSRScause, riscv.CSRStval, riscv.CSRStvec:
		return in
	case riscv.CSRSatp:
		if read {
			return in
		}
	}
	return ir.Inst{Op: ir.Slow}
}
