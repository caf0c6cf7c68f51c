// Package fp is the arithmetic of the RISC-V F, D, Zfhmin and Zfa extensions:
// pure functions from raw bits to raw bits and accrued exception flags, bit
// exact with the specification in every rounding mode and on every host.
//
// It knows nothing of registers, CSRs or traps: the caller resolves the dynamic
// rounding mode, rejects reserved ones, unboxes operands, boxes results, ORs the
// flags into fflags and sign-extends 32-bit integers to XLEN. FMSUB, FNMADD and
// FNMSUB are FMA32 and FMA64 with the sign bit of operands flipped.
//
// Every function has two paths. The fast path runs the operation on the host's
// float32 or float64 and applies only where the host must give the specified
// result: rounding to nearest even, a finite result safely above the subnormal
// range, and a way to tell exactly whether the result is inexact. Everything
// else takes the soft path, integer arithmetic on unpacked numbers (type num),
// which alone defines the behaviour; tests hold the fast path equal to it.
//
// The package has no state: any goroutine may call it, and there are no locks.
package fp

import "strconv"

// RM is a rounding mode, encoded as in the rm field and the frm CSR.
type RM uint8

// Rounding modes, unpriv §20.2. The reserved and the dynamic encodings (5 to 7)
// are the caller's to resolve; given one, functions here round as RNE does.
const (
	RNE RM = iota // to nearest, ties to even
	RTZ           // towards zero
	RDN           // down, towards negative infinity
	RUP           // up, towards positive infinity
	RMM           // to nearest, ties to maximum magnitude
)

// String gives the manual's mnemonic.
func (rm RM) String() string {
	switch rm {
	case RNE:
		return "RNE"
	case RTZ:
		return "RTZ"
	case RDN:
		return "RDN"
	case RUP:
		return "RUP"
	case RMM:
		return "RMM"
	}
	return "RM(" + strconv.Itoa(int(rm)) + ")"
}

// Accrued exception flags, as in the fflags CSR (unpriv §20.2).
const (
	NX uint32 = 1 << iota // inexact
	UF                    // underflow
	OF                    // overflow
	DZ                    // divide by zero
	NV                    // invalid operation
)

// Canonical NaNs: the only NaNs that arithmetic gives (unpriv §20.3).
const (
	NaN16 uint16 = 0x7e00
	NaN32 uint32 = 0x7fc0_0000
	NaN64 uint64 = 0x7ff8_0000_0000_0000
)

// Sign bits, for callers that negate operands.
const (
	Sign16 uint16 = 1 << 15
	Sign32 uint32 = 1 << 31
	Sign64 uint64 = 1 << 63
)

// Box32 NaN-boxes a single into a 64-bit register value.
func Box32(x uint32) uint64 { return 0xffff_ffff_0000_0000 | uint64(x) }

// Box16 NaN-boxes a half into a 64-bit register value.
func Box16(x uint16) uint64 { return 0xffff_ffff_ffff_0000 | uint64(x) }

// Unbox32 reads a single from a 64-bit register value.
func Unbox32(x uint64) uint32 {
	// unpriv §21.2: an improperly boxed narrower value is the canonical NaN.
	if x>>32 != 0xffff_ffff {
		return NaN32
	}
	return uint32(x)
}

// Unbox16 reads a half from a 64-bit register value.
func Unbox16(x uint64) uint16 {
	// unpriv §21.2: an improperly boxed narrower value is the canonical NaN.
	if x>>16 != 0xffff_ffff_ffff {
		return NaN16
	}
	return uint16(x)
}
