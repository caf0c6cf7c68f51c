package fp

import (
	"math"
	"math/bits"
)

// I32ToF64 is FCVT.D.W, which is always exact.
func I32ToF64(v int32) uint64 { return math.Float64bits(float64(v)) }

// U32ToF64 is FCVT.D.WU, which is always exact.
func U32ToF64(v uint32) uint64 { return math.Float64bits(float64(v)) }

// I64ToF64 is FCVT.D.L.
func I64ToF64(v int64, rm RM) (uint64, uint32) {
	// Integers of at most 53 bits are exact.
	if v >= -1<<53 && v <= 1<<53 {
		return math.Float64bits(float64(v)), 0
	}
	return binary64.fromSigned(v, rm)
}

// U64ToF64 is FCVT.D.LU.
func U64ToF64(v uint64, rm RM) (uint64, uint32) {
	if v <= 1<<53 {
		return math.Float64bits(float64(int64(v))), 0
	}
	return binary64.fromMagnitude(false, v, rm)
}

// I32ToF32 is FCVT.S.W.
func I32ToF32(v int32, rm RM) (uint32, uint32) { return I64ToF32(int64(v), rm) }

// U32ToF32 is FCVT.S.WU.
func U32ToF32(v uint32, rm RM) (uint32, uint32) { return I64ToF32(int64(v), rm) }

// I64ToF32 is FCVT.S.L.
func I64ToF32(v int64, rm RM) (uint32, uint32) {
	// Integers of at most 24 bits are exact.
	if v >= -1<<24 && v <= 1<<24 {
		return math.Float32bits(float32(v)), 0
	}
	return narrow(binary32.fromSigned(v, rm))
}

// U64ToF32 is FCVT.S.LU.
func U64ToF32(v uint64, rm RM) (uint32, uint32) {
	return narrow(binary32.fromMagnitude(false, v, rm))
}

func (f format) fromSigned(v int64, rm RM) (uint64, uint32) {
	if v < 0 {
		return f.fromMagnitude(true, -uint64(v), rm)
	}
	return f.fromMagnitude(false, uint64(v), rm)
}

func (f format) fromMagnitude(neg bool, v uint64, rm RM) (uint64, uint32) {
	if v == 0 {
		return 0, 0
	}
	shift := bits.LeadingZeros64(v)
	return f.round(neg, 63-shift, v<<shift, rm)
}
