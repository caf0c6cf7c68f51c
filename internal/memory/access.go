package memory

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// ReadAt copies from guest memory. The range must lie in one readable region.
func (s *Space) ReadAt(p []byte, gpa GPA) error {
	r := s.Find(gpa, uint64(len(p)))
	if r == nil || !r.Readable() {
		return ErrRange
	}
	copy(p, r.host.Bytes[gpa-r.Base:])
	return nil
}

// WriteAt copies to guest RAM and marks it dirty. The range must lie in one
// region of RAM.
func (s *Space) WriteAt(p []byte, gpa GPA) error {
	r := s.Find(gpa, uint64(len(p)))
	if r == nil || !r.Writable() {
		return ErrRange
	}
	off := uint64(gpa - r.Base)
	copy(r.host.Bytes[off:], p)
	r.MarkDirtyRange(off, uint64(len(p)))
	return nil
}

// Slice returns the n bytes of guest RAM from gpa, marked dirty, for a device
// to read into or write from (DMA). The guest may change them at any time: a
// caller that checks a value must first copy it, and one that stores marks the
// range again afterwards (MarkDirtyRange), for the log may have been collected
// in between.
func (s *Space) Slice(gpa GPA, n uint64) ([]byte, error) {
	r := s.Find(gpa, n)
	if r == nil || !r.Writable() {
		return nil, ErrRange
	}
	off := uint64(gpa - r.Base)
	r.MarkDirtyRange(off, n)
	return r.host.Bytes[off : off+n : off+n], nil
}

// ram returns the host address of an aligned access of size bytes to RAM.
func (s *Space) ram(gpa GPA, size uint64) (unsafe.Pointer, *Region, error) {
	r := s.Find(gpa, size)
	if r == nil || !r.Writable() || uint64(gpa)%size != 0 {
		return nil, nil, ErrRange
	}
	return unsafe.Add(r.base, uint64(gpa-r.Base)), r, nil
}

// LoadU16 loads a naturally aligned little-endian value with acquire order.
func (s *Space) LoadU16(gpa GPA) (uint16, error) {
	p, _, err := s.ram(gpa, 2)
	if err != nil {
		return 0, err
	}
	// sync/atomic has no 16-bit operations: load the word that holds it.
	word := (*uint32)(unsafe.Pointer(uintptr(p) &^ 3)) //nolint:govet // p is not in the Go heap
	return uint16(le32(atomic.LoadUint32(word)) >> (8 * (gpa & 2))), nil
}

// StoreU16 stores a naturally aligned little-endian value with release order.
func (s *Space) StoreU16(gpa GPA, v uint16) error {
	p, r, err := s.ram(gpa, 2)
	if err != nil {
		return err
	}
	word := (*uint32)(unsafe.Pointer(uintptr(p) &^ 3)) //nolint:govet // p is not in the Go heap
	shift := 8 * (gpa & 2)
	for {
		old := atomic.LoadUint32(word)
		upd := le32(old)&^(0xffff<<shift) | uint32(v)<<shift
		if atomic.CompareAndSwapUint32(word, old, le32(upd)) {
			r.MarkDirty(uint64(gpa - r.Base))
			return nil
		}
	}
}

// LoadU32 loads a naturally aligned little-endian value with acquire order.
func (s *Space) LoadU32(gpa GPA) (uint32, error) {
	p, _, err := s.ram(gpa, 4)
	if err != nil {
		return 0, err
	}
	return le32(atomic.LoadUint32((*uint32)(p))), nil
}

// StoreU32 stores a naturally aligned little-endian value with release order.
func (s *Space) StoreU32(gpa GPA, v uint32) error {
	p, r, err := s.ram(gpa, 4)
	if err != nil {
		return err
	}
	atomic.StoreUint32((*uint32)(p), le32(v))
	r.MarkDirty(uint64(gpa - r.Base))
	return nil
}

// LoadU64 loads a naturally aligned little-endian value with acquire order.
func (s *Space) LoadU64(gpa GPA) (uint64, error) {
	p, _, err := s.ram(gpa, 8)
	if err != nil {
		return 0, err
	}
	return le64(atomic.LoadUint64((*uint64)(p))), nil
}

// CompareAndSwapU64 replaces old by v in one atomic step. It marks the page
// dirty when it stores. Page-table walks set the A and D bits with it.
func (s *Space) CompareAndSwapU64(gpa GPA, old, v uint64) (bool, error) {
	p, r, err := s.ram(gpa, 8)
	if err != nil {
		return false, err
	}
	swapped := atomic.CompareAndSwapUint64((*uint64)(p), le64(old), le64(v))
	if swapped {
		r.MarkDirty(uint64(gpa - r.Base))
	}
	return swapped, nil
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

func le32(v uint32) uint32 {
	if bigEndian {
		return bits.ReverseBytes32(v)
	}
	return v
}

func le64(v uint64) uint64 {
	if bigEndian {
		return bits.ReverseBytes64(v)
	}
	return v
}
