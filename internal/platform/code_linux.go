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
	// Since Linux 6.3 a memory file says whether it may be executed; before,
	// the flag is not known.
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create %s: %w", name, err)
	}
	defer unix.Close(fd) // the mappings stay
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, fmt.Errorf("memory file %s of %d bytes: %w", name, size, err)
	}
	m := &CodeMemory{}
	if m.Bytes, err = mapGuarded(fd, uint64(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map %d bytes for %s: %w", size, name, err)
	}
	if m.exec, err = mapGuarded(fd, uint64(size), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_SHARED); err != nil {
		m.Close()
		return nil, fmt.Errorf("map %d executable bytes for %s: %w", size, name, err)
	}
	m.Exec = uintptr(unsafe.Pointer(&m.exec[0]))
	return m, nil
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
