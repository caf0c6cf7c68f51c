#include "textflag.h"

// func cas128(p unsafe.Pointer, expLo, expHi, newLo, newHi uint64) (lo, hi uint64)
TEXT ·cas128(SB), NOSPLIT, $0-56
	MOVD p+0(FP), R0
	MOVD expLo+8(FP), R1
	MOVD expHi+16(FP), R2
	MOVD newLo+24(FP), R3
	MOVD newHi+32(FP), R4
retry:
	LDAXP (R0), (R5, R6)
	CMP R1, R5
	CCMP EQ, R2, R6, $0
	BNE differs
	STLXP (R3, R4), (R0), R7
	CBNZ R7, retry
	B done
differs:
	// Only a store makes the pair one single-copy atomic read.
	STLXP (R5, R6), (R0), R7
	CBNZ R7, retry
done:
	DMB $11
	MOVD R5, lo+40(FP)
	MOVD R6, hi+48(FP)
	RET

// func barrier()
TEXT ·barrier(SB), NOSPLIT, $0-0
	DMB $11
	RET
