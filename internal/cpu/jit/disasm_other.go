//go:build !amd64 && !arm64

package jit

import "fmt"

// hostInst: no code is made for this host.
func hostInst(code []byte, _, _ uint64, _ int) (text string, n int) {
	return fmt.Sprintf(".byte %#02x", code[0]), 1
}
