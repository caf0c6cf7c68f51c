package fp

import "math/bits"

// format is an IEEE 754 binary interchange format of at most 64 bits. Values of
// narrower formats travel in the low bits of a uint64.
type format struct {
	frac uint // trailing significand bits, without the implicit bit
	exp  uint // exponent bits
}

var (
	binary16 = format{frac: 10, exp: 5}
	binary32 = format{frac: 23, exp: 8}
	binary64 = format{frac: 52, exp: 11}
)

func (f format) bias() int           { return 1<<(f.exp-1) - 1 }
func (f format) expMax() uint64      { return 1<<f.exp - 1 }
func (f format) sign() uint64        { return 1 << (f.frac + f.exp) }
func (f format) inf() uint64         { return f.expMax() << f.frac }
func (f format) nan() uint64         { return f.inf() | 1<<(f.frac-1) }
func (f format) isNaN(x uint64) bool { return x&^f.sign() > f.inf() }

// isSignaling: the top bit of the significand distinguishes quiet NaNs.
func (f format) isSignaling(x uint64) bool {
	return f.isNaN(x) && x>>(f.frac-1)&1 == 0
}

func (f format) signed(neg bool, magnitude uint64) uint64 {
	if neg {
		return magnitude | f.sign()
	}
	return magnitude
}

// kind sorts numbers by the treatment they need in arithmetic.
type kind uint8

const (
	zero kind = iota
	finite
	infinite
	quiet
	signaling
)

func (k kind) String() string {
	return [...]string{"zero", "finite", "infinite", "quiet NaN", "signaling NaN"}[k]
}

// num is an unpacked number. A finite one is (-1)^neg × sig × 2^(exp-63) with the
// top bit of sig set, subnormals included; sig and exp mean nothing otherwise.
type num struct {
	sig  uint64
	exp  int
	neg  bool
	kind kind
}

func (n num) isNaN() bool { return n.kind >= quiet }

func (f format) unpack(x uint64) num {
	n := num{neg: x&f.sign() != 0}
	e := x >> f.frac & f.expMax()
	frac := x & (1<<f.frac - 1)
	switch {
	case e == f.expMax() && frac == 0:
		n.kind = infinite
	case e == f.expMax() && frac>>(f.frac-1) == 0:
		n.kind = signaling
	case e == f.expMax():
		n.kind = quiet
	case e != 0:
		n.kind = finite
		n.sig = (frac | 1<<f.frac) << (63 - f.frac)
		n.exp = int(e) - f.bias()
	case frac != 0:
		n.kind = finite
		shift := bits.LeadingZeros64(frac)
		n.sig = frac << shift
		n.exp = 1 - f.bias() + 63 - int(f.frac) - shift
	}
	return n
}

// roundsAway reports whether a magnitude with the discarded part rem, on a scale
// where half of the last kept place is half, goes up to the next magnitude.
func (rm RM) roundsAway(neg, odd bool, rem, half uint64) bool {
	switch rm {
	case RTZ:
		return false
	case RDN:
		return neg && rem != 0
	case RUP:
		return !neg && rem != 0
	case RMM:
		return rem >= half
	}
	return rem > half || rem == half && odd
}

// round packs a finite nonzero number. The top bit of sig is set; the lowest bit
// may be sticky: set when the exact value lies strictly between sig and sig±1.
func (f format) round(neg bool, exp int, sig uint64, rm RM) (uint64, uint32) {
	drop := 63 - f.frac
	biased := exp + f.bias()
	tiny := false
	if biased < 1 {
		tiny = f.isTiny(neg, biased, sig, rm)
		sig = shiftJam(sig, uint(1-biased))
		biased = 1
	}
	var flags uint32
	q, rem := sig>>drop, sig&(1<<drop-1)
	if rem != 0 {
		flags = NX
		if tiny {
			flags |= UF
		}
		if rm.roundsAway(neg, q&1 != 0, rem, 1<<(drop-1)) {
			q++
		}
	}
	// q carries the implicit bit, which adds the last one to a normal number's
	// exponent; a carry out of rounding propagates the same way.
	if biased >= int(f.expMax()) {
		return f.overflow(neg, rm)
	}
	r := uint64(biased-1)<<f.frac + q
	if r >= f.inf() {
		return f.overflow(neg, rm)
	}
	return f.signed(neg, r), flags
}

// isTiny reports whether a number below the normal range stays there when
// rounded to full precision with an unbounded exponent (unpriv §20.4: tininess is
// detected after rounding).
func (f format) isTiny(neg bool, biased int, sig uint64, rm RM) bool {
	if biased < 0 {
		return true
	}
	drop := 63 - f.frac
	q, rem := sig>>drop, sig&(1<<drop-1)
	carries := q == 1<<(f.frac+1)-1 && rm.roundsAway(neg, true, rem, 1<<(drop-1))
	return !carries
}

func (f format) overflow(neg bool, rm RM) (uint64, uint32) {
	r := f.inf()
	// Modes that round this sign towards zero stop at the largest finite number.
	if rm == RTZ || rm == RDN && !neg || rm == RUP && neg {
		r--
	}
	return f.signed(neg, r), OF | NX
}

// exactZero is the sum of opposite numbers: IEEE 754 §6.3 makes it +0 except when
// rounding down.
func (f format) exactZero(rm RM) uint64 { return f.signed(rm == RDN, 0) }

// nanResult is the result of an operation on numbers of which one is a NaN.
func (f format) nanResult(ns ...num) (uint64, uint32) {
	for _, n := range ns {
		if n.kind == signaling {
			return f.nan(), NV
		}
	}
	return f.nan(), 0
}

// shiftJam shifts right and ORs the bits lost into the lowest bit.
func shiftJam(x uint64, n uint) uint64 {
	if n >= 64 {
		return b2u(x != 0)
	}
	return x>>n | b2u(x&(1<<n-1) != 0)
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
