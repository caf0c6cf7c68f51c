package fp

import "math/rand/v2"

// corners are the values of a format at which behaviour changes, of both signs.
func corners(f format) []uint64 {
	unit := uint64(1) << f.frac
	one := uint64(f.bias()) * unit
	magnitudes := []uint64{
		0, 1, 2, 3, unit / 2, unit/2 + 1, unit - 2, unit - 1, // subnormals
		unit, unit + 1, unit + unit/2, 2*unit - 1, 2 * unit, 3*unit - 1, 3 * unit,
		one - unit, one - unit + 1, one - unit - 1, one - 1, one, one + 1, one + 2, // a half, one
		one + unit/2 - 1, one + unit/2, one + unit/2 + 1, one + unit - 1, // 1.5
		one + unit, one + unit + unit/4, one + unit + unit/2, one + 2*unit, // 2, 2.5, 3, 4
		one - uint64(f.frac)*unit, one - uint64(f.frac+1)*unit, one - uint64(f.frac+2)*unit,
		one - uint64(f.frac+2)*unit + 1,
		one + uint64(f.frac-1)*unit + 1, one + uint64(f.frac)*unit + 1, one + uint64(f.frac+1)*unit + 1,
		(one + unit) / 2 / unit * unit, // about the root of the least normal
		f.inf() - unit, f.inf() - 2, f.inf() - 1, f.inf(),
		f.inf() + 1, f.inf() + unit/4, f.nan() - 1, f.nan(), f.nan() + 1, f.inf() + unit - 1,
	}
	// The limits of the integer types and of narrower formats.
	for _, e := range []int{31, 32, 63, 64, 15, 16, 127, 128, -14, -15, -24, -25, -126, -127, -149, -150} {
		if b := e + f.bias(); b > 1 && b < int(f.expMax()) {
			p := uint64(b) * unit
			magnitudes = append(magnitudes, p-2, p-1, p, p+1)
		}
	}
	// Integers and halves at the limits of 32 bits, and ties of narrowing.
	for _, to := range []format{binary16, binary32} {
		if to.frac < f.frac {
			tie := unit >> (to.frac + 1)
			magnitudes = append(magnitudes, one+tie, one+tie-1, one+tie+1, one+3*tie, one+unit-tie, one+unit-tie-1)
		}
	}
	var all []uint64
	for _, m := range magnitudes {
		all = append(all, m, m|f.sign())
	}
	return all
}

// fewCorners is a short list for operations of three operands.
func fewCorners(f format) []uint64 {
	unit := uint64(1) << f.frac
	one := uint64(f.bias()) * unit
	var all []uint64
	for _, m := range []uint64{
		0, 1, unit - 1, unit, unit + 1, one - 1, one, one + 1, one + unit/2, one - uint64(f.frac+1)*unit,
		f.inf() - 1, f.inf(), f.inf() + 1, f.nan() + 1, (one + unit) / 2 / unit * unit,
	} {
		all = append(all, m, m|f.sign())
	}
	return all
}

// levelOne are the operands that Berkeley TestFloat's level 1 combines in every
// way: exponents at the limits, around one and a significand's length below it,
// with significands at their limits.
func levelOne(f format) []uint64 {
	unit := uint64(1) << f.frac
	bias := uint64(f.bias())
	below := bias - uint64(f.frac) - 1
	var all []uint64
	for _, e := range []uint64{
		0, 1, below, below + 1, bias - 2, bias - 1, bias, bias + 1, bias + 2, f.expMax() - 1, f.expMax(),
	} {
		for _, frac := range []uint64{0, 1, unit - 2, unit - 1} {
			all = append(all, e*unit+frac, e*unit+frac+f.sign())
		}
	}
	return all
}

var integers = []uint64{
	0, 1, 2, 3, 1<<24 - 1, 1 << 24, 1<<24 + 1, 3<<24 + 2, 1<<25 + 1, 1<<25 + 2, 1<<25 + 3, 1<<31 - 1, 1 << 31, 1<<31 + 1,
	1<<32 - 1, 1 << 32, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<53 + 3, 1<<54 + 1, 1<<54 + 2, 1<<54 + 3, 1<<63 - 1, 1 << 63, 1<<63 + 1,
	1<<64 - 1, 1<<64 - 2, 1<<64 - 1<<10, 1<<64 - 1<<10 - 1, 1<<64 - 1<<11, 1<<64 - 1<<39, 1<<64 - 1<<39 - 1, 1<<64 - 1<<40,
	1<<63 - 1<<9, 1<<63 - 1<<9 - 1, 1<<63 - 1<<38, 1<<63 - 1<<38 - 1, 1<<63 + 1<<10, 1<<63 + 1<<10 + 1, 1<<63 + 1<<39 + 1,
}

