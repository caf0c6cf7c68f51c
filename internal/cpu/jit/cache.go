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
//
// Kernels execute fence.i far more often than code changes. The pages that are
// in use are therefore compared at once when the generation changes, which
// keeps what leads to them, and only the others when they are next used.
type cache struct {
	mem    *platform.CodeMemory
	end    int
	pages  map[memory.GPA]*codePage
	blocks []*block         // by number
	active []*codePage      // of the current generation
	near   [nearSize]*block // by physical address
}

const (
	nearSize  = 1 << 13
	maxActive = 256 // pages that are compared at a fence.i
)

func (c *cache) nearAt(gpa memory.GPA) **block { return &c.near[(gpa>>1^gpa>>13)%nearSize] }

type codePage struct {
	generation uint64
	dropped    bool
	blocks     map[uint16]*block // by offset in the page
	list       []*block
}

// same compares the page's blocks with memory.
func (p *codePage) same() bool {
	for _, b := range p.list {
		if raw := b.Raw(); !bytes.Equal(raw, unsafe.Slice((*byte)(b.Host()), len(raw))) {
			return false
		}
	}
	return true
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
	clear(c.blocks)
	c.blocks = c.blocks[:0]
	c.active = nil
	c.near = [nearSize]*block{}
}

// advance begins a generation. It returns false if what leads to blocks is to
// be forgotten.
func (c *cache) advance(generation uint64, s *Stats) bool {
	keep := len(c.active) <= maxActive
	if keep {
		for _, p := range c.active {
			if p.same() {
				p.generation = generation
			} else {
				c.drop(p, s)
				keep = false
			}
		}
	}
	if !keep {
		c.active = c.active[:0]
	}
	return keep
}

func (c *cache) drop(p *codePage, s *Stats) {
	p.dropped = true
	delete(c.pages, p.list[0].GPA()>>memory.PageShift)
	s.Stale++
}

// enterRoutine is the address of the routine that code is entered by.
func (c *cache) enterRoutine() uintptr { return c.mem.Exec + uintptr(routines.Enter) }

// page finds the code of the page that gpa is in, as of the generation.
func (c *cache) page(gpa memory.GPA, generation uint64, s *Stats) *codePage {
	p := c.pages[gpa>>memory.PageShift]
	if p == nil || p.generation == generation {
		return p
	}
	if !p.same() {
		c.drop(p, s)
		return nil
	}
	p.generation = generation
	c.active = append(c.active, p)
	return p
}

// find returns the block at gpa, if there is one.
func (c *cache) find(gpa memory.GPA, generation uint64, s *Stats) *block {
	near := c.nearAt(gpa)
	if b := *near; b != nil && b.GPA() == gpa && b.page.generation == generation && !b.page.dropped {
		return b
	}
	p := c.page(gpa, generation, s)
	if p == nil {
		return nil
	}
	b := p.blocks[uint16(gpa&pageMask)]
	if b != nil {
		*near = b
	}
	return b
}

// link makes a block's link lead to another block of its page.
func (c *cache) link(from *block, n int, to *block) {
	at := from.links[n].Patch
	rel := int64(to.code-c.mem.Exec) - int64(at+4)
	binary.LittleEndian.PutUint32(c.mem.Bytes[at:], uint32(rel))
}
