package fp

import "math"

// Conversions to integers round, then saturate: a rounded value out of range, an
// infinity or a NaN gives the nearest bound (NaN the upper) and NV alone (unpriv
// §20.7). FCVT.W and FCVT.WU results are to be sign-extended to XLEN.

// F64ToI32 is FCVT.W.D.
func F64ToI32(x uint64, rm RM) (int32, uint32) {
	if rm == RTZ && below(x, 31) {
		v, flags := truncate(x)
		return int32(v), flags
	}
	v, flags := binary64.toSigned(x, 32, rm)
	return int32(v), flags
}

// F64ToU32 is FCVT.WU.D.
func F64ToU32(x uint64, rm RM) (uint32, uint32) {
	if rm == RTZ && below(x, 32) {
		if v, flags := truncate(x); v >= 0 {
			return uint32(v), flags
		}
	}
	return narrow(binary64.toUnsigned(x, 32, rm))
}

// F64ToI64 is FCVT.L.D.
func F64ToI64(x uint64, rm RM) (int64, uint32) {
	if rm == RTZ && below(x, 63) {
		return truncate(x)
	}
	return binary64.toSigned(x, 64, rm)
}

// F64ToU64 is FCVT.LU.D.
func F64ToU64(x uint64, rm RM) (uint64, uint32) {
	if rm == RTZ && below(x, 63) {
		if v, flags := truncate(x); v >= 0 {
			return uint64(v), flags
		}
	}
	return binary64.toUnsigned(x, 64, rm)
}

// Singles convert as the doubles of the same value. What kind of NaN one is makes
// no difference here.

// F32ToI32 is FCVT.W.S.
func F32ToI32(x uint32, rm RM) (int32, uint32) { return F64ToI32(widened(x), rm) }

// F32ToU32 is FCVT.WU.S.
func F32ToU32(x uint32, rm RM) (uint32, uint32) { return F64ToU32(widened(x), rm) }

// F32ToI64 is FCVT.L.S.
func F32ToI64(x uint32, rm RM) (int64, uint32) { return F64ToI64(widened(x), rm) }

// F32ToU64 is FCVT.LU.S.
func F32ToU64(x uint32, rm RM) (uint64, uint32) { return F64ToU64(widened(x), rm) }

func widened(x uint32) uint64 { return math.Float64bits(float64(math.Float32frombits(x))) }

// below reports whether the magnitude of x is less than 2^e.
func below(x uint64, e uint64) bool { return x>>52&0x7ff < 1023+e }

// truncate rounds towards zero a number of magnitude less than 2^63.
func truncate(x uint64) (int64, uint32) {
	f := math.Float64frombits(x)
	v := int64(f)
	// An integer that a double was truncated to converts back exactly.
	if float64(v) != f {
		return v, NX
	}
	return v, 0
}

func (f format) toSigned(x uint64, width uint, rm RM) (int64, uint32) {
	n := f.unpack(x)
	most := uint64(1)<<(width-1) - 1
	if n.isNaN() {
		return int64(most), NV
	}
	magnitude, flags := n.integer(rm)
	switch {
	case n.neg && (flags == NV || magnitude > most+1):
		return -int64(most) - 1, NV
	case n.neg:
		return -int64(magnitude), flags
	case flags == NV || magnitude > most:
		return int64(most), NV
	}
	return int64(magnitude), flags
}

func (f format) toUnsigned(x uint64, width uint, rm RM) (uint64, uint32) {
	n := f.unpack(x)
	most := uint64(math.MaxUint64) >> (64 - width)
	if n.isNaN() {
		return most, NV
	}
	magnitude, flags := n.integer(rm)
	switch {
	// Negative numbers that round to zero are in range.
	case n.neg && (flags == NV || magnitude != 0):
		return 0, NV
	case flags == NV || magnitude > most:
		return most, NV
	}
	return magnitude, flags
}

// integer rounds the magnitude to an integer: NX if that changed it, NV if it does
// not fit 64 bits. The number is not a NaN.
func (n num) integer(rm RM) (uint64, uint32) {
	switch {
	case n.kind == zero:
		return 0, 0
	case n.kind == infinite || n.exp > 63:
		return 0, NV
	case n.exp == 63:
		return n.sig, 0
	}
	// rem is the fraction on a scale of 2^64. Below a quarter, where only that
	// there is one matters, these stand.
	q, rem := uint64(0), uint64(1)
	if n.exp >= -1 {
		shift := uint(63 - n.exp)
		q, rem = n.sig>>shift, n.sig<<(64-shift)
	}
	if rem == 0 {
		return q, 0
	}
	// At least one bit was shifted out, so that the increment cannot wrap.
	if rm.roundsAway(n.neg, q&1 != 0, rem, 1<<63) {
		q++
	}
	return q, NX
}

// CvtModWD is FCVTMOD.W.D of Zfa: the integer part modulo 2^32, as a signed
// number; zero for infinities and NaNs. Flags are those of F64ToI32 rounding
// towards zero.
func CvtModWD(x uint64) (int32, uint32) {
	v, flags := F64ToI32(x, RTZ)
	if flags != NV {
		return v, flags
	}
	n := binary64.unpack(x)
	// From 2^(52+32) on the integer is a multiple of 2^32.
	if n.kind != finite || n.exp >= 52+32 {
		return 0, NV
	}
	var low uint32
	if n.exp <= 63 {
		low = uint32(n.sig >> (63 - n.exp))
	} else {
		low = uint32(n.sig << (n.exp - 63))
	}
	if n.neg {
		low = -low
	}
	return int32(low), NV
}
