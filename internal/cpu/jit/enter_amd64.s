#include "textflag.h"

// func enter(routine, state, code uintptr)
//
// Calls the entry routine of generated code. Being splittable, the function is
// a point where the goroutine can be stopped, which the code itself is not; its
// frame, enterFrame, is what the code may use of the stack, from its upper end. By ABI0 all
// registers but SP and BP are free, and BP is saved with the frame.
TEXT ·enter(SB), 0, $286720-24
	MOVQ routine+0(FP), CX
	MOVQ state+8(FP), R15
	MOVQ code+16(FP), AX
	CALL CX
	RET
