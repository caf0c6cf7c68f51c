package fp

// Eq64 is FEQ.D: a quiet comparison.
func Eq64(a, b uint64) (bool, uint32) { return binary64.eq(a, b) }

// Lt64 is FLT.D: a signaling comparison, invalid for every NaN.
func Lt64(a, b uint64) (bool, uint32) { return binary64.lt(a, b, true) }

// Le64 is FLE.D: a signaling comparison, invalid for every NaN.
func Le64(a, b uint64) (bool, uint32) { return binary64.le(a, b, true) }

// Ltq64 is FLTQ.D of Zfa: a quiet comparison.
func Ltq64(a, b uint64) (bool, uint32) { return binary64.lt(a, b, false) }

// Leq64 is FLEQ.D of Zfa: a quiet comparison.
func Leq64(a, b uint64) (bool, uint32) { return binary64.le(a, b, false) }

// Min64 is FMIN.D, IEEE 754-2019 minimumNumber.
func Min64(a, b uint64) (uint64, uint32) { return binary64.pick(a, b, true, false) }

// Max64 is FMAX.D, IEEE 754-2019 maximumNumber.
func Max64(a, b uint64) (uint64, uint32) { return binary64.pick(a, b, false, false) }

// MinM64 is FMINM.D of Zfa, IEEE 754-2019 minimum.
func MinM64(a, b uint64) (uint64, uint32) { return binary64.pick(a, b, true, true) }

// MaxM64 is FMAXM.D of Zfa, IEEE 754-2019 maximum.
func MaxM64(a, b uint64) (uint64, uint32) { return binary64.pick(a, b, false, true) }

// Eq32 is FEQ.S: a quiet comparison.
func Eq32(a, b uint32) (bool, uint32) { return binary32.eq(uint64(a), uint64(b)) }

// Lt32 is FLT.S: a signaling comparison, invalid for every NaN.
func Lt32(a, b uint32) (bool, uint32) { return binary32.lt(uint64(a), uint64(b), true) }

// Le32 is FLE.S: a signaling comparison, invalid for every NaN.
func Le32(a, b uint32) (bool, uint32) { return binary32.le(uint64(a), uint64(b), true) }

// Ltq32 is FLTQ.S of Zfa: a quiet comparison.
func Ltq32(a, b uint32) (bool, uint32) { return binary32.lt(uint64(a), uint64(b), false) }

// Leq32 is FLEQ.S of Zfa: a quiet comparison.
func Leq32(a, b uint32) (bool, uint32) { return binary32.le(uint64(a), uint64(b), false) }

// Min32 is FMIN.S, IEEE 754-2019 minimumNumber.
func Min32(a, b uint32) (uint32, uint32) {
	return narrow(binary32.pick(uint64(a), uint64(b), true, false))
}

// Max32 is FMAX.S, IEEE 754-2019 maximumNumber.
func Max32(a, b uint32) (uint32, uint32) {
	return narrow(binary32.pick(uint64(a), uint64(b), false, false))
}

// MinM32 is FMINM.S of Zfa, IEEE 754-2019 minimum.
func MinM32(a, b uint32) (uint32, uint32) {
	return narrow(binary32.pick(uint64(a), uint64(b), true, true))
}

// MaxM32 is FMAXM.S of Zfa, IEEE 754-2019 maximum.
func MaxM32(a, b uint32) (uint32, uint32) {
	return narrow(binary32.pick(uint64(a), uint64(b), false, true))
}

// unordered reports whether a or b is a NaN, and the flags that this raises.
func (f format) unordered(a, b uint64, signalAll bool) (bool, uint32) {
	switch {
	case !f.isNaN(a) && !f.isNaN(b):
		return false, 0
	case signalAll || f.isSignaling(a) || f.isSignaling(b):
		return true, NV
	}
	return true, 0
}

// order maps numbers to integers of the same order, with -0 just below +0.
func (f format) order(x uint64) int64 {
	if x&f.sign() != 0 {
		return ^int64(x &^ f.sign())
	}
	return int64(x)
}

// bothZero: zeros compare equal whatever their signs.
func (f format) bothZero(a, b uint64) bool { return (a|b)&^f.sign() == 0 }

func (f format) eq(a, b uint64) (bool, uint32) {
	if nan, flags := f.unordered(a, b, false); nan {
		return false, flags
	}
	return a == b || f.bothZero(a, b), 0
}

func (f format) lt(a, b uint64, signalAll bool) (bool, uint32) {
	if nan, flags := f.unordered(a, b, signalAll); nan {
		return false, flags
	}
	return f.order(a) < f.order(b) && !f.bothZero(a, b), 0
}

func (f format) le(a, b uint64, signalAll bool) (bool, uint32) {
	if nan, flags := f.unordered(a, b, signalAll); nan {
		return false, flags
	}
	return f.order(a) <= f.order(b) || f.bothZero(a, b), 0
}

// pick gives the lesser or the greater, taking -0 as less than +0 (unpriv §20.6).
// With propagate a NaN operand makes the result NaN; without, the number wins.
func (f format) pick(a, b uint64, least, propagate bool) (uint64, uint32) {
	if nan, flags := f.unordered(a, b, false); nan {
		switch {
		case propagate || f.isNaN(a) && f.isNaN(b):
			return f.nan(), flags
		case f.isNaN(a):
			return b, flags
		}
		return a, flags
	}
	if (f.order(a) < f.order(b)) == least {
		return a, 0
	}
	return b, 0
}
