//go:build linux && amd64

package jit

import (
	"bytes"
	"unsafe"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
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
	blocks []*block            // by number
	active []*codePage         // of the current generation
	near   [nearSize]nearBlock // by physical address
	epoch  uint64              // of near: counts when what leads to blocks was forgotten
	trace  tracer
}

const (
	nearSize  = 1 << 13
	maxActive = 512 // pages that are compared at a fence.i
)

type nearBlock struct {
	gpa   memory.GPA
	epoch uint64
	b     *block
}

func (c *cache) nearAt(gpa memory.GPA) *nearBlock { return &c.near[(gpa>>1^gpa>>13)%nearSize] }

type codePage struct {
	generation uint64
	gpa        memory.GPA
	blocks     map[uint16]*block // by offset in the page
	list       []*block

	// The page from lo to hi, where its blocks are, as it was when the last one
	// was made: one comparison serves for all of them.
	copy   [memory.PageSize]byte
	lo, hi int
	mixed  bool // the copy is not what all blocks were
	host   unsafe.Pointer
}

func (p *codePage) memory() []byte { return unsafe.Slice((*byte)(p.host), memory.PageSize)[p.lo:p.hi] }

// add makes b one of the page's blocks.
func (p *codePage) add(b *block) {
	p.blocks[b.start] = b
	p.list = append(p.list, b)
	at := int(b.start)
	p.lo, p.hi = min(p.lo, at), max(p.hi, at+len(b.Raw()))
	p.snapshot()
}

// snapshot takes the blocks as they were translated, whatever memory says by
// now, and what lies between them from memory.
func (p *codePage) snapshot() {
	copy(p.copy[p.lo:p.hi], p.memory())
	for _, b := range p.list {
		copy(p.copy[b.start:], b.Raw())
	}
	// Blocks that overlap may have been made before and after a store that no
	// fence.i has followed yet: no copy can be what both were.
	p.mixed = false
	for _, b := range p.list {
		if raw := b.Raw(); !bytes.Equal(raw, p.copy[b.start:][:len(raw)]) {
			p.mixed = true
		}
	}
}

// same compares the page's blocks with memory.
func (p *codePage) same() bool {
	if !p.mixed && bytes.Equal(p.copy[p.lo:p.hi], p.memory()) {
		return true
	}
	// What has changed may lie between the blocks.
	for _, b := range p.list {
		if raw := b.Raw(); !bytes.Equal(raw, unsafe.Slice((*byte)(b.Host()), len(raw))) {
			return false
		}
	}
	p.snapshot()
	return true
}

// block is translated code.
type block struct {
	*interp.Block
	code  uintptr
	count int64  // of instructions
	start uint16 // offset in the page
	page  *codePage
	links []abi.Link // Patch is an offset in the code memory
}

func (c *cache) init(mem *platform.CodeMemory) {
	c.mem = mem
	c.put(0, routines.Bytes)
	c.forget()
}

func (c *cache) forget() {
	c.end = (len(routines.Bytes) + 63) &^ 63
	c.pages = make(map[memory.GPA]*codePage)
	clear(c.blocks)
	c.blocks = c.blocks[:0]
	c.active = nil
	c.near = [nearSize]nearBlock{}
	c.epoch++
}

// advance begins a generation. It returns false if what leads to blocks is to
// be forgotten.
func (c *cache) advance(generation uint64, s *Stats) bool {
	keep := len(c.active) <= maxActive
	same := c.active[:0]
	if keep {
		for _, p := range c.active {
			if p.same() {
				p.generation = generation
				same = append(same, p)
			} else {
				c.drop(p, s)
				keep = false
			}
		}
	}
	c.active = same // all that are of this generation, and no others
	if !keep {
		c.epoch++
	}
	return keep
}

func (c *cache) drop(p *codePage, s *Stats) {
	c.trace.dropped(p)
	delete(c.pages, p.gpa>>memory.PageShift)
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
	if near.gpa == gpa && near.epoch == c.epoch {
		return near.b
	}
	p := c.page(gpa, generation, s)
	if p == nil {
		return nil
	}
	b := p.blocks[uint16(gpa&pageMask)]
	if b != nil {
		*near = nearBlock{gpa, c.epoch, b}
	}
	return b
}

// put writes code.
func (c *cache) put(at int, code []byte) {
	copy(c.mem.Bytes[at:], code)
	c.mem.Written(at, len(code))
}

// link makes a block's link lead to another block of its page.
func (c *cache) link(from *block, n int, to *block) {
	at := from.links[n].Patch
	patchLink(c.mem.Bytes[at:], int64(to.code-c.mem.Exec)-int64(at))
	c.mem.Written(at, 4)
	c.trace.linked(from, n, to)
}
