package fp

import (
	"math"
	"math/bits"
)

// Mul64 gives a×b.
func Mul64(a, b uint64, rm RM) (uint64, uint32) {
	if rm == RNE {
		r := math.Float64bits(math.Float64frombits(a) * math.Float64frombits(b))
		ea, eb, er := a>>52&0x7ff, b>>52&0x7ff, r>>52&0x7ff
		// Normal operands and a result safely above the subnormal range.
		if ea != 0 && eb != 0 && normal64(r) {
			// The exact product ends in as many zeros as both factors together; it
			// has 52 places too many, or 53 where the significands' product
			// reached 2, which shows in the exponent.
			zeros := bits.TrailingZeros64(a|1<<52) + bits.TrailingZeros64(b|1<<52)
			if surplus := 52 + int(er+1023-ea-eb); zeros < surplus {
				return r, NX
			}
			return r, 0
		}
	}
	return binary64.mul(a, b, rm)
}

// Mul32 gives a×b.
func Mul32(a, b uint32, rm RM) (uint32, uint32) {
	if rm == RNE {
		// A double holds the product of two singles exactly.
		p := float64(math.Float32frombits(a)) * float64(math.Float32frombits(b))
		if r, flags, ok := narrowFast(p); ok {
			return r, flags
		}
	}
	return narrow(binary32.mul(uint64(a), uint64(b), rm))
}

// narrowFast rounds to nearest even; ok is false where the result is not finite
// or not safely above the subnormal range.
func narrowFast(x float64) (r, flags uint32, ok bool) {
	y := float32(x)
	if float64(y) != x {
		flags = NX
	}
	r = math.Float32bits(y)
	return r, flags, normal32(r)
}

func (f format) mul(a, b uint64, rm RM) (uint64, uint32) {
	x, y := f.unpack(a), f.unpack(b)
	neg := x.neg != y.neg
	switch {
	case x.isNaN() || y.isNaN():
		return f.nanResult(x, y)
	case x.kind == infinite && y.kind == zero || x.kind == zero && y.kind == infinite:
		return f.nan(), NV
	case x.kind == infinite || y.kind == infinite:
		return f.signed(neg, f.inf()), 0
	case x.kind == zero || y.kind == zero:
		return f.signed(neg, 0), 0
	}
	return f.roundWide(product(x, y), rm)
}

// product gives the exact product of two finite nonzero numbers.
func product(x, y num) wide {
	p := wide{exp: x.exp + y.exp + 1, neg: x.neg != y.neg}
	p.hi, p.lo = bits.Mul64(x.sig, y.sig)
	if p.hi>>63 == 0 {
		p.hi = p.hi<<1 | p.lo>>63
		p.lo <<= 1
		p.exp--
	}
	return p
}
