package sevensteps

import (
	"errors"
	"fmt"
	"strings"

	"doppel/internal/riscv/asm"
)

// origin is where a guest's own code begins, behind the header.
const origin = 0x80200040

// header is how a kernel tells a loader what it is: the 64 bytes that begin a
// Linux Image (Documentation/arch/riscv/boot-image-header.rst).
const header = `
	j       . + 64
	.balign 8, 0
	.dword  0x200000                # load offset from the start of RAM
	.dword  SIZE                    # of the whole
	.dword  0                       # flags
	.word   2, 0                    # version 0.2
	.dword  0
	.ascii  "RISCV\0\0\0"
	.ascii  "RSC\x05"
	.word   0
`

// assemble makes a kernel of a guest's source.
func assemble(source string, symbols map[string]uint64) ([]byte, error) {
	p, err := asm.Assemble(source, asm.Options{Origin: origin, Symbols: symbols})
	if err != nil {
		return nil, sourceError(err)
	}
	size := map[string]uint64{"SIZE": uint64(64 + len(p.Code))}
	h := asm.MustAssemble(header, asm.Options{Origin: origin - 64, Symbols: size})
	if len(h.Code) != 64 {
		panic(fmt.Sprintf("BUG: the header has %d bytes", len(h.Code)))
	}
	return append(h.Code, p.Code...), nil
}

// sourceError is a sentence about the first error of a source.
func sourceError(err error) error {
	var all asm.ErrorList
	if !errors.As(err, &all) || len(all) == 0 {
		return err
	}
	first, more := all[0], ""
	if n := len(all) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	if first.Line == 0 {
		return fmt.Errorf("%s%s", first.Message, more)
	}
	return fmt.Errorf("line %d, %q: %s%s", first.Line, strings.TrimSpace(first.Text), first.Message, more)
}
