package fp

// Round64 is FROUND.D of Zfa: to an integral number of the same format. It raises
// no flag but NV, for signaling NaNs.
func Round64(x uint64, rm RM) (uint64, uint32) {
	r, flags := binary64.roundIntegral(x, rm)
	return r, flags &^ NX
}

// RoundNX64 is FROUNDNX.D of Zfa: Round64 that raises NX where the result differs.
func RoundNX64(x uint64, rm RM) (uint64, uint32) { return binary64.roundIntegral(x, rm) }

// Round32 is FROUND.S of Zfa: as Round64.
func Round32(x uint32, rm RM) (uint32, uint32) {
	r, flags := binary32.roundIntegral(uint64(x), rm)
	return uint32(r), flags &^ NX
}

// RoundNX32 is FROUNDNX.S of Zfa: as RoundNX64.
func RoundNX32(x uint32, rm RM) (uint32, uint32) {
	return narrow(binary32.roundIntegral(uint64(x), rm))
}

func (f format) roundIntegral(x uint64, rm RM) (uint64, uint32) {
	if f.isNaN(x) {
		return f.nanResult(f.unpack(x))
	}
	neg, magnitude := x&f.sign() != 0, x&^f.sign()
	e := int(magnitude>>f.frac) - f.bias()
	switch {
	case e >= int(f.frac) || magnitude == 0:
		return x, 0
	case e < -1: // below a half
		return f.fromUnit(neg, rm.roundsAway(neg, false, 1, 2)), NX
	case e == -1: // from a half up to one
		rem := 2 + b2u(magnitude&(1<<f.frac-1) != 0)
		return f.fromUnit(neg, rm.roundsAway(neg, false, rem, 2)), NX
	}
	places := f.frac - uint(e)
	rem := magnitude & (1<<places - 1)
	if rem == 0 {
		return x, 0
	}
	// The bit above the fraction is the integer's lowest; for e = 0 that is the
	// implicit one, where the exponent's lowest bit stands, set as it must be
	// since biases are odd. A carry moves on into the exponent.
	r := magnitude - rem
	if rm.roundsAway(neg, r>>places&1 != 0, rem, 1<<(places-1)) {
		r += 1 << places
	}
	return f.signed(neg, r), NX
}

// fromUnit is 1 or 0 of the given sign.
func (f format) fromUnit(neg, one bool) uint64 {
	if one {
		return f.signed(neg, uint64(f.bias())<<f.frac)
	}
	return f.signed(neg, 0)
}
