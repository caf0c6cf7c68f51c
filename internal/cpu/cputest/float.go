package cputest

import (
	"fmt"
	"strings"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/fp"
)

// The arithmetic itself is held to exact oracles in internal/riscv/fp; here
// it is the reference for what an engine makes of an instruction: operands,
// NaN boxing, rounding mode, flags, destination.

// doubles and singles have a corner for each kind of number. The last single
// is one that is not boxed.
var doubles = []uint64{
	0, 1 << 63, 0x3ff0_0000_0000_0000, 0xbff8_0000_0000_0000, 0x4009_21fb_5444_2d18, 0x0000_0000_0000_0001,
	0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000,
	0x7ff0_0000_0000_0001, 0x41dfffffffe00000, 0xc3e0_0000_0000_0000, 0x3fe5_5555_5555_5555,
}

var singles = []uint64{
	fp.Box32(0), fp.Box32(1 << 31), fp.Box32(0x3f80_0000), fp.Box32(0xbfc0_0000), fp.Box32(0x4049_0fdb),
	fp.Box32(1), fp.Box32(0x7f7f_ffff), fp.Box32(0x7f80_0000), fp.Box32(0x7fc0_0000), fp.Box32(0x7f80_0001),
	fp.Box32(0x4f00_0000), fp.Box32(0xdf00_0000), fp.Box32(0x3eaa_aaab), 0x1234_5678_3f80_0000,
}

var halves = []uint64{fp.Box16(0), fp.Box16(0x3c00), fp.Box16(0xc248), fp.Box16(1), fp.Box16(0x7bff),
	fp.Box16(0x7c00), fp.Box16(0x7e00), fp.Box16(0x7d01), 0xffff_ffff_ffff_0000 - 1}

// floatOp is an instruction: operands in fa0, fa1 and fa2, or a0; the result
// in fa3 or a3.
type floatOp struct {
	args  string // of fa0, fa1, fa2, a0
	toInt bool
	mode  bool // it has a rounding mode
	from  []uint64
	f     func(a, b, c uint64, rm fp.RM) (uint64, uint32)
}

func d1(f func(uint64, fp.RM) (uint64, uint32)) floatOp {
	return floatOp{"fa0", false, true, doubles, func(a, _, _ uint64, rm fp.RM) (uint64, uint32) { return f(a, rm) }}
}

func d2(f func(uint64, uint64, fp.RM) (uint64, uint32)) floatOp {
	return floatOp{"fa0, fa1", false, true, doubles, func(a, b, _ uint64, rm fp.RM) (uint64, uint32) { return f(a, b, rm) }}
}

func d2exact(f func(uint64, uint64) (uint64, uint32)) floatOp {
	return floatOp{"fa0, fa1", false, false, doubles, func(a, b, _ uint64, _ fp.RM) (uint64, uint32) { return f(a, b) }}
}

func d3(f func(a, b, c uint64, rm fp.RM) (uint64, uint32)) floatOp {
	return floatOp{"fa0, fa1, fa2", false, true, doubles, f}
}

func dCompare(f func(uint64, uint64) (bool, uint32)) floatOp {
	return floatOp{"fa0, fa1", true, false, doubles, func(a, b, _ uint64, _ fp.RM) (uint64, uint32) {
		yes, flags := f(a, b)
		return truth(yes), flags
	}}
}

func s1(f func(uint32, fp.RM) (uint32, uint32)) floatOp {
	return floatOp{"fa0", false, true, singles, func(a, _, _ uint64, rm fp.RM) (uint64, uint32) {
		r, flags := f(fp.Unbox32(a), rm)
		return fp.Box32(r), flags
	}}
}

func s2(f func(uint32, uint32, fp.RM) (uint32, uint32)) floatOp {
	return floatOp{"fa0, fa1", false, true, singles, func(a, b, _ uint64, rm fp.RM) (uint64, uint32) {
		r, flags := f(fp.Unbox32(a), fp.Unbox32(b), rm)
		return fp.Box32(r), flags
	}}
}

func s2exact(f func(uint32, uint32) (uint32, uint32)) floatOp {
	op := s2(func(a, b uint32, _ fp.RM) (uint32, uint32) { return f(a, b) })
	op.mode = false
	return op
}

