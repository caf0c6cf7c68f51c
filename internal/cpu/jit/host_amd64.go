//go:build linux

package jit

import "golang.org/x/sys/cpu"

//go:noescape
func enter(routine, state, code uintptr)

// Available tells whether this host can run the code that is generated: it
// needs x86-64-v3, that is processors since 2013.
func Available() bool {
	x := &cpu.X86
	return x.HasSSE42 && x.HasPOPCNT && x.HasBMI1 && x.HasBMI2 && x.HasAVX2 && x.HasFMA
}