// generator makes random operands biased towards trouble.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0x6670))} }

func (g generator) fraction(width uint) uint64 {
	mask := uint64(1)<<width - 1
	x := g.Uint64() & mask
	switch g.IntN(6) {
	case 0: // a run of ones at the top
		return mask &^ (mask >> g.IntN(int(width)+1))
	case 1: // a run of ones at the bottom
		return mask >> g.IntN(int(width)+1)
	case 2: // few bits
		one, other := g.IntN(int(width)), g.IntN(int(width))
		return (1<<one ^ 1<<other) & mask
	case 3: // short, so that results may be exact
		return x &^ (mask >> g.IntN(int(width)+1))
	}
	return x
}

func (g generator) float(f format) uint64 {
	if g.IntN(24) == 0 {
		c := corners(f)
		return c[g.IntN(len(c))]
	}
	e := g.Uint64() & f.expMax()
	switch g.IntN(4) {
	case 0:
		e = uint64(f.bias() + g.IntN(2*int(f.frac)+8) - int(f.frac) - 4)
	case 1:
		e = uint64(g.IntN(3)) + g.Uint64()&1*(f.expMax()-2)
	}
	return f.signed(g.IntN(2) == 0, min(e, f.expMax())<<f.frac|g.fraction(f.frac))
}

// withExponent is a float of about the biased exponent e, clamped to the finite.
func (g generator) withExponent(f format, e int) uint64 {
	e = max(0, min(e, int(f.expMax())-1))
	return f.signed(g.IntN(2) == 0, uint64(e)<<f.frac|g.fraction(f.frac))
}

func (g generator) integer() uint64 {
	if g.IntN(8) == 0 {
		x := integers[g.IntN(len(integers))]
		return x ^ -uint64(g.IntN(2))
	}
	return g.fraction(64)>>g.IntN(64) ^ -uint64(g.IntN(2))
}

// operands fills the sources of an operation, relating them half of the time.
func (g generator) operands(o op) (v [3]uint64) {
	for i, in := range o.in {
		if f, ok := in.format(); ok {
			v[i] = g.float(f)
		} else {
			v[i] = g.integer()
		}
	}
	f, ok := o.in[0].format()
	if !ok || g.IntN(2) == 0 {
		return v
	}
	ea := int(v[0] >> f.frac & f.expMax())
	around := func(centre, spread int) int { return centre + g.IntN(2*spread+1) - spread }
	if len(o.in) == 1 {
		if to, ok := o.out.format(); ok && to.frac < f.frac { // about the narrow format's limits
			edges := []int{1 - to.bias(), to.bias(), -to.bias() - int(to.frac)}
			v[0] = g.withExponent(f, around(f.bias()+edges[g.IntN(3)], 3))
		}
		return v
	}
	switch g.IntN(4) {
	case 0: // exponents within a significand's length
		v[1] = g.withExponent(f, around(ea, int(f.frac)+3))
	case 1: // a product at the edges
		v[1] = g.withExponent(f, around(f.bias()-ea, 4)+g.IntN(2)*2*f.bias())
	case 2: // a quotient at the edges
		v[1] = g.withExponent(f, around(ea, 3)+(2*g.IntN(2)-1)*f.bias())
	case 3: // nearly opposite
		v[1] = v[0] ^ f.sign() ^ uint64(g.IntN(8))
	}
	if len(o.in) < 3 {
		return v
	}
	product, _ := f.mul(v[0], v[1], RNE)
	ep := int(product >> f.frac & f.expMax())
	switch g.IntN(3) {
	case 0: // near the product
		v[2] = g.withExponent(f, around(ep, 2*int(f.frac)+4))
	case 1: // cancelling most of it
		v[2] = product ^ f.sign() ^ uint64(g.IntN(4))
	}
	return v
}
