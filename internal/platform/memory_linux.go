package platform

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory is zero-filled memory outside the Go heap, between guards.
type Memory struct {
	Bytes []byte
	pages *os.File // /proc/self/pagemap, once it was needed
}

// NewMemory maps size bytes, a multiple of the host's page size. The host gives
// pages out as they are touched. name is for errors.
//
// Large pages are not asked for. They save most of the faults, but a host that
// is itself a guest and gives free memory back pays for each as if it were new:
// 0.2 s more of a kernel's start was measured, for little gain in speed later.
func NewMemory(name string, size uint64) (*Memory, error) {
	b, err := mapGuarded(-1, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for %s: %w", size, name, err)
	}
	return &Memory{Bytes: b}, nil
}

// Discard gives whole pages back to the host; they read as zero afterwards.
func (m *Memory) Discard(off, n uint64) error {
	return unix.Madvise(m.Bytes[off:off+n], unix.MADV_DONTNEED)
}

// NextData finds the first run of bytes at or after off that may be other than
// zero; start is the length of the memory if there is none. It is not to be
// called by two goroutines at once.
func (m *Memory) NextData(off uint64) (start, end uint64) {
	size := uint64(len(m.Bytes))
	start, ok := m.next(off, true)
	if !ok {
		return off, size // a host that cannot tell
	}
	if end, ok = m.next(start, false); !ok {
		end = size
	}
	return start, end
}

// next finds the first page at or after off that the host has, or has not,
// given out.
func (m *Memory) next(off uint64, given bool) (at uint64, ok bool) {
	// From Documentation/admin-guide/mm/pagemap.rst: 64 bits a page, of which
	// these two tell that it is in memory and that it is swapped out.
	const present = 1<<63 | 1<<62
	size, page := uint64(len(m.Bytes)), uint64(os.Getpagesize())
	if off >= size {
		return size, true
	}
	if m.pages == nil {
		f, err := os.Open("/proc/self/pagemap")
		if err != nil {
			return 0, false
		}
		m.pages = f
	}
	first := uint64(uintptr(unsafe.Pointer(&m.Bytes[0]))) / page
	var buf [8 * 2048]byte
	for n := off / page; n*page < size; n += uint64(len(buf)) / 8 {
		b := buf[:min(uint64(len(buf)), (size/page-n)*8)]
		if _, err := m.pages.ReadAt(b, int64((first+n)*8)); err != nil {
			return 0, false
		}
		for i := 0; i < len(b); i += 8 {
			if (binary.NativeEndian.Uint64(b[i:])&present != 0) == given {
				return max(off, (n+uint64(i)/8)*page), true
			}
		}
	}
	return size, true
}

// Close unmaps the memory. Bytes must not be used afterwards.
func (m *Memory) Close() error {
	if m.pages != nil {
		m.pages.Close()
	}
	err := unmapGuarded(m.Bytes)
	*m = Memory{}
	return err
}