func s3(f func(a, b, c uint32, rm fp.RM) (uint32, uint32)) floatOp {
	return floatOp{"fa0, fa1, fa2", false, true, singles, func(a, b, c uint64, rm fp.RM) (uint64, uint32) {
		r, flags := f(fp.Unbox32(a), fp.Unbox32(b), fp.Unbox32(c), rm)
		return fp.Box32(r), flags
	}}
}

func sCompare(f func(uint32, uint32) (bool, uint32)) floatOp {
	return floatOp{"fa0, fa1", true, false, singles, func(a, b, _ uint64, _ fp.RM) (uint64, uint32) {
		yes, flags := f(fp.Unbox32(a), fp.Unbox32(b))
		return truth(yes), flags
	}}
}

func any1(from []uint64, toInt, mode bool, f func(uint64, fp.RM) (uint64, uint32)) floatOp {
	return floatOp{"fa0", toInt, mode, from, func(a, _, _ uint64, rm fp.RM) (uint64, uint32) { return f(a, rm) }}
}

func fromInt(mode bool, f func(uint64, fp.RM) (uint64, uint32)) floatOp {
	return floatOp{"a0", false, mode, operands, func(a, _, _ uint64, rm fp.RM) (uint64, uint32) { return f(a, rm) }}
}

func boxed(r, flags uint32) (uint64, uint32) { return fp.Box32(r), flags }

func boxedHalf(r uint16, flags uint32) (uint64, uint32) { return fp.Box16(r), flags }

func extended[T int32 | uint32](r T, flags uint32) (uint64, uint32) {
	return uint64(int64(int32(r))), flags
}

func same[T int64 | uint64](r T, flags uint32) (uint64, uint32) { return uint64(r), flags }

const s64, s32 = fp.Sign64, fp.Sign32

