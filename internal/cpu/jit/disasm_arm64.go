package jit

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/arch/arm64/arm64asm"
)

// hostInst disassembles the first instruction of code, which is at pc in code
// of size bytes that starts at start.
func hostInst(code []byte, _, _ uint64, _ int) (text string, n int) {
	if len(code) < 4 {
		return fmt.Sprintf(".byte %#02x", code[0]), 1
	}
	in, err := arm64asm.Decode(code)
	if err != nil {
		return fmt.Sprintf(".inst %#08x", binary.LittleEndian.Uint32(code)), 4
	}
	return arm64asm.GNUSyntax(in), 4
}
