package hart

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"doppel/internal/memory"
)

// ramWindow is the region of RAM in which the last page table was found, for
// page walks without a search. Regions never move while harts run.
type ramWindow struct {
	base, size uint64
	host       unsafe.Pointer
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// loadPTE reads the 8 aligned bytes at a physical address with acquire order,
// if they are in RAM.
func (h *Hart) loadPTE(at uint64) (uint64, bool) {
	// Both at and size are multiples of 8, so the whole value is inside.
	if off := at - h.ram.base; off < h.ram.size {
		return atomic.LoadUint64((*uint64)(unsafe.Add(h.ram.host, off))), true
	}
	return h.findPTE(at)
}

func (h *Hart) findPTE(at uint64) (uint64, bool) {
	pte, err := h.cfg.Memory.LoadU64(memory.GPA(at))
	if err != nil {
		return 0, false
	}
	if r := h.cfg.Memory.Find(memory.GPA(at), 8); r != nil && littleEndian {
		h.ram = ramWindow{uint64(r.Base), r.Size, r.Host()}
	}
	return pte, true
}