var floatOps = map[string]floatOp{
	"fadd.d": d2(fp.Add64), "fsub.d": d2(fp.Sub64), "fmul.d": d2(fp.Mul64), "fdiv.d": d2(fp.Div64),
	"fsqrt.d": d1(fp.Sqrt64), "fround.d": d1(fp.Round64), "froundnx.d": d1(fp.RoundNX64),
	"fmadd.d":  d3(fp.FMA64),
	"fmsub.d":  d3(func(a, b, c uint64, rm fp.RM) (uint64, uint32) { return fp.FMA64(a, b, c^s64, rm) }),
	"fnmsub.d": d3(func(a, b, c uint64, rm fp.RM) (uint64, uint32) { return fp.FMA64(a^s64, b, c, rm) }),
	"fnmadd.d": d3(func(a, b, c uint64, rm fp.RM) (uint64, uint32) { return fp.FMA64(a^s64, b, c^s64, rm) }),
	"fmin.d":   d2exact(fp.Min64), "fmax.d": d2exact(fp.Max64), "fminm.d": d2exact(fp.MinM64), "fmaxm.d": d2exact(fp.MaxM64),
	"fsgnj.d":  d2exact(func(a, b uint64) (uint64, uint32) { return a<<1>>1 + b>>63<<63, 0 }),
	"fsgnjn.d": d2exact(func(a, b uint64) (uint64, uint32) { return a<<1>>1 + (1-b>>63)<<63, 0 }),
	"fsgnjx.d": d2exact(func(a, b uint64) (uint64, uint32) { return a + b>>63<<63, 0 }),
	"feq.d":    dCompare(fp.Eq64), "flt.d": dCompare(fp.Lt64), "fle.d": dCompare(fp.Le64),
	"fltq.d": dCompare(fp.Ltq64), "fleq.d": dCompare(fp.Leq64),

	"fadd.s": s2(fp.Add32), "fsub.s": s2(fp.Sub32), "fmul.s": s2(fp.Mul32), "fdiv.s": s2(fp.Div32),
	"fsqrt.s": s1(fp.Sqrt32), "fround.s": s1(fp.Round32), "froundnx.s": s1(fp.RoundNX32),
	"fmadd.s":  s3(fp.FMA32),
	"fmsub.s":  s3(func(a, b, c uint32, rm fp.RM) (uint32, uint32) { return fp.FMA32(a, b, c^s32, rm) }),
	"fnmsub.s": s3(func(a, b, c uint32, rm fp.RM) (uint32, uint32) { return fp.FMA32(a^s32, b, c, rm) }),
	"fnmadd.s": s3(func(a, b, c uint32, rm fp.RM) (uint32, uint32) { return fp.FMA32(a^s32, b, c^s32, rm) }),
	"fmin.s":   s2exact(fp.Min32), "fmax.s": s2exact(fp.Max32), "fminm.s": s2exact(fp.MinM32), "fmaxm.s": s2exact(fp.MaxM32),
	"fsgnj.s":  s2exact(func(a, b uint32) (uint32, uint32) { return a<<1>>1 + b>>31<<31, 0 }),
	"fsgnjn.s": s2exact(func(a, b uint32) (uint32, uint32) { return a<<1>>1 + (1-b>>31)<<31, 0 }),
	"fsgnjx.s": s2exact(func(a, b uint32) (uint32, uint32) { return a + b>>31<<31, 0 }),
	"feq.s":    sCompare(fp.Eq32), "flt.s": sCompare(fp.Lt32), "fle.s": sCompare(fp.Le32),
	"fltq.s": sCompare(fp.Ltq32), "fleq.s": sCompare(fp.Leq32),

	"fcvt.s.d": any1(doubles, false, true, func(a uint64, rm fp.RM) (uint64, uint32) { return boxed(fp.F64ToF32(a, rm)) }),
	"fcvt.h.d": any1(doubles, false, true, func(a uint64, rm fp.RM) (uint64, uint32) { return boxedHalf(fp.F64ToF16(a, rm)) }),
	"fcvt.d.s": any1(singles, false, false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.F32ToF64(fp.Unbox32(a)) }),
	"fcvt.h.s": any1(singles, false, true, func(a uint64, rm fp.RM) (uint64, uint32) {
		return boxedHalf(fp.F32ToF16(fp.Unbox32(a), rm))
	}),
	"fcvt.s.h": any1(halves, false, false, func(a uint64, _ fp.RM) (uint64, uint32) { return boxed(fp.F16ToF32(fp.Unbox16(a))) }),
	"fcvt.d.h": any1(halves, false, false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.F16ToF64(fp.Unbox16(a)) }),

	"fcvt.w.d":  any1(doubles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) { return extended(fp.F64ToI32(a, rm)) }),
	"fcvt.wu.d": any1(doubles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) { return extended(fp.F64ToU32(a, rm)) }),
	"fcvt.l.d":  any1(doubles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) { return same(fp.F64ToI64(a, rm)) }),
	"fcvt.lu.d": any1(doubles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) { return same(fp.F64ToU64(a, rm)) }),
	"fcvt.w.s": any1(singles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) {
		return extended(fp.F32ToI32(fp.Unbox32(a), rm))
	}),
	"fcvt.wu.s": any1(singles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) {
		return extended(fp.F32ToU32(fp.Unbox32(a), rm))
	}),
	"fcvt.l.s":  any1(singles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) { return same(fp.F32ToI64(fp.Unbox32(a), rm)) }),
	"fcvt.lu.s": any1(singles, true, true, func(a uint64, rm fp.RM) (uint64, uint32) { return same(fp.F32ToU64(fp.Unbox32(a), rm)) }),
	"fclass.d":  any1(doubles, true, false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.Class64(a), 0 }),
	"fclass.s":  any1(singles, true, false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.Class32(fp.Unbox32(a)), 0 }),
	"fmv.x.d":   any1(doubles, true, false, func(a uint64, _ fp.RM) (uint64, uint32) { return a, 0 }),
	"fmv.x.w":   any1(singles, true, false, func(a uint64, _ fp.RM) (uint64, uint32) { return word(a), 0 }),
	"fmv.x.h":   any1(halves, true, false, func(a uint64, _ fp.RM) (uint64, uint32) { return unaryOps["sext.h"](a), 0 }),

	"fcvt.d.w":  fromInt(false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.I32ToF64(int32(a)), 0 }),
	"fcvt.d.wu": fromInt(false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.U32ToF64(uint32(a)), 0 }),
	"fcvt.d.l":  fromInt(true, func(a uint64, rm fp.RM) (uint64, uint32) { return fp.I64ToF64(int64(a), rm) }),
	"fcvt.d.lu": fromInt(true, fp.U64ToF64),
	"fcvt.s.w":  fromInt(true, func(a uint64, rm fp.RM) (uint64, uint32) { return boxed(fp.I32ToF32(int32(a), rm)) }),
	"fcvt.s.wu": fromInt(true, func(a uint64, rm fp.RM) (uint64, uint32) { return boxed(fp.U32ToF32(uint32(a), rm)) }),
	"fcvt.s.l":  fromInt(true, func(a uint64, rm fp.RM) (uint64, uint32) { return boxed(fp.I64ToF32(int64(a), rm)) }),
	"fcvt.s.lu": fromInt(true, func(a uint64, rm fp.RM) (uint64, uint32) { return boxed(fp.U64ToF32(a, rm)) }),
	"fmv.d.x":   fromInt(false, func(a uint64, _ fp.RM) (uint64, uint32) { return a, 0 }),
	"fmv.w.x":   fromInt(false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.Box32(uint32(a)), 0 }),
	"fmv.h.x":   fromInt(false, func(a uint64, _ fp.RM) (uint64, uint32) { return fp.Box16(uint16(a)), 0 }),
}

