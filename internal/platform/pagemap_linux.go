package platform

import (
	"encoding/binary"
	"fmt"
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

// PageState tells what a page of a Memory takes of the host.
type PageState uint8

const (
	PageAbsent  PageState = iota // nothing: it was not touched, or given back
	PagePrivate                  // memory of its own
	PageSwapped                  // a place on the host's swap, of its own
	PageBorrows                  // nothing: it reads what others have too
)

func (s PageState) String() string {
	names := [...]string{"absent", "private", "swapped", "borrows"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("PageState(%d)", uint8(s))
}

// States calls f for each page from off until f returns false. It returns
// false if the host does not tell.
func (m *Memory) States(off uint64, f func(off uint64, s PageState) bool) bool {
	return m.entries(off, func(page uint64, e entry) bool {
		switch {
		case e&entrySwapped != 0:
			return f(page, PageSwapped)
		case e&entryPresent == 0:
			return f(page, PageAbsent)
		case e&entryFile == 0 && e&entryOnce != 0:
			return f(page, PagePrivate)
		}
		return f(page, PageBorrows)
	})
}
