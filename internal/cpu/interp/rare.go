package interp

import (
	"math/bits"

	"doppel/internal/riscv"
)

// box32 is the upper half of a NaN-boxed single (unpriv §21.2).
const box32 = 0xffff_ffff_0000_0000

func sext32(v uint32) uint64 { return uint64(int64(int32(v))) }

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// computeRare executes the integer computations that are too long or too rare
// for exec. false means that in is not one of them.
func computeRare(x *[32]uint64, in *inst) bool {
	a, b := x[in.rs1&31], x[in.rs2&31]
	var r uint64
	switch in.op {
	case riscv.CPOP:
		r = uint64(bits.OnesCount64(a))
	case riscv.CPOPW:
		r = uint64(bits.OnesCount32(uint32(a)))
	case riscv.ORC_B:
		r = orcB(a)
	case riscv.BREV8:
		r = bits.ReverseBytes64(bits.Reverse64(a))
	case riscv.PACK:
		r = uint64(uint32(a)) | b<<32
	case riscv.PACKH:
		r = a&0xff | b&0xff<<8
	case riscv.PACKW:
		r = sext32(uint32(a&0xffff | b<<16))
	case riscv.CLMUL:
		_, r = clmul(a, b)
	case riscv.CLMULH:
		r, _ = clmul(a, b)
	case riscv.CLMULR:
		hi, lo := clmul(a, b)
		r = hi<<1 | lo>>63
	default:
		return false
	}
	x[in.rd&31] = r
	return true
}

// orcB sets every byte that is not zero to 0xff.
func orcB(a uint64) uint64 {
	for i := 1; i < 8; i <<= 1 {
		a |= a >> i & (0x0101010101010101 * (1<<(8-i) - 1))
	}
	return a & 0x0101010101010101 * 0xff
}

// clmul is the 128-bit carry-less product.
func clmul(a, b uint64) (hi, lo uint64) {
	for b != 0 {
		i := bits.TrailingZeros64(b)
		lo ^= a << i
		hi ^= a >> (64 - i) // 0 for i = 0
		b &= b - 1
	}
	return hi, lo
}
