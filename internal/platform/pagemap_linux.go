package platform

import (
	"encoding/binary"
	"os"
	"sync"
	"unsafe"
)

// entry is what the host says of a page of ours (Linux's
// Documentation/admin-guide/mm/pagemap.rst).
type entry uint64

const (
	entryPresent entry = 1 << 63
	entrySwapped entry = 1 << 62
	entryFile    entry = 1 << 61 // of a file: not this mapping's own
	entryOnce    entry = 1 << 56 // mapped once; the page of zeros that reads find is not
)

// pagemap is kept open: it is asked often.
var pagemap = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/self/pagemap") })

var entryBuffers = sync.Pool{New: func() any { return new([8 * 2048]byte) }}

// entries calls f for each page from the one that holds off, with its offset,
// until f returns false. It returns false if the host does not tell.
func (m *Memory) entries(off uint64, f func(page uint64, e entry) bool) bool {
	size, page := uint64(len(m.Bytes)), uint64(os.Getpagesize())
	if off >= size {
		return true
	}
	file, err := pagemap()
	if err != nil {
		return false
	}
	first := uint64(uintptr(unsafe.Pointer(&m.Bytes[0]))) / page
	buf := entryBuffers.Get().(*[8 * 2048]byte)
	defer entryBuffers.Put(buf)
	for n := off / page; n*page < size; n += uint64(len(buf)) / 8 {
		b := buf[:min(uint64(len(buf)), (size/page-n)*8)]
		if _, err := file.ReadAt(b, int64((first+n)*8)); err != nil {
			return false
		}
		for i := 0; i < len(b); i += 8 {
			if !f((n+uint64(i)/8)*page, entry(binary.NativeEndian.Uint64(b[i:]))) {
				return true
			}
		}
	}
	return true
}

// Usage is what a memory takes of the host, in bytes.
type Usage struct {
	Private uint64 // in the host's memory, for this memory alone
	Swapped uint64 // on the host's swap
}

// Usage asks the host; ok is false if it does not tell.
func (m *Memory) Usage() (u Usage, ok bool) {
	page := uint64(os.Getpagesize())
	ok = m.entries(0, func(_ uint64, e entry) bool {
		switch {
		case e&entrySwapped != 0:
			u.Swapped += page
		case e&entryPresent != 0 && e&entryFile == 0 && e&entryOnce != 0:
			u.Private += page
		}
		return true
	})
	return u, ok
}
