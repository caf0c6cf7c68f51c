package fp

import "math/bits"

// wide is a finite nonzero number of 128 significant bits,
// (-1)^neg × (hi:lo) × 2^(exp-127), with the top bit of hi set. It holds the
// product of two numbers of any format exactly, with at least 22 low bits zero.
type wide struct {
	hi, lo uint64
	exp    int
	neg    bool
}

// addFinite gives the rounded sum of x and y, whose lowest two bits are zero.
func (f format) addFinite(x, y wide, rm RM) (uint64, uint32) {
	if x.exp < y.exp {
		x, y = y, x
	}
	// One bit of headroom for the carry of an addition.
	x = x.shiftJam(1)
	y = y.shiftJam(uint(x.exp - y.exp))
	sum := wide{exp: x.exp, neg: x.neg}
	if x.neg == y.neg {
		var carry uint64
		sum.lo, carry = bits.Add64(x.lo, y.lo, 0)
		sum.hi, _ = bits.Add64(x.hi, y.hi, carry)
		return f.roundWide(sum, rm)
	}
	// A sticky bit in y survives here: where y lost bits its exponent was smaller
	// by more than one, and then the difference loses at most one leading bit.
	var borrow uint64
	sum.lo, borrow = bits.Sub64(x.lo, y.lo, 0)
	sum.hi, borrow = bits.Sub64(x.hi, y.hi, borrow)
	if borrow != 0 {
		sum.lo, borrow = bits.Sub64(0, sum.lo, 0)
		sum.hi, _ = bits.Sub64(0, sum.hi, borrow)
		sum.neg = !sum.neg
	}
	if sum.hi|sum.lo == 0 {
		return f.exactZero(rm), 0
	}
	return f.roundWide(sum, rm)
}

// shiftJam shifts right, keeping the value apart from bits lost, which leave
// their trace in the lowest bit.
func (w wide) shiftJam(n uint) wide {
	w.exp += int(n)
	switch {
	case n == 0:
	case n < 64:
		lost := w.lo & (1<<n - 1)
		w.lo = w.lo>>n | w.hi<<(64-n) | b2u(lost != 0)
		w.hi >>= n
	case n < 128:
		lost := w.lo | w.hi&(1<<(n-64)-1)
		w.lo = w.hi>>(n-64) | b2u(lost != 0)
		w.hi = 0
	default:
		w.lo = b2u(w.hi|w.lo != 0)
		w.hi = 0
	}
	return w
}

// roundWide packs a nonzero number that need not have its top bit set.
func (f format) roundWide(w wide, rm RM) (uint64, uint32) {
	if w.hi == 0 {
		w.hi, w.lo = w.lo, 0
		w.exp -= 64
	}
	n := uint(bits.LeadingZeros64(w.hi))
	w.hi = w.hi<<n | w.lo>>(64-n)
	w.lo <<= n
	return f.round(w.neg, w.exp-int(n), w.hi|b2u(w.lo != 0), rm)
}
