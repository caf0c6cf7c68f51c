package lower

import (
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
	"doppel/internal/riscv/fp"
)

// float lowers what F and D have and hosts do well. Rounding to nearest with
// ties away from zero is left to the interpreter, but for conversions to
// integers; what frm says is known when the code runs only.
func float(d riscv.Inst) ir.Inst {
	op := d.Op
	size := uint8(4)
	switch {
	case op == riscv.FLW || op == riscv.FLD:
		if op == riscv.FLD {
			size = 8
		}
		return ir.Inst{Op: ir.FLoad, Size: size, Dst: ir.F0 + ir.Reg(d.Rd), A: ir.Reg(d.Rs1), Imm: d.Imm}
	case op == riscv.FSW || op == riscv.FSD:
		if op == riscv.FSD {
			size = 8
		}
		return ir.Inst{Op: ir.FStore, Size: size, A: ir.Reg(d.Rs1), B: ir.F0 + ir.Reg(d.Rs2), Imm: d.Imm}
	case op >= riscv.FMADD_D && op <= riscv.FMV_D_X:
		size = 8
		op -= riscv.FMADD_D - riscv.FMADD_S
	case op == riscv.FCVT_S_D:
		return rounded(d, ir.Inst{Op: ir.FToF, Size: 4, Dst: ir.F0 + ir.Reg(d.Rd), A: ir.F0 + ir.Reg(d.Rs1)})
	case op == riscv.FCVT_D_S:
		return exact(d, ir.Inst{Op: ir.FToF, Size: 8, Dst: ir.F0 + ir.Reg(d.Rd), A: ir.F0 + ir.Reg(d.Rs1)})
	case op >= riscv.FLI_S && op <= riscv.FLTQ_S:
		return additional(d, op, 4)
	case op >= riscv.FLI_D && op <= riscv.FLTQ_D:
		return additional(d, op-riscv.FLI_D+riscv.FLI_S, 8)
	case op > riscv.FMV_W_X:
		return ir.Inst{Op: ir.Slow}
	}
	fd, f1, f2, f3 := ir.F0+ir.Reg(d.Rd), ir.F0+ir.Reg(d.Rs1), ir.F0+ir.Reg(d.Rs2), ir.F0+ir.Reg(d.Rs3)
	in := ir.Inst{Size: size, Dst: fd, A: f1, B: f2, C: f3}
	switch {
	case op <= riscv.FNMADD_S:
		in.Op = ir.FMAdd + ir.Op(op-riscv.FMADD_S)
		return rounded(d, in)
	case op <= riscv.FSQRT_S:
		in.Op = ir.FAdd + ir.Op(op-riscv.FADD_S)
		return rounded(d, in)
	case op <= riscv.FMAX_S:
		in.Op = ir.FSgnj + ir.Op(op-riscv.FSGNJ_S)
		return in
	case op <= riscv.FLE_S:
		in.Op, in.Dst = ir.FEq+ir.Op(op-riscv.FEQ_S), ir.Reg(d.Rd)
		return in
	case op == riscv.FMV_X_W:
		return ir.Inst{Op: ir.FToX, Size: size, Dst: ir.Reg(d.Rd), A: f1}
	case op == riscv.FMV_W_X:
		return ir.Inst{Op: ir.FFromX, Size: size, Dst: fd, A: ir.Reg(d.Rs1)}
	case op >= riscv.FCVT_W_S && op <= riscv.FCVT_LU_S:
		return toInt(d, op, ir.Inst{Size: size, Dst: ir.Reg(d.Rd), A: f1})
	case op >= riscv.FCVT_S_W && op <= riscv.FCVT_S_LU:
		in = ir.Inst{Op: ir.FFromI, Size: size, Dst: fd, A: ir.Reg(d.Rs1)}
		kind := op - riscv.FCVT_S_W
		if kind&1 != 0 {
			in.Op = ir.FFromU
		}
		if kind < 2 {
			in.Flags |= ir.Word
			if size == 8 {
				return exact(d, in)
			}
		}
		return rounded(d, in)
	}
	return ir.Inst{Op: ir.FClass, Size: size, Dst: ir.Reg(d.Rd), A: f1}
}

