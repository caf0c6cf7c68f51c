#include "textflag.h"

// func serialize()
//
// An IRETQ to the next instruction: it serializes, and unlike CPUID does not
// leave a virtual machine. It takes off the stack what is pushed, of which the
// assembler need not know.
TEXT ·serialize(SB), NOSPLIT, $64-0
	MOVQ SP, CX
	BYTE $0x8c; BYTE $0xd0 // mov eax, ss
	BYTE $0x50 // push rax
	BYTE $0x51 // push rcx
	BYTE $0x9c // pushfq
	BYTE $0x8c; BYTE $0xc8 // mov eax, cs
	BYTE $0x50 // push rax
	BYTE $0x48; BYTE $0x8d; BYTE $0x05; BYTE $3; BYTE $0; BYTE $0; BYTE $0 // lea rax, [rip+3]
	BYTE $0x50 // push rax
	BYTE $0x48; BYTE $0xcf // iretq
	RET
