package fp

import "math"

// FMA64 gives a×b+c, rounded once. The other three instructions negate operands:
// with s the sign bit, FMSUB is FMA(a, b, c^s), FNMSUB is FMA(a^s, b, c) and FNMADD
// is FMA(a^s, b, c^s).
func FMA64(a, b, c uint64, rm RM) (uint64, uint32) {
	if rm == RNE {
		// Biased exponents of the product, unsigned wrap included, and the addend:
		// in the middle of the range nothing below underflows or overflows.
		ea, eb, ec := a>>52&0x7ff, b>>52&0x7ff, c>>52&0x7ff
		if inMiddle(ea) && inMiddle(eb) && inMiddle(ea+eb-1023) && inMiddle(ec) {
			x, y, z := math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c)
			r := math.FMA(x, y, z)
			if r != 0 {
				if fmaError(x, y, z, r) != 0 {
					return math.Float64bits(r), NX
				}
				return math.Float64bits(r), 0
			}
		}
	}
	return binary64.fma(a, b, c, rm)
}

// inMiddle: see FMA64. Products' low halves are 2^-106 of them at the least.
func inMiddle(e uint64) bool { return e-256 < 1536 }

// fmaError is zero exactly where r, the rounded x×y+z, is exact. It follows
// Boldo and Muller, "Exact and Approximated Error of the FMA" (2011): the error is
// gamma+alpha2, of which gamma is computed without rounding.
func fmaError(x, y, z, r float64) float64 {
	uh := float64(x * y)
	ul := math.FMA(x, y, -uh)
	alpha1, alpha2 := twoSum(z, ul)
	beta1, beta2 := twoSum(uh, alpha1)
	gamma := (beta1 - r) + beta2
	return gamma + alpha2
}

// twoSum gives the rounded sum and its exact error (Knuth).
func twoSum(a, b float64) (sum, err float64) {
	sum = a + b
	t := sum - a
	return sum, (a - (sum - t)) + (b - t)
}

// FMA32 gives a×b+c, rounded once.
func FMA32(a, b, c uint32, rm RM) (uint32, uint32) {
	if rm == RNE {
		// A double holds the product of two singles exactly.
		p := float64(float64(math.Float32frombits(a)) * float64(math.Float32frombits(b)))
		z := float64(math.Float32frombits(c))
		s := p + z
		if r, flags, ok := narrowFast(s); ok {
			// Where the sum is exact (see Add64), it has been rounded once.
			if s-p == z && s-z == p {
				return r, flags
			}
			// Rounding twice is harmless unless the first made a tie of two
			// singles: those are doubles, so that s is on the same side as the sum.
			if math.Float64bits(s)&(1<<29-1) != 1<<28 {
				return r, NX
			}
		}
	}
	return narrow(binary32.fma(uint64(a), uint64(b), uint64(c), rm))
}

func (f format) fma(a, b, c uint64, rm RM) (uint64, uint32) {
	x, y, z := f.unpack(a), f.unpack(b), f.unpack(c)
	neg := x.neg != y.neg
	switch {
	case x.kind == infinite && y.kind == zero || x.kind == zero && y.kind == infinite:
		// unpriv §20.6: invalid even when the addend is a quiet NaN.
		return f.nan(), NV
	case x.isNaN() || y.isNaN() || z.isNaN():
		return f.nanResult(x, y, z)
	case x.kind == infinite || y.kind == infinite:
		if z.kind == infinite && z.neg != neg {
			return f.nan(), NV
		}
		return f.signed(neg, f.inf()), 0
	case z.kind == infinite:
		return c, 0
	case x.kind == zero || y.kind == zero:
		if z.kind == zero {
			return f.addZeros(neg, z.neg, rm), 0
		}
		return c, 0
	case z.kind == zero:
		return f.roundWide(product(x, y), rm)
	}
	return f.addFinite(product(x, y), wide{z.sig, 0, z.exp, z.neg}, rm)
}
