//go:build linux && amd64

package jit

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/amd64"
	"doppel/internal/memory"
	"doppel/internal/platform"
)

// cache holds the code of one VCPU by physical address, so that address spaces
// share it. Code is only ever appended; when the memory is full, all of it is
// forgotten.
//
// A page's code belongs to a generation of the interpreter. When that has
// passed (there was a fence.i), all blocks of the page are compared with memory
// before one is entered; if one differs, all are dropped. Links lead to blocks
// of the same page only, so that no check is needed where they are followed.
type cache struct {
	mem    *platform.CodeMemory
	end    int
	pages  map[memory.GPA]*codePage
	blocks []*block // by number
}

type codePage struct {
	generation uint64
	blocks     map[uint16]*block // by offset in the page
}

// block is translated code.
type block struct {
	*interp.Block
	code  uintptr
	start uint16 // offset in the page
	page  *codePage
	links []amd64.Link // Patch is an offset in the code memory
}

func (c *cache) init(mem *platform.CodeMemory) {
	c.mem = mem
	copy(mem.Bytes, routines.Bytes)
	c.forget()
}

func (c *cache) forget() {
	c.end = (len(routines.Bytes) + 63) &^ 63
	c.pages = make(map[memory.GPA]*codePage)
	c.blocks = c.blocks[:0]
}

// enterRoutine is the address of the routine that code is entered by.
func (c *cache) enterRoutine() uintptr { return c.mem.Exec + uintptr(routines.Enter) }

// page finds the code of the page that gpa is in, as of the generation.
func (c *cache) page(gpa memory.GPA, generation uint64, s *Stats) *codePage {
	p := c.pages[gpa>>memory.PageShift]
	if p == nil || p.generation == generation {
		return p
	}
	p.generation = generation
	for _, b := range p.blocks {
		if raw := b.Raw(); !bytes.Equal(raw, unsafe.Slice((*byte)(b.Host()), len(raw))) {
			delete(c.pages, gpa>>memory.PageShift)
			s.Stale++
			return nil
		}
	}
	return p
}

// link makes a block's link lead to another block of its page.
func (c *cache) link(from *block, n int, to *block) {
	at := from.links[n].Patch
	rel := int64(to.code-c.mem.Exec) - int64(at+4)
	binary.LittleEndian.PutUint32(c.mem.Bytes[at:], uint32(rel))
}
