package fp

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
