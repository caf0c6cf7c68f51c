package platform

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// guardBytes is what no access reaches on both sides of memory that generated
// code addresses: should an address ever be wrong, by less than this, the
// process ends there and then instead of going on with a neighbour's data.
const guardBytes = 1 << 20

// largePage is what memory is aligned to, for the host to use large pages.
const largePage = 2 << 20

// mapGuarded maps a memory file, or anonymous memory, between guards, which
// take addresses and no memory.
func mapGuarded(fd int, size uint64, prot, flags int) ([]byte, error) {
	const around = 2*guardBytes + largePage
	whole, err := unix.MmapPtr(-1, 0, nil, uintptr(size)+around, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	skip := -(uintptr(whole) + guardBytes) % largePage
	at := unsafe.Add(whole, guardBytes+skip)
	err = trim(whole, skip)
	if err == nil {
		err = trim(unsafe.Add(at, size+guardBytes), largePage-skip)
	}
	if err == nil {
		_, err = unix.MmapPtr(fd, 0, at, uintptr(size), prot, flags|unix.MAP_FIXED)
	}
	if err != nil {
		_ = unix.MunmapPtr(unsafe.Add(at, -guardBytes), uintptr(size)+2*guardBytes) // the first error says more
		return nil, err
	}
	return unsafe.Slice((*byte)(at), size), nil
}

// trim unmaps what alignment has left over, if anything.
func trim(p unsafe.Pointer, n uintptr) error {
	if n == 0 {
		return nil
	}
	return unix.MunmapPtr(p, n)
}

// unmapGuarded undoes mapGuarded.
func unmapGuarded(b []byte) error {
	if len(b) == 0 {
		return unix.EINVAL // it was done before
	}
	return unix.MunmapPtr(unsafe.Add(unsafe.Pointer(&b[0]), -guardBytes), uintptr(len(b))+2*guardBytes)
}
