package interp

import (
	"doppel/internal/riscv"
	"doppel/internal/riscv/fp"
)

// floatKind sorts the instructions by the function that executes them.
type floatKind uint8

const (
	floatNone floatKind = iota
	floatExact
	floatSingle
	floatDouble
)

func (k floatKind) String() string {
	return [...]string{"none", "exact", "single", "double"}[k]
}

var floatKinds = func() (kinds [riscv.NumOps]floatKind) {
	set := func(k floatKind, from, to riscv.Op) {
		for op := from; op <= to; op++ {
			kinds[op] = k
		}
	}
	set(floatSingle, riscv.FMADD_S, riscv.FSQRT_S)
	set(floatExact, riscv.FSGNJ_S, riscv.FCLASS_S)
	set(floatSingle, riscv.FCVT_W_S, riscv.FCVT_S_LU)
	set(floatExact, riscv.FMV_X_W, riscv.FMV_W_X)
	set(floatDouble, riscv.FMADD_D, riscv.FSQRT_D)
	set(floatExact, riscv.FSGNJ_D, riscv.FCLASS_D)
	set(floatDouble, riscv.FCVT_W_D, riscv.FCVT_D_LU)
	set(floatExact, riscv.FMV_X_D, riscv.FMV_D_X)
	set(floatDouble, riscv.FCVT_S_D, riscv.FCVT_D_S)
	set(floatExact, riscv.FLI_S, riscv.FMAXM_S)
	set(floatSingle, riscv.FROUND_S, riscv.FROUNDNX_S)
	set(floatExact, riscv.FLEQ_S, riscv.FMAXM_D)
	set(floatDouble, riscv.FROUND_D, riscv.FROUNDNX_D)
	set(floatExact, riscv.FLEQ_D, riscv.FCVTMOD_W_D)
	set(floatExact, riscv.FMV_X_H, riscv.FMV_H_X)
	set(floatSingle, riscv.FCVT_S_H, riscv.FCVT_H_S)
	set(floatDouble, riscv.FCVT_D_H, riscv.FCVT_H_D)
	return kinds
}()

// float executes a floating-point instruction other than a load or store.
// false means that it is illegal: its rounding mode is reserved.
func (v *VCPU) float(in *inst) bool {
	kind := floatKinds[in.op]
	if kind == floatExact {
		v.floatExact(in)
		return true
	}
	rm := uint8(in.imm & 7)
	if rm == riscv.DYN {
		rm = v.h.FRM
	}
	if rm > riscv.RMM {
		return false // unpriv §21.2: 5 and 6, and in frm 7 too, are reserved
	}
	if kind == floatDouble {
		v.floatDouble(in, fp.RM(rm))
	} else {
		v.floatSingle(in, fp.RM(rm))
	}
	return true
}

func (v *VCPU) raise(flags uint32) { v.h.FFlags |= flags }

