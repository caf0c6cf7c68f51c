package arm64

// Vector registers: V0 to V2 are free.
const (
	V0 Reg = iota
	V1
	V2
	V3
	V4
)

// kind is the type field of scalar instructions.
func kind(size uint8) uint32 {
	if size == 8 {
		return 1 << 22
	}
	return 0
}

// Scalar instructions on doubles and singles.
const (
	opFMul    = 0x1e200800
	opFDiv    = 0x1e201800
	opFAdd    = 0x1e202800
	opFSub    = 0x1e203800
	opFMax    = 0x1e204800
	opFMin    = 0x1e205800
	opFMaxNM  = 0x1e206800
	opFMinNM  = 0x1e207800
	opFAbs    = 0x1e20c000
	opFNeg    = 0x1e214000
	opFSqrt   = 0x1e21c000
	opFCvtToS = 0x1e224000 // from what kind says
	opFCvtToD = 0x1e22c000

	// To an integer, towards or to nearest as FCVT.. below; I and X as FPCR
	// says, of which X raises inexact.
	opFRintN = 0x1e244000
	opFRintP = 0x1e24c000
	opFRintM = 0x1e254000
	opFRintZ = 0x1e25c000
	opFRintA = 0x1e264000
	opFRintX = 0x1e274000
	opFRintI = 0x1e27c000

	// d = c + n*m, c - n*m, -c - n*m, -c + n*m
	opFMAdd  = 0x1f000000
	opFMSub  = 0x1f008000
	opFNMAdd = 0x1f200000
	opFNMSub = 0x1f208000

	// From and to general registers.
	opFCvtNS = 0x1e200000
	opFCvtNU = 0x1e210000
	opSCvtF  = 0x1e220000
	opUCvtF  = 0x1e230000
	opFCvtAS = 0x1e240000
	opFCvtAU = 0x1e250000
	opFMovX  = 0x1e260000 // to general
	opFMovF  = 0x1e270000 // from general
	opFCvtPS = 0x1e280000
	opFCvtPU = 0x1e290000
	opFCvtMS = 0x1e300000
	opFCvtMU = 0x1e310000
	opFCvtZS = 0x1e380000
	opFCvtZU = 0x1e390000
)

// scalar has two source registers, of which m is not used by some.
func (a *asm) scalar(code uint32, size uint8, d, n, m Reg) { a.rrr(code|kind(size), false, d, n, m) }

// fma has three.
func (a *asm) fma(code uint32, size uint8, d, n, m, c Reg) {
	a.rrr(code|kind(size)|uint32(c)<<10, false, d, n, m)
}

// convert is between a general register of 64 bits, if w, and a vector
// register.
func (a *asm) convert(code uint32, w bool, size uint8, d, n Reg) { a.inst(code|kind(size), w, d, n) }

// fcmp raises invalid for signalling NaNs only, unless signal.
func (a *asm) fcmp(size uint8, n, m Reg, signal bool) {
	code := uint32(0x1e202000)
	if signal {
		code |= 1 << 4
	}
	a.rrr(code|kind(size), false, 0, n, m)
}

// Operations on eight bytes.
func (a *asm) rbitV(d, n Reg)    { a.inst(0x2e605800, false, d, n) }
func (a *asm) cnt(d, n Reg)      { a.inst(0x0e205800, false, d, n) }
func (a *asm) addv(d, n Reg)     { a.inst(0x0e31b800, false, d, n) }
func (a *asm) cmtst(d, n, m Reg) { a.rrr(0x0e208c00, false, d, n, m) }

// fmov copies a double, or what else there is in the lower half.
func (a *asm) fmov(d, n Reg) {
	if d != n {
		a.inst(0x1e604000, false, d, n)
	}
}

// orrV is of the lower half.
func (a *asm) orrV(d, n, m Reg) { a.rrr(0x0ea01c00, false, d, n, m) }

// pairF accesses two doubles at base + off, -512 <= off < 512.
func (a *asm) pairF(load bool, t, u, base Reg, off int32) {
	code := uint32(0x6d000000)
	if load {
		code |= 1 << 22
	}
	a.inst(code|uint32(off>>3)&0x7f<<15|uint32(u)<<10, false, t, base)
}

// What is in a vector register's lower half or, of 32 bits, quarter.
func (a *asm) fmovX(size uint8, d, n Reg) { a.convert(opFMovX, size == 8, size, d, n) }
func (a *asm) fmovF(size uint8, d, n Reg) { a.convert(opFMovF, size == 8, size, d, n) }

func (a *asm) readFPSR(d Reg)  { a.inst(0xd53b4420, false, d, 0) }
func (a *asm) writeFPSR(n Reg) { a.inst(0xd51b4420, false, n, 0) }
func (a *asm) writeFPCR(n Reg) { a.inst(0xd51b4400, false, n, 0) }
