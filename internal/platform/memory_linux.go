package platform

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// SharedMemory is a zero-filled memory file mapped shared, outside the Go heap,
// between guards.
type SharedMemory struct {
	Bytes []byte
	fd    int
}

// NewSharedMemory maps size bytes, a multiple of the host's page size. The
// host gives pages out as they are touched. name shows in /proc.
func NewSharedMemory(name string, size uint64) (*SharedMemory, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create %s: %w", name, err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("memory file %s of %d bytes: %w", name, size, err)
	}
	b, err := mapGuarded(fd, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("map %d bytes for %s: %w", size, name, err)
	}
	return &SharedMemory{Bytes: b, fd: fd}, nil
}

// Discard gives whole pages back to the host; they read as zero afterwards.
func (m *SharedMemory) Discard(off, n uint64) error {
	return unix.Fallocate(m.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n))
}

// NextData finds the first run of bytes at or after off that may be other than
// zero; start is the length of the memory if there is none. It is not to be
// called by two goroutines at once.
func (m *SharedMemory) NextData(off uint64) (start, end uint64) {
	size := uint64(len(m.Bytes))
	at, err := unix.Seek(m.fd, int64(off), unix.SEEK_DATA)
	if err == unix.ENXIO {
		return size, size
	}
	if err != nil {
		return off, size // a host that cannot tell
	}
	hole, err := unix.Seek(m.fd, at, unix.SEEK_HOLE)
	if err != nil {
		return uint64(at), size
	}
	return uint64(at), uint64(hole)
}

// Close unmaps the memory. Bytes must not be used afterwards.
func (m *SharedMemory) Close() error {
	err := unmapGuarded(m.Bytes)
	m.Bytes = nil
	unix.Close(m.fd)
	return err
}
