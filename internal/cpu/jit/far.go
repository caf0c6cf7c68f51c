//go:build linux && (amd64 || arm64)

package jit

import (
	"encoding/binary"
	"unsafe"

	"doppel/internal/cpu/jit/abi"
)

// Jumps to other pages, and regions of several pages, rely on where virtual
// pages are. They are keyed by the context of fetches, in which that changes
// only when the interpreter says so (CodeEpoch), and by the virtual address of
// the page that they are in: a page that is in two places of one context has
// none of them.

// maxRelinks is how often a jump is made to lead elsewhere.
const maxRelinks = 32

// farRef is a link of a block that leads to another page.
type farRef struct {
	from *block
	n    int
}

// farLink is what there is to know of a link to another page.
type farLink struct {
	to      *codePage // nil while not patched
	block   *block    // that it has led to
	relinks uint8
}

// place is where a page is mapped in a context of fetches.
type place struct{ context, va uint64 }

// farTo is the page that a link has led to, if it is another.
func (b *block) farTo(n int) *codePage {
	if n < len(b.far) {
		return b.far[n].to
	}
	return nil
}

// forgetPlaces forgets where the page has been seen.
func (p *codePage) forgetPlaces() {
	clear(p.at)
	p.last = place{}
}

// seen notes that a page is mapped where va is in the present context. It is
// called before code of the page can run there.
func (v *VCPU) seen(p *codePage, va uint64) {
	va &^= pageMask
	c := v.in.FetchContext()
	now := place{c, va}
	if p.last == now {
		return
	}
	p.last = now
	old, ok := p.at[c]
	switch {
	case !ok:
		p.at[c] = va
	case old != va && !p.aliased:
		p.aliased = true
		for _, ref := range p.farOut {
			v.code.unlink(ref, false)
		}
		p.farOut = nil
		v.code.leaveRegions(p)
	}
}

// freshFar unlinks all that relies on what the interpreter has withdrawn.
func (v *VCPU) freshFar() {
	if e := v.in.CodeEpoch(); e != v.codeEpoch {
		v.codeEpoch = e
		v.code.unlinkAll()
	}
}

// linkFar makes a link of the virtual page va lead to the code of the hart's
// PC, which find has found.
func (v *VCPU) linkFar(from *block, n int, va uint64, code uintptr) {
	c, pc := &v.code, v.h.PC
	_, table, ok := v.in.Code(pc)
	if !ok {
		return
	}
	to := (*codeTable)(*table).page
	v.freshFar()
	p := from.page
	if p.codeTable == nil || p.aliased || p.at[v.in.FetchContext()] != va || !to.current(v.generation) {
		return
	}
	l := &from.links[n]
	l.taken = true
	if from.far == nil {
		from.far = make([]farLink, len(from.links))
	}
	f := &from.far[n]
	if f.relinks++; f.relinks == maxRelinks {
		c.patch(int(l.stub), farRoutine())
	}
	if f.to == nil {
		p.farOut = append(p.farOut, farRef{from, n})
	}
	f.to, f.block = to, to.block(uint64(pc&pageMask))
	to.farIn = append(to.farIn, farRef{from, n})
	c.patch(int(l.patch), int(code-c.mem.Exec))
	c.putContext(int(l.context), int32(v.in.FetchContext()))
	v.in.RelyOn(pc)
	v.in.RelyOn(va)
}

// unlink makes a far link lead nowhere. again: it may be linked again.
func (c *cache) unlink(ref farRef, again bool) {
	l, f := &ref.from.links[ref.n], &ref.from.far[ref.n]
	if f.to == nil {
		return
	}
	f.to = nil
	c.putContext(int(l.context), abi.NoContext)
	if !again {
		f.relinks = maxRelinks
		c.patch(int(l.stub), farRoutine())
	}
}

// unlinkPage unlinks what leads to a page.
func (c *cache) unlinkPage(p *codePage) {
	for _, ref := range p.farIn {
		if ref.from.far[ref.n].to == p {
			c.unlink(ref, true)
		}
	}
	p.farIn = p.farIn[:0]
	c.leaveRegions(p)
}

// unlinkAll unlinks what leads to any page. Where pages are is found anew.
func (c *cache) unlinkAll() {
	c.in.ForgetCode(unsafe.Pointer(&c.none))
	for _, pages := range [][]*codePage{c.active, c.quiet} {
		for _, p := range pages {
			c.unlinkPage(p)
			p.farOut = nil
			p.forgetPlaces()
		}
	}
}

// patch makes the jump at a place lead to another.
func (c *cache) patch(at, to int) {
	patchLink(c.mem.Bytes[at:], int64(to)-int64(at))
	c.mem.Written(at, 4)
}

func (c *cache) context(at int) int32 { return int32(binary.LittleEndian.Uint32(c.mem.Bytes[at:])) }

func (c *cache) putContext(at int, context int32) {
	binary.LittleEndian.PutUint32(c.mem.Bytes[at:], uint32(context))
	c.mem.Written(at, 4)
}
