package interp

import "unsafe"

// hostIsTSO: see host_amd64.go.
const hostIsTSO = false

// HasQuadCAS: see host_amd64.go.
const HasQuadCAS = true

// cas128 replaces the 16 aligned bytes at p if they are as expected, in one
// step, and returns what they were.
//
//go:noescape
func cas128(p unsafe.Pointer, expLo, expHi, newLo, newHi uint64) (lo, hi uint64)

// barrier orders all earlier accesses before all later ones.
//
//go:noescape
func barrier()
