package fp

import "math"

const (
	expMask32 = uint32(0xff) << 23
	expMask64 = uint64(0x7ff) << 52
)

// Add64 gives a+b.
func Add64(a, b uint64, rm RM) (uint64, uint32) {
	if rm == RNE {
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		s := x + y
		r := math.Float64bits(s)
		// A finite sum has finite operands. It cannot underflow: a subnormal sum
		// is exact. Taking the larger operand away from it is exact too (Dekker),
		// so that one of the differences decides, and for an exact sum both hold.
		if r&expMask64 != expMask64 {
			if s-x == y && s-y == x {
				return r, 0
			}
			return r, NX
		}
	}
	return binary64.add(a, b, rm)
}

// Sub64 gives a-b.
func Sub64(a, b uint64, rm RM) (uint64, uint32) { return Add64(a, b^Sign64, rm) }

// Add32 gives a+b.
func Add32(a, b uint32, rm RM) (uint32, uint32) {
	if rm == RNE {
		x, y := math.Float32frombits(a), math.Float32frombits(b)
		s := x + y
		r := math.Float32bits(s)
		// As in Add64.
		if r&expMask32 != expMask32 {
			if s-x == y && s-y == x {
				return r, 0
			}
			return r, NX
		}
	}
	return narrow(binary32.add(uint64(a), uint64(b), rm))
}

// Sub32 gives a-b.
func Sub32(a, b uint32, rm RM) (uint32, uint32) { return Add32(a, b^Sign32, rm) }

func narrow(r uint64, flags uint32) (uint32, uint32) { return uint32(r), flags }

func (f format) add(a, b uint64, rm RM) (uint64, uint32) {
	x, y := f.unpack(a), f.unpack(b)
	switch {
	case x.isNaN() || y.isNaN():
		return f.nanResult(x, y)
	case x.kind == infinite && y.kind == infinite && x.neg != y.neg:
		return f.nan(), NV
	case x.kind == infinite:
		return a, 0
	case y.kind == infinite:
		return b, 0
	case x.kind == zero && y.kind == zero:
		return f.addZeros(x.neg, y.neg, rm), 0
	case x.kind == zero:
		return b, 0
	case y.kind == zero:
		return a, 0
	}
	return f.addFinite(wide{x.sig, 0, x.exp, x.neg}, wide{y.sig, 0, y.exp, y.neg}, rm)
}

// addZeros: IEEE 754 §6.3: zeros of like sign keep it.
func (f format) addZeros(xneg, yneg bool, rm RM) uint64 {
	if xneg == yneg {
		return f.signed(xneg, 0)
	}
	return f.exactZero(rm)
}