// additional lowers what Zfa adds, but for fcvtmod; op is that of singles.
func additional(d riscv.Inst, op riscv.Op, size uint8) ir.Inst {
	in := ir.Inst{Size: size, Dst: ir.F0 + ir.Reg(d.Rd), A: ir.F0 + ir.Reg(d.Rs1), B: ir.F0 + ir.Reg(d.Rs2)}
	switch op {
	case riscv.FLI_S:
		in = ir.Inst{Op: ir.FConst, Size: size, Dst: in.Dst, Imm: int64(fp.Box32(fp.LoadImm32(d.Rs1)))}
		if size == 8 {
			in.Imm = int64(fp.LoadImm64(d.Rs1))
		}
		return in
	case riscv.FMINM_S:
		in.Op = ir.FMinM
		return in
	case riscv.FMAXM_S:
		in.Op = ir.FMaxM
		return in
	case riscv.FROUND_S:
		in.Op = ir.FRound
		return rounded(d, in)
	case riscv.FROUNDNX_S:
		in.Op = ir.FRoundNX
		return rounded(d, in)
	}
	in.Dst, in.Op = ir.Reg(d.Rd), ir.FLeQ
	if op == riscv.FLTQ_S {
		in.Op = ir.FLtQ
	}
	return in
}

// toInt lowers conversions to integers; op is that of singles.
func toInt(d riscv.Inst, op riscv.Op, in ir.Inst) ir.Inst {
	in.Op = ir.FToI
	kind := op - riscv.FCVT_W_S
	if kind&1 != 0 {
		in.Op = ir.FToU
	}
	if kind < 2 {
		in.Flags |= ir.Word
	}
	switch d.RM {
	case riscv.RTZ:
		in.Flags |= ir.Truncate
		return in
	case riscv.RMM:
		in.Round = ir.Away
		return in
	}
	return rounded(d, in)
}

// rounded is in with its rounding mode, if hosts have that. The others are
// reserved (unpriv §20.2), or left to the interpreter.
func rounded(d riscv.Inst, in ir.Inst) ir.Inst {
	switch {
	case d.RM == riscv.DYN:
		return in
	case d.RM <= riscv.RUP:
		in.Round = ir.Nearest + ir.Round(d.RM)
		return in
	}
	return ir.Inst{Op: ir.Slow}
}

// exact is for what never rounds: all modes are one.
func exact(d riscv.Inst, in ir.Inst) ir.Inst {
	if rounded(d, in).Op == ir.Slow {
		return ir.Inst{Op: ir.Slow}
	}
	return in
}

// fcsr lowers accesses to fflags, frm and fcsr.
func fcsr(d riscv.Inst) ir.Inst {
	in := ir.Inst{Dst: ir.Reg(d.Rd), A: ir.Reg(d.Rs1), Size: uint8(d.Imm)}
	if d.Op >= riscv.CSRRWI {
		in.Flags, in.Imm, in.A = ir.Immediate, int64(d.Rs1), 0
	}
	switch d.Op {
	case riscv.CSRRW, riscv.CSRRWI:
		in.Op = ir.FCSRWrite
		return in
	case riscv.CSRRS, riscv.CSRRSI:
		in.Op = ir.FCSRSet
	default:
		in.Op = ir.FCSRClear
	}
	if d.Rs1 == 0 { // unpriv §6.1: does not write
		in = ir.Inst{Op: ir.FCSRRead, Dst: in.Dst, Size: in.Size}
	}
	return in
}

// markUndone finds quiet comparisons: compilers read fflags, compare, and write
// back what they have read, as F has no quiet less-than.
func markUndone(insts []ir.Inst) {
	const fflags = uint8(riscv.CSRFflags)
	for i := 2; i < len(insts); i++ {
		read, compare, write := &insts[i-2], &insts[i-1], &insts[i]
		if read.Op == ir.FCSRRead && read.Size == fflags && read.Dst != 0 &&
			(compare.Op == ir.FLt || compare.Op == ir.FLe) && compare.Dst != read.Dst &&
			write.Op == ir.FCSRWrite && write.Size == fflags && write.Flags == 0 && write.A == read.Dst && write.Dst == 0 {
			compare.Flags |= ir.Undone
			write.Flags |= ir.Undone
		}
	}
}
