package fp

import "math"

// The functions in this file are for engines in a hurry. Each takes the fflags
// accrued so far and returns them with the operation's own added. Once NX is
// there, as in most programs it is for good, whether a result is inexact does not
// matter, and the host's operation is all the work: in rounding to nearest, a
// result that is finite and safely above the subnormal range raises at most NX, and
// infinite or NaN operands do not give one.

// normal64 reports whether r is finite and safely above the subnormal range.
func normal64(r uint64) bool { return r>>52&0x7ff-2 < 0x7ff-2 }

// normal32 reports whether r is finite and safely above the subnormal range.
func normal32(r uint32) bool { return r>>23&0xff-2 < 0xff-2 }

// AccrueAdd64 is Add64, accruing into fflags.
func AccrueAdd64(a, b uint64, rm RM, fflags uint32) (uint64, uint32) {
	if rm == RNE && fflags&NX != 0 {
		r := math.Float64bits(math.Float64frombits(a) + math.Float64frombits(b))
		if normal64(r) {
			return r, fflags
		}
	}
	r, flags := Add64(a, b, rm)
	return r, fflags | flags
}

// AccrueMul64 is Mul64, accruing into fflags.
func AccrueMul64(a, b uint64, rm RM, fflags uint32) (uint64, uint32) {
	if rm == RNE && fflags&NX != 0 {
		r := math.Float64bits(math.Float64frombits(a) * math.Float64frombits(b))
		if normal64(r) {
			return r, fflags
		}
	}
	r, flags := Mul64(a, b, rm)
	return r, fflags | flags
}

// AccrueDiv64 is Div64, accruing into fflags.
func AccrueDiv64(a, b uint64, rm RM, fflags uint32) (uint64, uint32) {
	if rm == RNE && fflags&NX != 0 {
		r := math.Float64bits(math.Float64frombits(a) / math.Float64frombits(b))
		if normal64(r) {
			return r, fflags
		}
	}
	r, flags := Div64(a, b, rm)
	return r, fflags | flags
}

// AccrueFMA64 is FMA64, accruing into fflags.
func AccrueFMA64(a, b, c uint64, rm RM, fflags uint32) (uint64, uint32) {
	if rm == RNE && fflags&NX != 0 {
		x, y, z := math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c)
		if r := math.Float64bits(math.FMA(x, y, z)); normal64(r) {
			return r, fflags
		}
	}
	r, flags := FMA64(a, b, c, rm)
	return r, fflags | flags
}

// AccrueAdd32 is Add32, accruing into fflags.
func AccrueAdd32(a, b uint32, rm RM, fflags uint32) (uint32, uint32) {
	if rm == RNE && fflags&NX != 0 {
		r := math.Float32bits(math.Float32frombits(a) + math.Float32frombits(b))
		if normal32(r) {
			return r, fflags
		}
	}
	r, flags := Add32(a, b, rm)
	return r, fflags | flags
}

// AccrueMul32 is Mul32, accruing into fflags.
func AccrueMul32(a, b uint32, rm RM, fflags uint32) (uint32, uint32) {
	if rm == RNE && fflags&NX != 0 {
		r := math.Float32bits(math.Float32frombits(a) * math.Float32frombits(b))
		if normal32(r) {
			return r, fflags
		}
	}
	r, flags := Mul32(a, b, rm)
	return r, fflags | flags
}

// AccrueDiv32 is Div32, accruing into fflags.
func AccrueDiv32(a, b uint32, rm RM, fflags uint32) (uint32, uint32) {
	if rm == RNE && fflags&NX != 0 {
		r := math.Float32bits(math.Float32frombits(a) / math.Float32frombits(b))
		if normal32(r) {
			return r, fflags
		}
	}
	r, flags := Div32(a, b, rm)
	return r, fflags | flags
}
