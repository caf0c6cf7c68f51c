package fp

import (
	"math"
	"testing"
)

// Benchmarks run over normal values, about half of whose results are inexact in
// the way of ordinary programs.

var benchValues = func() (v [256]uint64) {
	g := newGenerator(1)
	for i := range v {
		x := 1 + 1000*g.Float64()
		if i%4 == 0 {
			x = math.Trunc(x)
		}
		v[i] = math.Float64bits(x)
	}
	return v
}()

var benchValues32 = func() (v [256]uint32) {
	for i, x := range benchValues {
		v[i], _ = F64ToF32(x, RNE)
	}
	return v
}()

var sink uint64

func bench64(b *testing.B, rm RM, f func(a, b uint64, rm RM) (uint64, uint32)) {
	var r uint64
	var flags uint32
	for i := range b.N {
		x, fl := f(benchValues[i%256], benchValues[(i+1)%256], rm)
		r ^= x
		flags |= fl
	}
	sink = r + uint64(flags)
}

func bench32(b *testing.B, rm RM, f func(a, b uint32, rm RM) (uint32, uint32)) {
	var r, flags uint32
	for i := range b.N {
		x, fl := f(benchValues32[i%256], benchValues32[(i+1)%256], rm)
		r ^= x
		flags |= fl
	}
	sink = uint64(r + flags)
}

func BenchmarkAdd64(b *testing.B)    { bench64(b, RNE, Add64) }
func BenchmarkAdd64RTZ(b *testing.B) { bench64(b, RTZ, Add64) }
func BenchmarkMul64(b *testing.B)    { bench64(b, RNE, Mul64) }
func BenchmarkMul64RTZ(b *testing.B) { bench64(b, RTZ, Mul64) }
func BenchmarkDiv64(b *testing.B)    { bench64(b, RNE, Div64) }
func BenchmarkAdd32(b *testing.B)    { bench32(b, RNE, Add32) }
func BenchmarkMul32(b *testing.B)    { bench32(b, RNE, Mul32) }
func BenchmarkDiv32(b *testing.B)    { bench32(b, RNE, Div32) }

func BenchmarkSqrt64(b *testing.B) {
	bench64(b, RNE, func(a, _ uint64, rm RM) (uint64, uint32) { return Sqrt64(a, rm) })
}

func BenchmarkFMA64(b *testing.B) {
	bench64(b, RNE, func(x, y uint64, rm RM) (uint64, uint32) { return FMA64(x, y, x, rm) })
}

func BenchmarkFMA64RTZ(b *testing.B) {
	bench64(b, RTZ, func(x, y uint64, rm RM) (uint64, uint32) { return FMA64(x, y, x, rm) })
}

func BenchmarkFMA32(b *testing.B) {
	bench32(b, RNE, func(x, y uint32, rm RM) (uint32, uint32) { return FMA32(x, y, x, rm) })
}

func BenchmarkAccrueAdd64(b *testing.B) { benchAccrue(b, AccrueAdd64) }
func BenchmarkAccrueMul64(b *testing.B) { benchAccrue(b, AccrueMul64) }
func BenchmarkAccrueDiv64(b *testing.B) { benchAccrue(b, AccrueDiv64) }

func BenchmarkAccrueFMA64(b *testing.B) {
	benchAccrue(b, func(x, y uint64, rm RM, fflags uint32) (uint64, uint32) {
		return AccrueFMA64(x, y, x, rm, fflags)
	})
}

func benchAccrue(b *testing.B, f func(a, b uint64, rm RM, fflags uint32) (uint64, uint32)) {
	fflags := NX
	bench64(b, RNE, func(x, y uint64, rm RM) (r uint64, _ uint32) {
		r, fflags = f(x, y, rm, fflags)
		return r, fflags
	})
}

func BenchmarkMul64Zero(b *testing.B) {
	bench64(b, RNE, func(x, _ uint64, rm RM) (uint64, uint32) { return Mul64(x, 0, rm) })
}

func BenchmarkLt64(b *testing.B) {
	bench64(b, RNE, func(x, y uint64, _ RM) (uint64, uint32) { t, flags := Lt64(x, y); return b2u(t), flags })
}

func BenchmarkF64ToI64(b *testing.B) {
	bench64(b, RTZ, func(x, _ uint64, rm RM) (uint64, uint32) { v, flags := F64ToI64(x, rm); return uint64(v), flags })
}

func BenchmarkI64ToF64(b *testing.B) {
	bench64(b, RNE, func(x, _ uint64, rm RM) (uint64, uint32) { return I64ToF64(int64(x>>12), rm) })
}
