#include "textflag.h"

// func fetchable(written, executed, size uintptr)
//
// CTR_EL0 has the logarithms of the smallest cache lines, in words: of the
// instruction cache in bits 0 to 3, of the data cache in bits 16 to 19.
TEXT ·fetchable(SB), NOSPLIT, $0-24
	MOVD written+0(FP), R0
	MOVD executed+8(FP), R1
	MOVD size+16(FP), R2
	ADD R0, R2, R3 // the ends
	ADD R1, R2, R4
	MRS CTR_EL0, R5
	MOVD $4, R6
	UBFX $16, R5, $4, R7
	LSL R7, R6, R7
	AND $15, R5, R8
	LSL R8, R6, R8
	SUB $1, R7, R9
	BIC R9, R0, R0
clean:
	DC CVAU, R0
	ADD R7, R0
	CMP R3, R0
	BLO clean
	DSB $11 // ISH
	SUB $1, R8, R9
	BIC R9, R1, R1
drop:
	WORD $0xd50b7521 // ic ivau, x1
	ADD R8, R1
	CMP R4, R1
	BLO drop
	DSB $11
	ISB $15
	RET
