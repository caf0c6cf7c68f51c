package platform

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Memory is zero-filled memory outside the Go heap, between guards.
type Memory struct {
	Bytes []byte
	small bool // see SmallPages
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

// SmallPages has the host give out no more than the page that is touched, also
// if it likes to give large ones. A host that has no large ones need not obey.
func (m *Memory) SmallPages() error {
	m.small = true
	if err := unix.Madvise(m.Bytes, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL {
		return fmt.Errorf("ask for small pages: %w", err)
	}
	return nil
}

// Discard gives whole pages back to the host; they read as zero afterwards.
func (m *Memory) Discard(off, n uint64) error {
	return unix.Madvise(m.Bytes[off:off+n], unix.MADV_DONTNEED)
}

// NextData finds the first run of bytes at or after off that may be other than
// zero; start is the length of the memory if there is none.
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
	at = uint64(len(m.Bytes))
	ok = m.entries(off, func(page uint64, e entry) bool {
		if e&(entryPresent|entrySwapped) != 0 != given {
			return true
		}
		at = max(off, page)
		return false
	})
	return at, ok
}

// Close unmaps the memory. Bytes must not be used afterwards.
func (m *Memory) Close() error {
	err := unmapGuarded(m.Bytes)
	*m = Memory{}
	return err
}
