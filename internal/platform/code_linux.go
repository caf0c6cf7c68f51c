package platform

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CodeMemory is memory for generated code, mapped twice: once to be written
// and once to be executed, never both through one mapping. Both lie between
// guards.
type CodeMemory struct {
	Bytes []byte  // writable
	Exec  uintptr // the address where the same memory is executable
	exec  []byte
	stale bool // the host may have fetched what was there before
}

// NewCodeMemory maps size bytes, a multiple of the host's page size.
func NewCodeMemory(name string, size int) (*CodeMemory, error) {
	m := &CodeMemory{}
	var err error
	if m.Bytes, err = mapGuarded(-1, uint64(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON|unix.MAP_NORESERVE); err != nil {
		return nil, fmt.Errorf("map %d bytes for %s: %w", size, name, err)
	}
	if m.exec, err = mapGuarded(-1, uint64(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE); err == nil {
		err = alias(m.exec, m.Bytes)
	}
	if err == nil {
		err = unix.Mprotect(m.exec, unix.PROT_READ|unix.PROT_EXEC)
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("map %d executable bytes for %s: %w", size, name, err)
	}
	m.Exec = uintptr(unsafe.Pointer(&m.exec[0]))
	return m, nil
}

// alias maps the shared memory of b at a, too, in place of what is there: mremap
// does so for a mapping of no size. A memory file could be mapped twice as well,
// but perf has names for code in anonymous memory only.
func alias(a, b []byte) error {
	_, err := unix.MremapPtr(unsafe.Pointer(&b[0]), 0, unsafe.Pointer(&a[0]), uintptr(len(a)), unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	return err
}

// Release gives memory from an offset up to another back to the host, as far as
// it is whole pages of it. It holds zeros then, and nothing executes it.
func (m *CodeMemory) Release(from, to int) error {
	page := os.Getpagesize()
	from, to = (from+page-1)&^(page-1), min((to+page-1)&^(page-1), len(m.Bytes))
	if from >= to {
		return nil
	}
	m.stale = true
	return unix.Madvise(m.Bytes[from:to], unix.MADV_REMOVE)
}

// Written says that size bytes at an offset have been written and are going to
// be executed.
func (m *CodeMemory) Written(at, size int) {
	if size > 0 {
		m.stale = true
		fetchable(uintptr(unsafe.Pointer(&m.Bytes[at])), m.Exec+uintptr(at), uintptr(size))
	}
}

// Sync comes between Written and the execution of what was written, on the
// goroutine that executes it. Whoever moves the goroutine to another processor
// synchronizes that.
func (m *CodeMemory) Sync() {
	if m.stale {
		m.stale = false
		serialize()
	}
}

// Close unmaps the memory. Nothing executes it any more.
func (m *CodeMemory) Close() error {
	err := unmapGuarded(m.Bytes)
	if m.exec != nil {
		if e := unmapGuarded(m.exec); err == nil {
			err = e
		}
	}
	*m = CodeMemory{}
	return err
}
