#include "textflag.h"

// func enter(routine, state, code uintptr)
//
// Calls the entry routine of generated code. Being splittable, the function is
// a point where the goroutine can be stopped, which the code itself is not. Its
// frame has a word at 16(RSP) that is the code's, and the code may use what is
// above to the frame's upper end, enterFrame bytes up. By ABI0 all registers but
// RSP, g (R28) and R29 are free; R18 is left alone.
//
// ISB: the code may have been written by another processor than this one.
TEXT ·enter(SB), 0, $286720-24
	MOVD routine+0(FP), R1
	MOVD state+8(FP), R19
	MOVD code+16(FP), R0
	ISB $15
	CALL (R1)
	RET