var modeNames = []string{"rne", "rtz", "rdn", "rup", "rmm", "dyn"}

// checkFloat: every instruction, every static rounding mode and the dynamic
// one, on every kind of number.
func checkFloat(t TB, newEngine New) {
	var src strings.Builder
	label := func(name, mode string) string { return strings.ReplaceAll(name, ".", "_") + "__" + mode }
	for name, op := range floatOps {
		rd := "fa3"
		if op.toInt {
			rd = "a3"
		}
		if !op.mode {
			fmt.Fprintf(&src, "%s: %s %s, %s\n", label(name, "dyn"), name, rd, op.args)
			continue
		}
		for _, mode := range modeNames {
			fmt.Fprintf(&src, "%s: %s %s, %s, %s\n", label(name, mode), name, rd, op.args, mode)
		}
	}
	m := NewMachine(t, newEngine, src.String(), Options{})
	h := m.Hart()
	h.CSR.Mstatus |= riscv.MstatusFS
	for name, op := range floatOps {
		for i, mode := range modeNames {
			at, ok := m.Prog.Symbols[label(name, mode)]
			if !ok {
				continue
			}
			for n := range 2 * len(op.from) * len(op.from) {
				a := op.from[n%len(op.from)]
				b := op.from[n/2/len(op.from)]
				c := op.from[(n*7+3)%len(op.from)]
				rm := fp.RM(i)
				h.FRM = uint8(n % 5)
				if mode == "dyn" {
					rm = fp.RM(h.FRM)
				}
				if op.args == "a0" {
					h.X[10] = a
				} else {
					h.F[10], h.F[11], h.F[12] = a, b, c
				}
				accrued := uint32(n) & 31
				h.FFlags = accrued
				h.PC = at
				m.exit(m.CPUs[0].Run(1), cpu.ExitBudget)
				got := h.F[13]
				if op.toInt {
					got = h.X[13]
				}
				want, flags := op.f(a, b, c, rm)
				if got != want || h.FFlags != flags|accrued || h.PC != at+4 {
					t.Fatalf("%s %s (frm %d) of %#x, %#x, %#x: %#x flags %#x pc %#x, want %#x flags %#x",
						name, mode, h.FRM, a, b, c, got, h.FFlags, h.PC, want, flags|accrued)
				}
			}
		}
	}
}