// floatExact executes the instructions that have no rounding mode.
func (v *VCPU) floatExact(in *inst) {
	h := v.h
	x, f := &h.X, &h.F
	rd := in.rd & 31
	a, b := f[in.rs1&31], f[in.rs2&31]
	sa, sb := fp.Unbox32(a), fp.Unbox32(b)
	var flags uint32
	var yes bool
	var s uint32
	switch in.op {
	case riscv.FSGNJ_S:
		f[rd] = fp.Box32(sa&^fp.Sign32 | sb&fp.Sign32)
		return
	case riscv.FSGNJN_S:
		f[rd] = fp.Box32(sa&^fp.Sign32 | ^sb&fp.Sign32)
		return
	case riscv.FSGNJX_S:
		f[rd] = fp.Box32(sa ^ sb&fp.Sign32)
		return
	case riscv.FSGNJ_D:
		f[rd] = a&^fp.Sign64 | b&fp.Sign64
		return
	case riscv.FSGNJN_D:
		f[rd] = a&^fp.Sign64 | ^b&fp.Sign64
		return
	case riscv.FSGNJX_D:
		f[rd] = a ^ b&fp.Sign64
		return

	case riscv.FMIN_S:
		s, flags = fp.Min32(sa, sb)
	case riscv.FMAX_S:
		s, flags = fp.Max32(sa, sb)
	case riscv.FMINM_S:
		s, flags = fp.MinM32(sa, sb)
	case riscv.FMAXM_S:
		s, flags = fp.MaxM32(sa, sb)
	case riscv.FLI_S:
		s = fp.LoadImm32(in.rs1)
	case riscv.FMV_W_X:
		s = uint32(x[in.rs1&31])
	case riscv.FMIN_D:
		f[rd], flags = fp.Min64(a, b)
		v.raise(flags)
		return
	case riscv.FMAX_D:
		f[rd], flags = fp.Max64(a, b)
		v.raise(flags)
		return
	case riscv.FMINM_D:
		f[rd], flags = fp.MinM64(a, b)
		v.raise(flags)
		return
	case riscv.FMAXM_D:
		f[rd], flags = fp.MaxM64(a, b)
		v.raise(flags)
		return
	case riscv.FLI_D:
		f[rd] = fp.LoadImm64(in.rs1)
		return
	case riscv.FMV_D_X:
		f[rd] = x[in.rs1&31]
		return
	case riscv.FMV_H_X:
		f[rd] = fp.Box16(uint16(x[in.rs1&31]))
		return

	// The rest writes integers; exec keeps x0 at zero.
	case riscv.FMV_X_H:
		x[rd] = uint64(int64(int16(a)))
		return
	case riscv.FMV_X_W:
		x[rd] = sext32(uint32(a))
		return
	case riscv.FMV_X_D:
		x[rd] = a
		return
	case riscv.FCLASS_S:
		x[rd] = fp.Class32(sa)
		return
	case riscv.FCLASS_D:
		x[rd] = fp.Class64(a)
		return
	case riscv.FCVTMOD_W_D:
		w, flags := fp.CvtModWD(a)
		x[rd] = uint64(int64(w))
		v.raise(flags)
		return

	case riscv.FEQ_S:
		yes, flags = fp.Eq32(sa, sb)
	case riscv.FLT_S:
		yes, flags = fp.Lt32(sa, sb)
	case riscv.FLE_S:
		yes, flags = fp.Le32(sa, sb)
	case riscv.FLTQ_S:
		yes, flags = fp.Ltq32(sa, sb)
	case riscv.FLEQ_S:
		yes, flags = fp.Leq32(sa, sb)
	case riscv.FEQ_D:
		yes, flags = fp.Eq64(a, b)
	case riscv.FLT_D:
		yes, flags = fp.Lt64(a, b)
	case riscv.FLE_D:
		yes, flags = fp.Le64(a, b)
	case riscv.FLTQ_D:
		yes, flags = fp.Ltq64(a, b)
	default: // FLEQ_D
		yes, flags = fp.Leq64(a, b)
	}
	v.raise(flags)
	switch in.op {
	case riscv.FMIN_S, riscv.FMAX_S, riscv.FMINM_S, riscv.FMAXM_S, riscv.FLI_S, riscv.FMV_W_X:
		f[rd] = fp.Box32(s)
	default:
		x[rd] = b2u(yes)
	}
}

// floatDouble executes what rounds doubles, or converts from or to them.
func (v *VCPU) floatDouble(in *inst, rm fp.RM) {
	h := v.h
	x, f := &h.X, &h.F
	rd := in.rd & 31
	a, b := f[in.rs1&31], f[in.rs2&31]
	c := f[in.imm>>8&31]
	i := x[in.rs1&31]
	var r uint64
	var flags uint32
	switch in.op {
	case riscv.FMADD_D:
		r, h.FFlags = fp.AccrueFMA64(a, b, c, rm, h.FFlags)
	case riscv.FMSUB_D:
		r, h.FFlags = fp.AccrueFMA64(a, b, c^fp.Sign64, rm, h.FFlags)
	case riscv.FNMSUB_D:
		r, h.FFlags = fp.AccrueFMA64(a^fp.Sign64, b, c, rm, h.FFlags)
	case riscv.FNMADD_D:
		r, h.FFlags = fp.AccrueFMA64(a^fp.Sign64, b, c^fp.Sign64, rm, h.FFlags)
	case riscv.FADD_D:
		r, h.FFlags = fp.AccrueAdd64(a, b, rm, h.FFlags)
	case riscv.FSUB_D:
		r, h.FFlags = fp.AccrueAdd64(a, b^fp.Sign64, rm, h.FFlags)
	case riscv.FMUL_D:
		r, h.FFlags = fp.AccrueMul64(a, b, rm, h.FFlags)
	case riscv.FDIV_D:
		r, h.FFlags = fp.AccrueDiv64(a, b, rm, h.FFlags)
	case riscv.FSQRT_D:
		r, flags = fp.Sqrt64(a, rm)
	case riscv.FROUND_D:
		r, flags = fp.Round64(a, rm)
	case riscv.FROUNDNX_D:
		r, flags = fp.RoundNX64(a, rm)
	case riscv.FCVT_D_W:
		r = fp.I32ToF64(int32(i))
	case riscv.FCVT_D_WU:
		r = fp.U32ToF64(uint32(i))
	case riscv.FCVT_D_L:
		r, flags = fp.I64ToF64(int64(i), rm)
	case riscv.FCVT_D_LU:
		r, flags = fp.U64ToF64(i, rm)
	case riscv.FCVT_D_S:
		r, flags = fp.F32ToF64(fp.Unbox32(a))
	case riscv.FCVT_D_H:
		r, flags = fp.F16ToF64(fp.Unbox16(a))
	case riscv.FCVT_S_D:
		var s uint32
		s, flags = fp.F64ToF32(a, rm)
		r = fp.Box32(s)
	case riscv.FCVT_H_D:
		var s uint16
		s, flags = fp.F64ToF16(a, rm)
		r = fp.Box16(s)
	default: // to integers
		x[rd], flags = doubleToInt(in.op, a, rm)
		v.raise(flags)
		return
	}
	f[rd] = r
	v.raise(flags)
}

