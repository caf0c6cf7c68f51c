package interp

import (
	"unsafe"

	"doppel/internal/memory"
)

// blockCache finds blocks by physical address. It has two halves: what is new
// goes to the young one, and when that is full, the other is emptied and they
// change places. A block that is found in the old half moves to the young one,
// with its heat: what is not entered any more goes.
//
// What leads to blocks (links, v.jumps) leads from young blocks to young ones
// only. So when halves change places, nothing is left to lead to the half that
// is emptied: the block that is running, which the change makes an old one,
// goes on to a young one, and a half does not fill up before it does.
type blockCache struct {
	young, old half
	limit      int // of both halves
}

// half is blocks and what they were cut from. It is used again: nothing is left
// to the garbage collector.
type half struct {
	buckets []*block
	blocks  pool[block]
	insts   pool[inst]
	links   pool[*block]
	bytes   int // that have been cut
}

// pool is where the parts of blocks are cut from: what is decoded together
// runs together, and then lies together in the host's caches.
type pool[T any] struct {
	chunks [][]T
	used   int // chunks
	rest   []T // of the last of them
}

// peek shows the next elements, at least n, which hold anything.
func (p *pool[T]) peek(n int) []T {
	const chunk = 1024
	if len(p.rest) < n {
		if p.used == len(p.chunks) {
			p.chunks = append(p.chunks, make([]T, chunk))
		}
		p.rest = p.chunks[p.used]
		p.used++
	}
	return p.rest
}

// cut takes n of them.
func (p *pool[T]) cut(n int) []T {
	part := p.peek(n)[:n:n]
	p.rest = p.rest[n:]
	return part
}

func (p *pool[T]) reset() { p.used, p.rest = 0, nil }

// init makes an empty cache for about limit bytes. It takes no memory before
// it is open.
func (c *blockCache) init(limit int) { *c = blockCache{limit: limit} }

// open is called before the cache is used.
func (c *blockCache) open() {
	if c.young.buckets != nil || c.limit == 0 {
		return
	}
	n := 1 << 13
	for n < c.limit>>9 {
		n *= 2
	}
	c.young.buckets, c.old.buckets = make([]*block, n), make([]*block, n)
}

func (h *half) bucket(gpa memory.GPA) **block {
	return &h.buckets[(gpa>>1^gpa>>14)&memory.GPA(len(h.buckets)-1)]
}

func (h *half) find(gpa memory.GPA) *block {
	b := *h.bucket(gpa)
	for b != nil && b.gpa != gpa {
		b = b.chain
	}
	return b
}

// makeLinks gives b n links that lead nowhere.
func (h *half) makeLinks(b *block, n int) {
	b.links, b.slots = nil, uint8(n)
	if n != 0 {
		links := h.links.cut(n)
		clear(links)
		b.links = &links[0]
	}
}

// kept returns the block at gpa if the cache has it.
func (v *VCPU) kept(gpa memory.GPA) *block {
	if b := v.blocks.young.find(gpa); b != nil {
		return b
	}
	return v.blocks.old.find(gpa)
}

// blockAt returns the block at gpa, whose first byte is at host, decoded from
// what memory holds now.
func (v *VCPU) blockAt(gpa memory.GPA, host unsafe.Pointer) *block {
	b := v.blocks.young.find(gpa)
	if b == nil {
		b = v.bring(gpa, host)
	}
	if b.gen != v.gen {
		b = v.current(b, host)
	}
	return b
}

// current makes a block that is young, of an older generation, equal to memory,
// where it is at host.
func (v *VCPU) current(b *block, host unsafe.Pointer) *block {
	if v.makeRoom() {
		b = v.bring(b.gpa, host)
	}
	v.validate(b, host)
	return b
}

// currentOf is current for who does not know where the block is: a link leads to
// it, from a block of the same page that has run, so that memory has it.
func (v *VCPU) currentOf(b *block) *block {
	if v.common == nil {
		return v.current(b, b.host)
	}
	r := v.mem.Find(b.gpa, 2)
	return v.current(b, unsafe.Add(r.Host(), uint64(b.gpa-r.Base)))
}

// bring makes a young block.
func (v *VCPU) bring(gpa memory.GPA, host unsafe.Pointer) *block {
	c := &v.blocks
	v.makeRoom()
	h := &c.young
	b := &h.blocks.cut(1)[0]
	if was := c.old.find(gpa); was != nil {
		*b = *was
		whole := h.insts.cut(len(was.whole()))
		copy(whole, was.whole())
		b.first = &whole[0]
		h.makeLinks(b, int(was.slots))
		h.bytes += b.bytes()
	} else {
		*b = block{gpa: gpa, host: host}
		v.decode(b, host)
		if v.common != nil {
			b.host = nil // of a memory that may be gone when others are here
		}
	}
	to := h.bucket(gpa)
	b.chain, *to = *to, b
	return b
}

// makeRoom has the halves change places when the young one is full, and tells
// whether it was.
func (v *VCPU) makeRoom() bool {
	c := &v.blocks
	if c.young.bytes <= c.limit/2 {
		return false
	}
	c.young, c.old = c.old, c.young
	h := &c.young
	h.bytes = 0
	clear(h.buckets)
	h.blocks.reset()
	h.insts.reset()
	h.links.reset()
	v.forgetBlocks()
	return true
}

// forgetBlocks forgets what leads to blocks, but for their links.
func (v *VCPU) forgetBlocks() {
	v.part = block{}
	v.jumps = [jumpSize]jumpEntry{}
	v.jumpPages = pageSet{}
}
