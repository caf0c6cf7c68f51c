package fp

import (
	"math"
	"testing"
)

func TestBoxing(t *testing.T) {
	for _, c := range []struct {
		reg    uint64
		single uint32
		half   uint16
	}{
		{0xffffffff3f800000, 0x3f800000, NaN16},
		{0xffffffffffff3c00, 0xffff3c00, 0x3c00},
		{0xfffffffe3f800000, NaN32, NaN16},
		{0x7fffffff3f800000, NaN32, NaN16},
		{0xfffffffffffe3c00, 0xfffe3c00, NaN16},
		{0x000000003f800000, NaN32, NaN16},
		{0, NaN32, NaN16},
		{^uint64(0), 0xffffffff, 0xffff},
	} {
		if got := Unbox32(c.reg); got != c.single {
			t.Errorf("Unbox32(%#x) = %#x, want %#x", c.reg, got, c.single)
		}
		if got := Unbox16(c.reg); got != c.half {
			t.Errorf("Unbox16(%#x) = %#x, want %#x", c.reg, got, c.half)
		}
	}
	if r := Box32(0x3f800000); r != 0xffffffff3f800000 {
		t.Errorf("Box32 = %#x", r)
	}
	if r := Box16(0x3c00); r != 0xffffffffffff3c00 {
		t.Errorf("Box16 = %#x", r)
	}
}

func TestClass(t *testing.T) {
	for _, c := range []struct {
		double uint64
		single uint32
		want   uint64
	}{
		{0xfff0000000000000, 0xff800000, 1 << 0},
		{0xffefffffffffffff, 0xff7fffff, 1 << 1},
		{0x8010000000000000, 0x80800000, 1 << 1},
		{0x800fffffffffffff, 0x807fffff, 1 << 2},
		{0x8000000000000001, 0x80000001, 1 << 2},
		{0x8000000000000000, 0x80000000, 1 << 3},
		{0x0000000000000000, 0x00000000, 1 << 4},
		{0x0000000000000001, 0x00000001, 1 << 5},
		{0x000fffffffffffff, 0x007fffff, 1 << 5},
		{0x0010000000000000, 0x00800000, 1 << 6},
		{0x7fefffffffffffff, 0x7f7fffff, 1 << 6},
		{0x7ff0000000000000, 0x7f800000, 1 << 7},
		{0x7ff0000000000001, 0x7f800001, 1 << 8},
		{0xfff7ffffffffffff, 0xffbfffff, 1 << 8},
		{0x7ff8000000000000, 0x7fc00000, 1 << 9},
		{0xffffffffffffffff, 0xffffffff, 1 << 9},
	} {
		if got := Class64(c.double); got != c.want {
			t.Errorf("Class64(%#x) = %#x, want %#x", c.double, got, c.want)
		}
		if got := Class32(c.single); got != c.want {
			t.Errorf("Class32(%#x) = %#x, want %#x", c.single, got, c.want)
		}
	}
}

// TestLoadImm holds the table against the encodings in the manual.
func TestLoadImm(t *testing.T) {
	singles := [32]uint32{
		0xbf800000, 0x00800000, 0x37800000, 0x38000000, 0x3b800000, 0x3c000000, 0x3d800000, 0x3e000000,
		0x3e800000, 0x3ea00000, 0x3ec00000, 0x3ee00000, 0x3f000000, 0x3f200000, 0x3f400000, 0x3f600000,
		0x3f800000, 0x3fa00000, 0x3fc00000, 0x3fe00000, 0x40000000, 0x40200000, 0x40400000, 0x40800000,
		0x41000000, 0x41800000, 0x43000000, 0x43800000, 0x47000000, 0x47800000, 0x7f800000, 0x7fc00000,
	}
	for i, want := range singles {
		if got := LoadImm32(uint8(i)); got != want {
			t.Errorf("LoadImm32(%d) = %#x, want %#x", i, got, want)
		}
		wide, _ := F32ToF64(want)
		if i == 1 {
			wide = math.Float64bits(0x1p-1022)
		}
		if got := LoadImm64(uint8(i)); got != wide {
			t.Errorf("LoadImm64(%d) = %#x, want %#x", i, got, wide)
		}
	}
	if LoadImm64(255) != NaN64 || LoadImm32(255) != NaN32 {
		t.Error("an index beyond the table")
	}
}

// TestFMAInvalid: infinity times zero is invalid even with a quiet NaN addend, and
// whatever the signs of the four instructions make of it.
func TestFMAInvalid(t *testing.T) {
	inf, qnan := binary64.inf(), NaN64
	for _, sign := range []uint64{0, Sign64} {
		for _, c := range []uint64{qnan, qnan + 1, 0, inf, inf + 1, 1 << 62} {
			for _, rm := range modes {
				for _, ab := range [][2]uint64{{inf, 0}, {0, inf}, {inf, Sign64}} {
					r, flags := FMA64(ab[0]^sign, ab[1], c^sign, rm)
					if r != NaN64 || flags != NV {
						t.Errorf("FMA64(%#x, %#x, %#x, %v) = %#x, %#x", ab[0]^sign, ab[1], c^sign, rm, r, flags)
					}
				}
			}
		}
		if r, flags := FMA64(inf, inf^sign, inf^sign^Sign64, RNE); r != NaN64 || flags != NV {
			t.Errorf("infinity less infinity = %#x, %#x", r, flags)
		}
		if r, flags := FMA64(inf, 1<<62, qnan|sign, RNE); r != NaN64 || flags != 0 {
			t.Errorf("quiet addend = %#x, %#x", r, flags)
		}
	}
}