// checkFloatModes: reserved rounding modes are illegal, constants are loaded,
// fcvtmod wraps.
func checkFloatModes(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
five:	.word 0x02c5d6d3	# fadd.d fa3, fa1, fa2, 5
six:	.word 0x02c5e6d3
dyn:	fadd.d fa3, fa1, fa2, dyn
sgl:	fmul.s fa3, fa1, fa2, dyn
exact:	fsgnj.d fa3, fa1, fa1
li:	fli.d fa3, 1.0
lis:	fli.s fa3, 1.0
mod:	fcvtmod.w.d a3, fa0, rtz
`, Options{})
	h := m.Hart()
	h.CSR.Mstatus |= riscv.MstatusFS
	h.F[11], h.F[12] = doubles[2], doubles[2]
	h.CSR.Mtvec = Base + 0x1000
	illegal := func(label string, want bool) {
		h.CSR.Mcause = 0
		m.step(label)
		if got := h.CSR.Mcause == uint64(riscv.IllegalInstruction); got != want {
			t.Errorf("%s with frm %d: illegal is %v, want %v", label, h.FRM, got, want)
		}
		if want && h.CSR.Mtval != m.U64(m.Sym(label))&0xffff_ffff {
			t.Errorf("%s: mtval %#x", label, h.CSR.Mtval)
		}
	}
	illegal("five", true)
	illegal("six", true)
	for frm := range uint8(8) {
		h.FRM = frm
		illegal("dyn", frm > 4)
		illegal("sgl", frm > 4)
		illegal("exact", false)
	}
	m.step("li")
	m.want("fli.d 1.0", h.F[13], doubles[2])
	m.step("lis")
	m.want("fli.s 1.0", h.F[13], singles[2])
	h.F[10], h.FFlags = 0x41f0_0000_0050_0000, 0 // 2^32 + 5
	m.step("mod")
	m.want("fcvtmod.w.d", h.X[13], 5)
	m.want("its flags", uint64(h.FFlags), uint64(fp.NV))
}

// checkFloatState: FS off makes everything illegal, and writes make it Dirty.
func checkFloatState(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la a0, data
	li a1, 3
	fadd:	fadd.d fa0, fa1, fa2
	fld:	fld fa0, 0(a0)
	flw:	flw fa0, 0(a0)
	flh:	flh fa0, 0(a0)
	fmv:	fmv.d.x fa0, a1
	csr:	csrw fflags, a1
	fsd:	fsd fa1, 8(a0)
	fsw:	fsw fa1, 8(a0)
	fsh:	fsh fa1, 8(a0)
done:	j done
	.balign 8
data:	.dword 0x123456789abcdef0, 0, 0
`, Options{})
	m.Hart().CSR.Mstatus |= riscv.MstatusFS
	m.Finish()
	h := m.Hart()
	for _, label := range strings.Fields("fadd fld flw flh fmv csr fsd fsw fsh") {
		for fs := range uint64(4) {
			h.CSR.Mstatus = h.CSR.Mstatus&^riscv.MstatusFS | fs<<riscv.MstatusFSShift
			h.CSR.Mcause = 0
			m.step(label)
			if got, want := h.CSR.Mcause == uint64(riscv.IllegalInstruction), fs == 0; got != want {
				t.Errorf("%s with FS %d: illegal is %v", label, fs, got)
			}
			after := h.CSR.Mstatus & riscv.MstatusFS >> riscv.MstatusFSShift
			writes := !strings.HasPrefix(label, "fs")
			if fs != 0 && writes && after != riscv.ContextDirty {
				t.Errorf("%s with FS %d leaves FS %d, want dirty", label, fs, after)
			}
			if fs == 0 && after != 0 {
				t.Errorf("%s turned FS on", label)
			}
		}
	}
	h.CSR.Mstatus |= riscv.MstatusFS
	m.step("flw")
	m.want("flw", h.F[10], 0xffff_ffff_9abc_def0)
	m.step("flh")
	m.want("flh", h.F[10], 0xffff_ffff_ffff_def0)
	m.step("fld")
	m.want("fld", h.F[10], 0x1234_5678_9abc_def0)
	h.F[11] = 0x1122_3344_5566_7788
	m.SetU64(m.Sym("data")+8, ^uint64(0))
	m.step("fsh")
	m.want("fsh", m.U64(m.Sym("data")+8), 0xffff_ffff_ffff_7788)
	m.step("fsw")
	m.want("fsw", m.U64(m.Sym("data")+8), 0xffff_ffff_5566_7788)
	m.step("fsd")
	m.want("fsd", m.U64(m.Sym("data")+8), 0x1122_3344_5566_7788)
}
