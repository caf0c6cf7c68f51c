// Package memory is guest physical memory: regions of RAM and ROM outside the
// Go heap, checked and atomic access to them, and the dirty log.
//
// It does not translate virtual addresses (internal/riscv/hart does) and knows
// no devices: an address that no region holds is the bus's business.
//
// Any goroutine may access memory while the vCPUs run. The set of regions is
// fixed before the first vCPU runs. No locks are held; concurrent access to
// one location is as ordered as the host makes it: aligned accesses of 1, 2, 4
// and 8 bytes are single-copy atomic.
//
// The Go race detector cannot see this memory.
package memory

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"doppel/internal/platform"
)

// GPA is a guest physical address.
type GPA uint64

// PageShift and PageSize describe the page in which memory is tracked.
const (
	PageShift = 12
	PageSize  = 1 << PageShift
)

// Kind tells what a region is.
type Kind uint8

const (
	RAM Kind = iota // read and written
	ROM             // read; a write is not memory's (the bus sees it)
)

func (k Kind) String() string {
	if k == ROM {
		return "ROM"
	}
	return "RAM"
}

// ErrRange says that an access does not lie within one region.
var ErrRange = errors.New("not in guest memory")

// Region is one run of guest memory.
type Region struct {
	Name string
	Base GPA
	Size uint64 // a multiple of PageSize
	Kind Kind

	host   *platform.Memory
	base   unsafe.Pointer
	hidden atomic.Bool // a ROM in command mode: reads go to the bus too
	dirty  dirtyLog
	viewed dirtyLog // for Views
	watch  watch
	lent   borrowed
	space  *Space
	taken  []atomic.Uint64 // a bit for each of the host's pages that counts; nil without a Budget
}

// Host returns the host address of the region's first byte. It is valid until
// the Space is closed. For engines only, which check bounds themselves.
func (r *Region) Host() unsafe.Pointer { return r.base }

// Bytes is the whole region. Concurrent guest access is not synchronized.
func (r *Region) Bytes() []byte { return r.host.Bytes }

// Contains tells whether the n bytes from gpa lie in the region.
func (r *Region) Contains(gpa GPA, n uint64) bool {
	off := uint64(gpa - r.Base) // wraps to a large value below Base
	return gpa >= r.Base && off < r.Size && n <= r.Size-off
}

// Readable tells whether loads reach the region (else the bus has them).
func (r *Region) Readable() bool { return !r.hidden.Load() }

// Writable tells whether stores reach the region (else the bus has them).
func (r *Region) Writable() bool { return r.Kind == RAM }

// SetReadable switches a ROM between array and command mode. The caller makes
// every vCPU forget its translations afterwards.
func (r *Region) SetReadable(on bool) { r.hidden.Store(!on) }

// Space is a machine's guest physical memory.
type Space struct {
	regions []*Region // RAM first: it is looked up most
	changes atomic.Uint64
	account *account    // nil: nobody counts
	stands  atomic.Bool // see Budget
}

// Add maps a new zero-filled region. Base and size must be multiples of
// PageSize and must not overlap another region.
func (s *Space) Add(kind Kind, name string, base GPA, size uint64) (*Region, error) {
	if size == 0 || size%PageSize != 0 || base%PageSize != 0 || uint64(base)+size < uint64(base) {
		return nil, fmt.Errorf("memory region %s: base %#x, size %#x: want non-zero multiples of %d that do not wrap", name, uint64(base), size, PageSize)
	}
	for _, r := range s.regions {
		if base < r.Base+GPA(r.Size) && r.Base < base+GPA(size) {
			return nil, fmt.Errorf("memory region %s overlaps %s", name, r.Name)
		}
	}
	host, err := platform.NewMemory(name, size)
	if err != nil {
		return nil, err
	}
	r := &Region{Name: name, Base: base, Size: size, Kind: kind, host: host, base: unsafe.Pointer(&host.Bytes[0]), space: s}
	if s.account != nil {
		if err := host.SmallPages(); err != nil { // else one store takes more than one page
			return nil, errors.Join(err, host.Close())
		}
		r.taken = make([]atomic.Uint64, size/unit()/64+1)
	}
	r.dirty.init(size)
	r.watch.init(size, s)
	if kind == RAM {
		s.regions = append([]*Region{r}, s.regions...)
	} else {
		s.regions = append(s.regions, r)
	}
	return r, nil
}

// Regions lists the regions, RAM first.
func (s *Space) Regions() []*Region { return s.regions }

// Find returns the region that holds all n bytes from gpa, or nil.
func (s *Space) Find(gpa GPA, n uint64) *Region {
	for _, r := range s.regions {
		if r.Contains(gpa, n) {
			return r
		}
	}
	return nil
}

// Close unmaps all memory. No access may follow.
func (s *Space) Close() error {
	var errs []error
	for _, r := range s.regions {
		r.forget()
		errs = append(errs, r.host.Close())
	}
	s.regions = nil
	return errors.Join(errs...)
}

// Zero clears the region and gives its pages back to the host. Nothing else
// accesses it meanwhile.
func (r *Region) Zero() error {
	r.change(0, r.Size)
	err := r.discard(0, r.Size)
	if err == nil {
		r.forget()
	}
	return err
}

// Discard gives the host's pages that lie wholly in the n bytes from gpa back;
// they read as zero afterwards. Engines and devices may use them meanwhile,
// and what they store then may be lost. It returns the bytes that were given
// back: none if the range is not in one region of RAM.
func (s *Space) Discard(gpa GPA, n uint64) uint64 {
	r := s.Find(gpa, n)
	if r == nil || !r.Writable() {
		return 0
	}
	off := uint64(gpa - r.Base)
	page := hostPage()
	start, end := (off+page-1)&^(page-1), (off+n)&^(page-1) // Find has checked that they do not overflow
	if start >= end || r.discard(start, end-start) != nil {
		return 0
	}
	r.change(start, end-start)
	r.loosen()
	return end - start
}

// hostPage is what the host gives out and takes back, at least a page of ours.
func hostPage() uint64 { return max(PageSize, uint64(os.Getpagesize())) }