func doubleToInt(op riscv.Op, a uint64, rm fp.RM) (uint64, uint32) {
	switch op {
	case riscv.FCVT_W_D:
		i, flags := fp.F64ToI32(a, rm)
		return uint64(int64(i)), flags
	case riscv.FCVT_WU_D: // unpriv §21.7: 32-bit results are sign-extended
		i, flags := fp.F64ToU32(a, rm)
		return sext32(i), flags
	case riscv.FCVT_L_D:
		i, flags := fp.F64ToI64(a, rm)
		return uint64(i), flags
	}
	return fp.F64ToU64(a, rm)
}

// floatSingle executes what rounds singles, or converts from or to them.
func (v *VCPU) floatSingle(in *inst, rm fp.RM) {
	h := v.h
	x, f := &h.X, &h.F
	rd := in.rd & 31
	a, b := fp.Unbox32(f[in.rs1&31]), fp.Unbox32(f[in.rs2&31])
	c := fp.Unbox32(f[in.imm>>8&31])
	i := x[in.rs1&31]
	var r, flags uint32
	switch in.op {
	case riscv.FMADD_S:
		r, flags = fp.FMA32(a, b, c, rm)
	case riscv.FMSUB_S:
		r, flags = fp.FMA32(a, b, c^fp.Sign32, rm)
	case riscv.FNMSUB_S:
		r, flags = fp.FMA32(a^fp.Sign32, b, c, rm)
	case riscv.FNMADD_S:
		r, flags = fp.FMA32(a^fp.Sign32, b, c^fp.Sign32, rm)
	case riscv.FADD_S:
		r, h.FFlags = fp.AccrueAdd32(a, b, rm, h.FFlags)
	case riscv.FSUB_S:
		r, h.FFlags = fp.AccrueAdd32(a, b^fp.Sign32, rm, h.FFlags)
	case riscv.FMUL_S:
		r, h.FFlags = fp.AccrueMul32(a, b, rm, h.FFlags)
	case riscv.FDIV_S:
		r, h.FFlags = fp.AccrueDiv32(a, b, rm, h.FFlags)
	case riscv.FSQRT_S:
		r, flags = fp.Sqrt32(a, rm)
	case riscv.FROUND_S:
		r, flags = fp.Round32(a, rm)
	case riscv.FROUNDNX_S:
		r, flags = fp.RoundNX32(a, rm)
	case riscv.FCVT_S_W:
		r, flags = fp.I32ToF32(int32(i), rm)
	case riscv.FCVT_S_WU:
		r, flags = fp.U32ToF32(uint32(i), rm)
	case riscv.FCVT_S_L:
		r, flags = fp.I64ToF32(int64(i), rm)
	case riscv.FCVT_S_LU:
		r, flags = fp.U64ToF32(i, rm)
	case riscv.FCVT_S_H:
		r, flags = fp.F16ToF32(fp.Unbox16(f[in.rs1&31]))
	case riscv.FCVT_H_S:
		var s uint16
		s, flags = fp.F32ToF16(a, rm)
		f[rd] = fp.Box16(s)
		v.raise(flags)
		return
	default: // to integers
		x[rd], flags = singleToInt(in.op, a, rm)
		v.raise(flags)
		return
	}
	f[rd] = fp.Box32(r)
	v.raise(flags)
}

func singleToInt(op riscv.Op, a uint32, rm fp.RM) (uint64, uint32) {
	switch op {
	case riscv.FCVT_W_S:
		i, flags := fp.F32ToI32(a, rm)
		return uint64(int64(i)), flags
	case riscv.FCVT_WU_S:
		i, flags := fp.F32ToU32(a, rm)
		return sext32(i), flags
	case riscv.FCVT_L_S:
		i, flags := fp.F32ToI64(a, rm)
		return uint64(i), flags
	}
	return fp.F32ToU64(a, rm)
}
