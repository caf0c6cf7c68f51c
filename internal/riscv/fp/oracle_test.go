package fp

import "math/big"

// The oracle computes with exact rationals and rounds by the definitions of
// IEEE 754. It shares nothing with the package but the format descriptions.

// exact is (num/den) × 2^scale; den is positive.
type exact struct {
	num, den *big.Int
	scale    int
}

func pow2(n int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(n)) }

// ratio gives v/2^q as a fraction.
func (v exact) ratio(q int) (num, den *big.Int) {
	num, den = new(big.Int).Set(v.num), new(big.Int).Set(v.den)
	if s := v.scale - q; s >= 0 {
		num.Lsh(num, uint(s))
	} else {
		den.Lsh(den, uint(-s))
	}
	return num, den
}

// rounded gives v/2^q as an integer, and whether it is another value.
func (v exact) rounded(q int, rm RM) (n *big.Int, inexact bool) {
	num, den := v.ratio(q)
	floor, rem := new(big.Int).DivMod(num, den, new(big.Int))
	if rem.Sign() == 0 {
		return floor, false
	}
	ceil := new(big.Int).Add(floor, big.NewInt(1))
	switch rm {
	case RDN:
		return floor, true
	case RUP:
		return ceil, true
	case RTZ:
		if num.Sign() < 0 {
			return ceil, true
		}
		return floor, true
	}
	switch rem.Lsh(rem, 1).Cmp(den) {
	case -1:
		return floor, true
	case 1:
		return ceil, true
	}
	if rm == RMM {
		if num.Sign() < 0 {
			return floor, true
		}
		return ceil, true
	}
	if floor.Bit(0) == 0 {
		return floor, true
	}
	return ceil, true
}

// exponent gives e with 2^e <= |v| < 2^(e+1).
func (v exact) exponent() int {
	e := v.num.BitLen() - v.den.BitLen() + v.scale
	num, den := v.ratio(e)
	if num.CmpAbs(den) < 0 {
		e--
	}
	return e
}

// round packs a nonzero value.
func (v exact) round(f format, rm RM) (uint64, uint32) {
	prec := int(f.frac) + 1
	emax := f.bias()
	emin := 1 - emax
	e := v.exponent()
	neg := v.num.Sign() < 0
	if n, _ := v.rounded(e-prec+1, rm); max(e, e-prec+n.BitLen()) > emax {
		up := rm == RUP && !neg || rm == RDN && neg || rm == RNE || rm == RMM
		if up {
			return f.signed(neg, f.inf()), OF | NX
		}
		return f.signed(neg, f.inf()-1), OF | NX
	}
	q := max(e, emin) - prec + 1
	n, inexact := v.rounded(q, rm)
	var flags uint32
	if inexact {
		flags = NX
		// Tiny: below 2^emin even when rounded with an unbounded exponent.
		full, _ := v.rounded(e-prec+1, rm)
		if e-prec+full.BitLen() < emin {
			flags |= UF
		}
	}
	n.Abs(n)
	r := n.Uint64()
	if r >= 1<<f.frac {
		exp := q + n.BitLen() - 1
		r >>= n.BitLen() - prec
		r = r&(1<<f.frac-1) | uint64(exp+f.bias())<<f.frac
	}
	return f.signed(neg, r), flags
}

// decoded is an operand: a NaN, an infinity, or mant × 2^exp with a sign.
type decoded struct {
	neg, nan, snan, inf bool
	mant                *big.Int // of the magnitude
	exp                 int
}

func decode(f format, x uint64) decoded {
	d := decoded{neg: x&f.sign() != 0}
	frac := x % (1 << f.frac)
	e := int(x >> f.frac & f.expMax())
	switch {
	case e == int(f.expMax()):
		d.inf = frac == 0
		d.nan = frac != 0
		d.snan = d.nan && frac < 1<<(f.frac-1)
	case e == 0:
		e = 1
	default:
		frac += 1 << f.frac
	}
	d.mant = new(big.Int).SetUint64(frac)
	d.exp = e - f.bias() - int(f.frac)
	return d
}

func (d decoded) isZero() bool { return !d.nan && !d.inf && d.mant.Sign() == 0 }

func (d decoded) exact() exact {
	v := exact{new(big.Int).Set(d.mant), big.NewInt(1), d.exp}
	if d.neg {
		v.num.Neg(v.num)
	}
	return v
}

func oracleNaN(f format, ds ...decoded) (r uint64, flags uint32, nan bool) {
	for _, d := range ds {
		nan = nan || d.nan
		if d.snan {
			flags = NV
		}
	}
	return f.nan(), flags, nan
}

func oracleFMA(f format, a, b, c uint64, rm RM) (uint64, uint32) {
	x, y, z := decode(f, a), decode(f, b), decode(f, c)
	neg := x.neg != y.neg
	if x.inf && y.isZero() || x.isZero() && y.inf {
		return f.nan(), NV
	}
	if r, flags, nan := oracleNaN(f, x, y, z); nan {
		return r, flags
	}
	if x.inf || y.inf {
		if z.inf && z.neg != neg {
			return f.nan(), NV
		}
		return f.signed(neg, f.inf()), 0
	}
	if z.inf {
		return c, 0
	}
	p, s := x.exact(), z.exact()
	p.num.Mul(p.num, y.exact().num)
	p.scale += y.exp
	low := min(p.scale, s.scale)
	pn, _ := p.ratio(low)
	sn, _ := s.ratio(low)
	sum := exact{pn.Add(pn, sn), big.NewInt(1), low}
	if sum.num.Sign() == 0 {
		if neg == z.neg {
			return f.signed(neg, 0), 0
		}
		return f.signed(rm == RDN, 0), 0
	}
	return sum.round(f, rm)
}

