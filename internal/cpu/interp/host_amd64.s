#include "textflag.h"

// func cas128(p unsafe.Pointer, expLo, expHi, newLo, newHi uint64) (lo, hi uint64)
TEXT ·cas128(SB), NOSPLIT, $0-56
	MOVQ p+0(FP), DI
	MOVQ expLo+8(FP), AX
	MOVQ expHi+16(FP), DX
	MOVQ newLo+24(FP), BX
	MOVQ newHi+32(FP), CX
	LOCK
	CMPXCHG16B (DI)
	MOVQ AX, lo+40(FP)
	MOVQ DX, hi+48(FP)
	RET
