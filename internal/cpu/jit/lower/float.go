package lower

import (
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

// float lowers what F and D have and hosts do well. Rounding modes other than
// to nearest are left to the interpreter, but for conversions to integers
// towards zero; whether frm says nearest is known when the code runs only.
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
		return rounded(d, ir.Inst{Op: ir.FToF, Size: 8, Dst: ir.F0 + ir.Reg(d.Rd), A: ir.F0 + ir.Reg(d.Rs1)})
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
		in = ir.Inst{Op: ir.FToI, Size: size, Dst: ir.Reg(d.Rd), A: f1}
		kind := op - riscv.FCVT_W_S
		if kind&1 != 0 {
			in.Op = ir.FToU
		}
		if kind < 2 {
			in.Flags |= ir.Word
		}
		if d.RM == riscv.RTZ {
			in.Flags |= ir.Truncate
			return in
		}
		return rounded(d, in)
	case op >= riscv.FCVT_S_W && op <= riscv.FCVT_S_LU:
		in = ir.Inst{Op: ir.FFromI, Size: size, Dst: fd, A: ir.Reg(d.Rs1)}
		kind := op - riscv.FCVT_S_W
		if kind&1 != 0 {
			in.Op = ir.FFromU
		}
		if kind < 2 {
			in.Flags |= ir.Word
		}
		return rounded(d, in)
	}
	return ir.Inst{Op: ir.Slow} // fclass
}

// rounded is in, if its rounding mode may be to nearest.
func rounded(d riscv.Inst, in ir.Inst) ir.Inst {
	if d.RM == riscv.RNE || d.RM == riscv.DYN {
		return in
	}
	return ir.Inst{Op: ir.Slow}
}
