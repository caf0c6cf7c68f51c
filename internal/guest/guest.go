// Package guest holds the small guest that is inside the binary: the first
// thing a new user boots, without a download, a disk or a network. It is a
// lesson and a self-test; see guest.asm.
package guest

import (
	_ "embed"

	"doppel/internal/riscv/asm"
)

// Base is where the guest is linked to run.
const Base = 0x80200000

//go:embed guest.asm
var source string

// Image assembles the guest and returns it as a kernel Image.
func Image() []byte {
	return asm.MustAssemble(source, asm.Options{Origin: Base}).Code
}
