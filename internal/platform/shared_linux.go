package platform

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Shared is memory that is held once and mapped into several Memories, where
// each sees it as its own: the host copies a page when it is stored to.
type Shared struct {
	Bytes []byte
	file  *os.File
}

// NewShared makes size bytes, a multiple of the host's page size. They take
// memory as they are written.
func NewShared(name string, size uint64) (*Shared, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory to share: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if err := file.Truncate(int64(size)); err != nil {
		file.Close()
		return nil, fmt.Errorf("memory to share: %w", err)
	}
	b, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("memory to share: %w", err)
	}
	return &Shared{b, file}, nil
}

// Free gives whole pages back to the host. No Memory reads them any more.
func (s *Shared) Free(off, n uint64) error {
	return unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n))
}

// Used is how much memory it takes.
func (s *Shared) Used() uint64 {
	var st unix.Stat_t
	if unix.Fstat(int(s.file.Fd()), &st) != nil {
		return 0
	}
	return uint64(st.Blocks) * 512
}

// Close ends the use of it here; what Memories have of it stays.
func (s *Shared) Close() error {
	err := unix.Munmap(s.Bytes)
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	return err
}

// Map puts n bytes from at of s in the place of those from off. Their contents
// must be equal, and nobody may store to either meanwhile; addresses stay.
func (m *Memory) Map(off, n uint64, s *Shared, at uint64) error {
	_, err := unix.MmapPtr(int(s.file.Fd()), int64(at), unsafe.Pointer(&m.Bytes[off : off+n][0]), uintptr(n),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_NORESERVE|unix.MAP_FIXED)
	return err
}

// Renew is Discard for pages that Map has put there.
func (m *Memory) Renew(off, n uint64) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&m.Bytes[off : off+n][0]), uintptr(n),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE|unix.MAP_FIXED)
	if err == nil && m.small {
		_ = unix.Madvise(m.Bytes[off:off+n], unix.MADV_NOHUGEPAGE) // it worked for all of them, or there are none
	}
	return err
}

// MaxMappings is how many mappings a process may have: Linux's
// vm.max_map_count, or its default where that cannot be read.
var MaxMappings = sync.OnceValue(func() int {
	b, err := os.ReadFile("/proc/sys/vm/max_map_count")
	if err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			return n
		}
	}
	return 65530
})