// TestTininess has the cases that tell detection before from after rounding.
func TestTininess(t *testing.T) {
	const least = uint64(1) << 52 // the least normal number
	belowOne := uint64(0x3fefffffffffffff)
	// The greatest below one times the least normal is half a place below it.
	for _, c := range []struct {
		rm    RM
		r     uint64
		flags uint32
	}{
		{RNE, least, NX | UF}, {RMM, least, NX | UF}, {RUP, least, NX | UF},
		{RTZ, least - 1, NX | UF}, {RDN, least - 1, NX | UF},
	} {
		if r, flags := Mul64(least, belowOne, c.rm); r != c.r || flags != c.flags {
			t.Errorf("%v: %#x flags %#x, want %#x flags %#x", c.rm, r, flags, c.r, c.flags)
		}
	}
	// A small part of a place below it rounds up to it in full precision too: not
	// tiny.
	c := least>>1 | Sign64
	for _, rm := range []RM{RNE, RMM, RUP} {
		const tiny = uint64(0x3c90000000000000) // 2^-54
		r, flags := FMA64(tiny, c, least, rm)
		if r != least || flags != NX {
			t.Errorf("%v: %#x flags %#x, want %#x flags %#x", rm, r, flags, least, NX)
		}
	}
}

func TestAccrue(t *testing.T) {
	g := newGenerator(seed(t))
	for range *countFlag * 20 {
		rm := modes[g.IntN(len(modes))]
		if g.IntN(2) == 0 {
			rm = RNE
		}
		for _, before := range []uint32{0, NX, DZ | NX} {
			checkAccrue64(t, g, rm, before)
			checkAccrue32(t, g, rm, before)
		}
	}
}

func checkAccrue64(t *testing.T, g generator, rm RM, before uint32) {
	v := g.operands(op{in: []operand{double, double, double}, out: double})
	a, b, c := v[0], v[1], v[2]
	check := func(name string, r uint64, flags uint32, want uint64, wantFlags uint32) {
		t.Helper()
		if r != want || flags != wantFlags|before {
			t.Fatalf("%s(%#x, %v, %#x) = %#x, %#x, want %#x, %#x", name, v, rm, before, r, flags, want, wantFlags|before)
		}
	}
	r, flags := AccrueAdd64(a, b, rm, before)
	want, wantFlags := binary64.add(a, b, rm)
	check("AccrueAdd64", r, flags, want, wantFlags)
	r, flags = AccrueMul64(a, b, rm, before)
	want, wantFlags = binary64.mul(a, b, rm)
	check("AccrueMul64", r, flags, want, wantFlags)
	r, flags = AccrueDiv64(a, b, rm, before)
	want, wantFlags = binary64.div(a, b, rm)
	check("AccrueDiv64", r, flags, want, wantFlags)
	r, flags = AccrueFMA64(a, b, c, rm, before)
	want, wantFlags = binary64.fma(a, b, c, rm)
	check("AccrueFMA64", r, flags, want, wantFlags)
}

func checkAccrue32(t *testing.T, g generator, rm RM, before uint32) {
	v := g.operands(op{in: []operand{single, single}, out: single})
	a, b := uint32(v[0]), uint32(v[1])
	check := func(name string, r, flags uint32, want uint64, wantFlags uint32) {
		t.Helper()
		if uint64(r) != want || flags != wantFlags|before {
			t.Fatalf("%s(%#x, %v, %#x) = %#x, %#x, want %#x, %#x", name, v, rm, before, r, flags, want, wantFlags|before)
		}
	}
	r, flags := AccrueAdd32(a, b, rm, before)
	want, wantFlags := binary32.add(v[0], v[1], rm)
	check("AccrueAdd32", r, flags, want, wantFlags)
	r, flags = AccrueMul32(a, b, rm, before)
	want, wantFlags = binary32.mul(v[0], v[1], rm)
	check("AccrueMul32", r, flags, want, wantFlags)
	r, flags = AccrueDiv32(a, b, rm, before)
	want, wantFlags = binary32.div(v[0], v[1], rm)
	check("AccrueDiv32", r, flags, want, wantFlags)
}

func TestNames(t *testing.T) {
	for rm, want := range map[RM]string{RNE: "RNE", RTZ: "RTZ", RDN: "RDN", RUP: "RUP", RMM: "RMM", 7: "RM(7)"} {
		if rm.String() != want {
			t.Errorf("%q, want %q", rm, want)
		}
	}
}
