package fp

import "math"

// The host's comparisons are false for NaNs, so that one that holds settles the
// result. What none settles is left to the soft path.

// Eq64 is FEQ.D: a quiet comparison.
func Eq64(a, b uint64) (bool, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x == y:
		return true, 0
	case x < y || x > y:
		return false, 0
	}
	return binary64.eq(a, b)
}

// Lt64 is FLT.D: a signaling comparison, invalid for every NaN.
func Lt64(a, b uint64) (bool, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x < y:
		return true, 0
	case x >= y:
		return false, 0
	}
	return binary64.lt(a, b, true)
}

// Le64 is FLE.D: a signaling comparison, invalid for every NaN.
func Le64(a, b uint64) (bool, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x <= y:
		return true, 0
	case x > y:
		return false, 0
	}
	return binary64.le(a, b, true)
}

// Ltq64 is FLTQ.D of Zfa: a quiet comparison.
func Ltq64(a, b uint64) (bool, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x < y:
		return true, 0
	case x >= y:
		return false, 0
	}
	return binary64.lt(a, b, false)
}

// Leq64 is FLEQ.D of Zfa: a quiet comparison.
func Leq64(a, b uint64) (bool, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x <= y:
		return true, 0
	case x > y:
		return false, 0
	}
	return binary64.le(a, b, false)
}

// Min64 is FMIN.D, IEEE 754-2019 minimumNumber.
func Min64(a, b uint64) (uint64, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x < y:
		return a, 0
	case x > y:
		return b, 0
	}
	return binary64.pick(a, b, true, false)
}

// Max64 is FMAX.D, IEEE 754-2019 maximumNumber.
func Max64(a, b uint64) (uint64, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x > y:
		return a, 0
	case x < y:
		return b, 0
	}
	return binary64.pick(a, b, false, false)
}

// MinM64 is FMINM.D of Zfa, IEEE 754-2019 minimum.
func MinM64(a, b uint64) (uint64, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x < y:
		return a, 0
	case x > y:
		return b, 0
	}
	return binary64.pick(a, b, true, true)
}

// MaxM64 is FMAXM.D of Zfa, IEEE 754-2019 maximum.
func MaxM64(a, b uint64) (uint64, uint32) {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x > y:
		return a, 0
	case x < y:
		return b, 0
	}
	return binary64.pick(a, b, false, true)
}

// Eq32 is FEQ.S: a quiet comparison.
func Eq32(a, b uint32) (bool, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x == y:
		return true, 0
	case x < y || x > y:
		return false, 0
	}
	return binary32.eq(uint64(a), uint64(b))
}

// Lt32 is FLT.S: a signaling comparison, invalid for every NaN.
func Lt32(a, b uint32) (bool, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x < y:
		return true, 0
	case x >= y:
		return false, 0
	}
	return binary32.lt(uint64(a), uint64(b), true)
}

// Le32 is FLE.S: a signaling comparison, invalid for every NaN.
func Le32(a, b uint32) (bool, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x <= y:
		return true, 0
	case x > y:
		return false, 0
	}
	return binary32.le(uint64(a), uint64(b), true)
}

// Ltq32 is FLTQ.S of Zfa: a quiet comparison.
func Ltq32(a, b uint32) (bool, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x < y:
		return true, 0
	case x >= y:
		return false, 0
	}
	return binary32.lt(uint64(a), uint64(b), false)
}

// Leq32 is FLEQ.S of Zfa: a quiet comparison.
func Leq32(a, b uint32) (bool, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x <= y:
		return true, 0
	case x > y:
		return false, 0
	}
	return binary32.le(uint64(a), uint64(b), false)
}

// Min32 is FMIN.S, IEEE 754-2019 minimumNumber.
func Min32(a, b uint32) (uint32, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x < y:
		return a, 0
	case x > y:
		return b, 0
	}
	return narrow(binary32.pick(uint64(a), uint64(b), true, false))
}

// Max32 is FMAX.S, IEEE 754-2019 maximumNumber.
func Max32(a, b uint32) (uint32, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x > y:
		return a, 0
	case x < y:
		return b, 0
	}
	return narrow(binary32.pick(uint64(a), uint64(b), false, false))
}

// MinM32 is FMINM.S of Zfa, IEEE 754-2019 minimum.
func MinM32(a, b uint32) (uint32, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x < y:
		return a, 0
	case x > y:
		return b, 0
	}
	return narrow(binary32.pick(uint64(a), uint64(b), true, true))
}

// MaxM32 is FMAXM.S of Zfa, IEEE 754-2019 maximum.
func MaxM32(a, b uint32) (uint32, uint32) {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	switch {
	case x > y:
		return a, 0
	case x < y:
		return b, 0
	}
	return narrow(binary32.pick(uint64(a), uint64(b), false, true))
}