func oracleAdd(f format, a, b uint64, rm RM) (uint64, uint32) {
	return oracleFMA(f, a, uint64(f.bias())<<f.frac, b, rm) // a×1+b
}

func oracleMul(f format, a, b uint64, rm RM) (uint64, uint32) {
	return oracleFMA(f, a, b, (a^b)&f.sign(), rm) // adding a zero of the product's sign
}

func oracleDiv(f format, a, b uint64, rm RM) (uint64, uint32) {
	x, y := decode(f, a), decode(f, b)
	neg := x.neg != y.neg
	if r, flags, nan := oracleNaN(f, x, y); nan {
		return r, flags
	}
	switch {
	case x.inf && y.inf || x.isZero() && y.isZero():
		return f.nan(), NV
	case x.inf:
		return f.signed(neg, f.inf()), 0
	case x.isZero() || y.inf:
		return f.signed(neg, 0), 0
	case y.isZero():
		return f.signed(neg, f.inf()), DZ
	}
	v := exact{x.exact().num, y.mant, x.exp - y.exp}
	if y.neg {
		v.num.Neg(v.num)
	}
	return v.round(f, rm)
}

func oracleSqrt(f format, a uint64, rm RM) (uint64, uint32) {
	x := decode(f, a)
	if r, flags, nan := oracleNaN(f, x); nan {
		return r, flags
	}
	switch {
	case x.isZero():
		return a, 0
	case x.neg:
		return f.nan(), NV
	case x.inf:
		return a, 0
	}
	// The integer root of the operand scaled up to over 200 bits, with one more
	// bit to tell that there was a remainder, rounds as the exact root does.
	shift := 400 + x.exp&1
	scaled := new(big.Int).Lsh(x.mant, uint(shift))
	root := new(big.Int).Sqrt(scaled)
	square := new(big.Int).Mul(root, root)
	v := exact{root.Lsh(root, 1), big.NewInt(1), (x.exp-shift)/2 - 1}
	if square.Cmp(scaled) != 0 {
		v.num.SetBit(v.num, 0, 1)
	}
	return v.round(f, rm)
}

func oracleConvert(to, from format, a uint64, rm RM) (uint64, uint32) {
	x := decode(from, a)
	if _, flags, nan := oracleNaN(from, x); nan {
		return to.nan(), flags
	}
	switch {
	case x.inf:
		return to.signed(x.neg, to.inf()), 0
	case x.isZero():
		return to.signed(x.neg, 0), 0
	}
	return x.exact().round(to, rm)
}

func oracleToInt(f format, a uint64, lowest, highest *big.Int, rm RM) (*big.Int, uint32) {
	x := decode(f, a)
	if x.nan || x.inf {
		if x.inf && x.neg {
			return lowest, NV
		}
		return highest, NV
	}
	n, inexact := x.exact().rounded(0, rm)
	switch {
	case n.Cmp(lowest) < 0:
		return lowest, NV
	case n.Cmp(highest) > 0:
		return highest, NV
	case inexact:
		return n, NX
	}
	return n, 0
}

func oracleFromInt(f format, n *big.Int, rm RM) (uint64, uint32) {
	if n.Sign() == 0 {
		return 0, 0
	}
	return exact{n, big.NewInt(1), 0}.round(f, rm)
}

func oracleRoundIntegral(f format, a uint64, rm RM) (uint64, uint32) {
	x := decode(f, a)
	if r, flags, nan := oracleNaN(f, x); nan {
		return r, flags
	}
	if x.inf || x.isZero() {
		return a, 0
	}
	n, inexact := x.exact().rounded(0, rm)
	var flags uint32
	if inexact {
		flags = NX
	}
	if n.Sign() == 0 {
		return f.signed(x.neg, 0), flags
	}
	r, _ := oracleFromInt(f, n, RNE)
	return r, flags
}

// oracleModular is FCVTMOD.W.D.
func oracleModular(a uint64) (uint64, uint32) {
	_, flags := oracleToInt(binary64, a, big.NewInt(-1<<31), big.NewInt(1<<31-1), RTZ)
	x := decode(binary64, a)
	if x.nan || x.inf {
		return 0, flags
	}
	n, _ := x.exact().rounded(0, RTZ)
	n.Mod(n, pow2(32))
	return uint64(int32(n.Uint64())), flags
}

// oracleCompare gives -1, 0 or 1, or 2 for unordered.
func oracleCompare(f format, a, b uint64) int {
	x, y := decode(f, a), decode(f, b)
	side := func(d decoded) int {
		switch {
		case d.inf && d.neg:
			return -1
		case d.inf:
			return 1
		}
		return 0
	}
	switch sx, sy := side(x), side(y); {
	case x.nan || y.nan:
		return 2
	case sx < sy:
		return -1
	case sx > sy:
		return 1
	case sx != 0:
		return 0
	}
	low := min(x.exp, y.exp)
	xn, _ := x.exact().ratio(low)
	yn, _ := y.exact().ratio(low)
	return xn.Cmp(yn)
}

func oraclePick(f format, a, b uint64, least, propagate bool) (uint64, uint32) {
	x, y := decode(f, a), decode(f, b)
	if r, flags, nan := oracleNaN(f, x, y); nan {
		switch {
		case propagate || x.nan && y.nan:
			return r, flags
		case x.nan:
			return b, flags
		}
		return a, flags
	}
	order := oracleCompare(f, a, b)
	if order == 0 && x.neg != y.neg {
		order = 1
		if x.neg {
			order = -1
		}
	}
	if (order <= 0) == least {
		return a, 0
	}
	return b, 0
}
