package gen

import "math"

// integer is a register value: often one at an edge.
func (g *Generator) integer() uint64 {
	r := g.r
	switch r.IntN(8) {
	case 0:
		return edges[r.IntN(len(edges))]
	case 1:
		return edges[r.IntN(len(edges))] + uint64(int64(r.IntN(5)-2))
	case 2:
		return uint64(int64(r.IntN(33) - 16))
	case 3:
		return uint64(1) << r.IntN(64)
	case 4:
		return ^uint64(0) >> r.IntN(64)
	case 5:
		return uint64(int64(int32(r.Uint32())))
	case 6:
		return r.Uint64() >> r.IntN(64)
	}
	return r.Uint64()
}

var edges = [...]uint64{
	0, 1, math.MaxUint64, math.MaxInt64, 1 << 63, math.MaxUint32, math.MaxInt32, 1 << 31, 1 << 32,
	0xffff_ffff_8000_0000, 0xffff_ffff_7fff_ffff, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
	0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa, 0x0102_0408_1020_4080, 0x00ff_00ff_00ff_00ff,
}

// float is a floating-point register value: a double, a boxed single or half,
// or one that is boxed wrongly.
func (g *Generator) float() uint64 {
	r := g.r
	switch r.IntN(16) {
	case 0, 1, 2, 3, 4, 5:
		return g.encoding(52, 11)
	case 6, 7, 8, 9, 10, 11:
		return 0xffff_ffff<<32 | g.encoding(23, 8)
	case 12, 13:
		return 0xffff_ffff_ffff<<16 | g.encoding(10, 5)
	case 14: // unpriv §21.2: any other value counts as the canonical NaN
		return uint64(r.Uint32())<<32 | g.encoding(23, 8)
	}
	return g.integer()
}

// encoding is an IEEE 754 number of the format with these field widths.
func (g *Generator) encoding(frac, exp int) uint64 {
	r := g.r
	one := uint64(1)
	bias := one<<(exp-1) - 1
	var e, f uint64
	switch r.IntN(12) {
	case 0: // zero or subnormal
		e = 0
	case 1: // infinity or NaN
		e = one<<exp - 1
	case 2: // the smallest normals
		e = 1 + r.Uint64N(3)
	case 3: // the largest
		e = one<<exp - 2 - r.Uint64N(3)
	case 4: // where integers overflow
		e = bias + []uint64{7, 15, 31, 32, 63, 64}[r.IntN(6)] - r.Uint64N(2)
		e = min(e, one<<exp-2)
	case 5, 6, 7, 8: // near one, so that sums cancel and products stay in range
		e = bias - uint64(frac)/2 + r.Uint64N(uint64(frac)) // may wrap for halves: cut below
		e &= one<<exp - 1
	case 9: // results that land among the subnormals: squares, halves
		e = bias/2 + r.Uint64N(uint64(frac))
		e &= one<<exp - 1
	default:
		e = r.Uint64N(one << exp)
	}
	switch r.IntN(8) {
	case 0:
		f = 0
	case 1:
		f = one<<frac - 1
	case 2:
		f = one << r.IntN(frac)
	case 3:
		f = one<<(frac-1) + uint64(int64(r.IntN(3)-1))
	case 4: // a short one: exact results and ties
		f = r.Uint64() << (frac - min(frac, 6))
	default:
		f = r.Uint64()
	}
	return r.Uint64N(2)<<(frac+exp) | e<<frac | f&(one<<frac-1)
}
