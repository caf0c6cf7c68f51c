//go:build !amd64 && !arm64

package interp

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// hostIsTSO: see host_amd64.go.
const hostIsTSO = false

// HasQuadCAS: see host_amd64.go. Here amocas.q is atomic only with regard to
// itself.
const HasQuadCAS = false

var quadLock sync.Mutex

// cas128 replaces the 16 aligned bytes at p if they are as expected and
// returns what they were.
func cas128(p unsafe.Pointer, expLo, expHi, newLo, newHi uint64) (lo, hi uint64) {
	quadLock.Lock()
	defer quadLock.Unlock()
	q := (*[2]uint64)(p)
	lo, hi = q[0], q[1]
	if lo == expLo && hi == expHi {
		q[0], q[1] = newLo, newHi
	}
	return lo, hi
}

// barrier orders all earlier accesses before all later ones. Go's atomic
// operations are sequentially consistent, and no host of this kind makes them
// anything less than a barrier.
func barrier() {
	var n atomic.Uint32
	n.Swap(1)
}
