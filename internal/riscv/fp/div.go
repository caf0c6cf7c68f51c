package fp

import (
	"math"
	"math/bits"
)

// Div64 gives a/b.
func Div64(a, b uint64, rm RM) (uint64, uint32) {
	if rm == RNE {
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		q := x / y
		r := math.Float64bits(q)
		// The remainder is exact where the dividend is so large that the
		// remainder's last place is above the least subnormal.
		if ea := a >> 52 & 0x7ff; normal64(r) && ea > 2*53 && ea < 0x7ff {
			if math.FMA(q, y, -x) != 0 {
				return r, NX
			}
			return r, 0
		}
	}
	return binary64.div(a, b, rm)
}

// Div32 gives a/b.
func Div32(a, b uint32, rm RM) (uint32, uint32) {
	if rm == RNE {
		x, y := math.Float32frombits(a), math.Float32frombits(b)
		q := x / y
		r := math.Float32bits(q)
		if normal32(r) && b&expMask32 != expMask32 {
			// A double holds the product of two singles exactly.
			if float64(q)*float64(y) != float64(x) {
				return r, NX
			}
			return r, 0
		}
	}
	return narrow(binary32.div(uint64(a), uint64(b), rm))
}

func (f format) div(a, b uint64, rm RM) (uint64, uint32) {
	x, y := f.unpack(a), f.unpack(b)
	neg := x.neg != y.neg
	switch {
	case x.isNaN() || y.isNaN():
		return f.nanResult(x, y)
	case x.kind == y.kind && x.kind != finite: // 0/0 and inf/inf
		return f.nan(), NV
	case x.kind == infinite:
		return f.signed(neg, f.inf()), 0
	case y.kind == zero:
		return f.signed(neg, f.inf()), DZ
	case x.kind == zero || y.kind == infinite:
		return f.signed(neg, 0), 0
	}
	// Halving the dividend keeps the quotient below 2^64; it is above 2^62, and
	// one sticky bit then leaves enough places for every format.
	q, rem := bits.Div64(x.sig>>1, x.sig<<63, y.sig)
	exp := x.exp - y.exp
	if q>>63 == 0 {
		q <<= 1
		exp--
	}
	return f.round(neg, exp, q|b2u(rem != 0), rm)
}

// Sqrt64 gives the square root of a.
func Sqrt64(a uint64, rm RM) (uint64, uint32) {
	// A positive normal number large enough for an exact remainder.
	if e := a >> 52; rm == RNE && e > 2*53 && e < 0x7ff {
		x := math.Float64frombits(a)
		s := math.Sqrt(x)
		if math.FMA(s, s, -x) != 0 {
			return math.Float64bits(s), NX
		}
		return math.Float64bits(s), 0
	}
	return binary64.sqrt(a, rm)
}

// Sqrt32 gives the square root of a.
func Sqrt32(a uint32, rm RM) (uint32, uint32) {
	// A positive normal number.
	if e := a >> 23; rm == RNE && e-1 < 0xff-1 {
		x := float64(math.Float32frombits(a))
		// Rounding twice is harmless: a double has over twice a single's places.
		s := float32(math.Sqrt(x))
		if float64(s)*float64(s) != x {
			return math.Float32bits(s), NX
		}
		return math.Float32bits(s), 0
	}
	return narrow(binary32.sqrt(uint64(a), rm))
}

func (f format) sqrt(a uint64, rm RM) (uint64, uint32) {
	x := f.unpack(a)
	switch {
	case x.isNaN():
		return f.nanResult(x)
	case x.kind == zero: // the root of -0 is -0
		return a, 0
	case x.neg:
		return f.nan(), NV
	case x.kind == infinite:
		return a, 0
	}
	// An even exponent leaves a radicand m in [1,4), held as m × 2^52.
	m := x.sig >> 11
	exp := x.exp >> 1 // rounds down
	if x.exp&1 != 0 {
		m <<= 1
	}
	// The nearest root of 53 places, as s × 2^52, and which side the exact root is
	// on, are all that rounding to 53 places or fewer in any mode needs: the exact
	// root is never halfway between two numbers.
	s := math.Float64bits(math.Sqrt(float64(m)/(1<<52)))&(1<<52-1) | 1<<52
	hi, lo := bits.Mul64(s, s)
	mhi, mlo := m>>12, m<<52
	sig := s << 11
	switch {
	case hi < mhi || hi == mhi && lo < mlo:
		sig |= 1
	case hi != mhi || lo != mlo:
		sig--
	}
	return f.round(false, exp, sig, rm)
}
