package fp

import "math"

// F32ToF64 is FCVT.D.S. Widening is exact; only a signaling NaN raises a flag.
func F32ToF64(x uint32) (uint64, uint32) {
	if x&expMask32 != expMask32 {
		return math.Float64bits(float64(math.Float32frombits(x))), 0
	}
	return convert(binary64, binary32, uint64(x), RNE)
}

// F64ToF32 is FCVT.S.D.
func F64ToF32(x uint64, rm RM) (uint32, uint32) {
	if rm == RNE {
		if r, flags, ok := narrowFast(math.Float64frombits(x)); ok {
			return r, flags
		}
	}
	return narrow(convert(binary32, binary64, x, rm))
}

// F16ToF32 is FCVT.S.H, exact as F32ToF64.
func F16ToF32(x uint16) (uint32, uint32) {
	return narrow(convert(binary32, binary16, uint64(x), RNE))
}

// F16ToF64 is FCVT.D.H, exact as F32ToF64.
func F16ToF64(x uint16) (uint64, uint32) {
	return convert(binary64, binary16, uint64(x), RNE)
}

// F32ToF16 is FCVT.H.S.
func F32ToF16(x uint32, rm RM) (uint16, uint32) {
	r, flags := convert(binary16, binary32, uint64(x), rm)
	return uint16(r), flags
}

// F64ToF16 is FCVT.H.D, rounded once.
func F64ToF16(x uint64, rm RM) (uint16, uint32) {
	r, flags := convert(binary16, binary64, x, rm)
	return uint16(r), flags
}

func convert(to, from format, x uint64, rm RM) (uint64, uint32) {
	n := from.unpack(x)
	switch n.kind {
	case zero:
		return to.signed(n.neg, 0), 0
	case infinite:
		return to.signed(n.neg, to.inf()), 0
	case quiet, signaling:
		return to.nanResult(n)
	}
	return to.round(n.neg, n.exp, n.sig, rm)
}
