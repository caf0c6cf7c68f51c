package interp

import (
	"sync/atomic"
	"unsafe"
)

// hostIsTSO: stores are seen in order, and loads are made in order.
const hostIsTSO = true

// HasQuadCAS tells whether amocas.q is atomic on this host, so that the
// machine may advertise Zacas. Every amd64 processor since 2005 has
// CMPXCHG16B.
const HasQuadCAS = true

// cas128 replaces the 16 aligned bytes at p if they are as expected, in one
// step, and returns what they were.
//
//go:noescape
func cas128(p unsafe.Pointer, expLo, expHi, newLo, newHi uint64) (lo, hi uint64)

// barrier orders all earlier accesses before all later ones, as every locked
// instruction does.
func barrier() {
	var n atomic.Uint32
	n.Swap(1)
}
