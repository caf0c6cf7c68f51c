//go:build linux && (amd64 || arm64)

package jit

import (
	"bytes"
	"math/bits"
	"slices"
	"unsafe"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/memory"
	"doppel/internal/platform"
	"doppel/internal/riscv/hart"
)

// cache holds the code of one VCPU by physical address, so that address spaces
// share it, and privilege, for what regions know of memory. Code is only ever appended; when the memory is full, all of it is
// forgotten.
//
// A page's code belongs to a generation of the interpreter. When that has
// passed (there was a fence.i), the page may be entered again only after it is
// known not to have changed; else its blocks are dropped. Links lead to blocks
// of the same page only, so that no check is needed where they are followed.
//
// Kernels execute fence.i far more often than code changes. A page that nobody
// may store to is quiet: memory tells if that changes (memory.Region.WatchPage).
// The others that are in use are active and compared at once when the generation
// changes, by one comparison each, and the rest when they are next used. Only
// quiet and active pages are what the interpreter's TLB for fetches has: from
// there generated code finds its way by itself.
type cache struct {
	mem    *platform.CodeMemory
	end    int
	priv   *hart.Priv // the present one
	pages  map[pageKey]*codePage
	blocks []*block    // by number
	links  []link      // that blocks' are cut from
	sites  int         // that regions have
	full   bool        // of sites
	active []*codePage // of the current generation, apart from
	quiet  []*codePage
	seen   uint64 // changes of watched pages
	kept   int    // comparisons in vain since stores were last withdrawn
	in     *interp.VCPU
	none   codeTable // for pages without code
	free   []*codeTable
	trace  tracer

	threshold int64              // passes before a block is translated
	drops     map[memory.GPA]int // of pages, by number
}

// pageKey is a page's number and a privilege.
type pageKey uint64

func (c *cache) key(gpa memory.GPA) pageKey {
	return pageKey(gpa>>memory.PageShift<<2) | pageKey(*c.priv&3)
}

const (
	maxActive = 512 // pages that are compared at a fence.i
	// maxKept comparisons take as long as WithdrawStores.
	maxKept = 256
)

const maxDrops = 1 << 14 // pages whose changes are counted

// patience is how often a block at gpa is to be interpreted before it is
// translated: the more often its page has changed, the longer, since what is
// made of it may soon be void.
func (c *cache) patience(gpa memory.GPA) int64 {
	return c.threshold << min(c.drops[gpa>>memory.PageShift], 4)
}

// codeTable is what a page has in the interpreter's TLB for fetches.
type codeTable struct {
	abi.CodeTable // first, for generated code
	page          *codePage
	copy          [memory.PageSize]byte // see codePage
}

type codePage struct {
	*codeTable // nil once the page is dropped
	generation uint64
	gpa        memory.GPA
	key        pageKey
	list       []*block // by their starts
	starts     interp.Places
	before     [len(interp.Places{})]uint16 // how many blocks start before a word of starts

	region *memory.Region
	off    uint64          // of the page in it
	quiet  bool            // not changed as long as its word stays
	word   memory.PageWord // of a quiet page

	// The page from lo to hi, where its blocks are, as it was when the last one
	// was made: one comparison serves for all of them.
	at      map[uint64]uint64 // where it is mapped in contexts of fetches
	last    place             // the last of them that was seen, or zero
	aliased bool              // in two places of one
	farIn   []farRef          // that lead here
	farOut  []farRef          // that lead elsewhere
	regions []*region         // of several pages, that it is one of
	headers []*block          // of regions

	lo, hi int
	mixed  bool // the copy is not what all blocks were
	host   unsafe.Pointer
}

// current tells whether the page's code may be entered.
func (p *codePage) current(generation uint64) bool { return p.quiet || p.generation == generation }

func (p *codePage) memory() []byte { return unsafe.Slice((*byte)(p.host), memory.PageSize)[p.lo:p.hi] }

// add makes b one of the page's blocks.
func (p *codePage) add(b *block) {
	n, _ := p.place(int(b.start))
	p.list = slices.Insert(p.list, n, b)
	word := b.start / 2 / 64
	p.starts.Add(int(b.start))
	for w := int(word) + 1; w < len(p.before); w++ {
		p.before[w]++
	}
	p.CodeTable[b.start/2] = b.offset
	raw, at := b.Raw(), int(b.start)
	end := at + len(raw)
	if p.hi == 0 {
		p.lo, p.hi = at, at
	}
	mem := unsafe.Slice((*byte)(p.host), memory.PageSize)
	if at < p.lo {
		copy(p.copy[at:p.lo], mem[at:])
		p.lo = at
	}
	if end > p.hi {
		copy(p.copy[p.hi:end], mem[p.hi:])
		p.hi = end
	}
	if !bytes.Equal(raw, p.copy[at:end]) {
		p.snapshot()
	}
}

// place is where in the list the block at an offset is, or would be.
func (p *codePage) place(off int) (n int, ok bool) {
	word, bit := off/2/64, off/2%64
	n = int(p.before[word]) + bits.OnesCount64(p.starts[word]&(1<<bit-1))
	return n, p.starts[word]>>bit&1 != 0
}

// block returns the one at an offset in the page, if there is one.
func (p *codePage) block(off uint64) *block {
	if p.codeTable == nil {
		return nil
	}
	if n, ok := p.place(int(off % memory.PageSize)); ok {
		return p.list[n]
	}
	return nil
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
	interp.Block
	code   uintptr
	page   *codePage
	links  []link
	far    []farLink // as many, if one of them has led to another page
	hot    *hotness  // nil if nothing is known
	offset uint32    // of code, from the start of the code memory
	start  uint16    // offset in the page

	// across is set for an instruction that lies in two pages. It is left to the
	// interpreter where the second page is another.
	across bool
}

// hotness is what most blocks do not have.
type hotness struct {
	alone   *block // its code without shared checks, or nil; see alone.go
	crosses int    // checks that found two pages
	counted uint64 // the slice that this count began in

	samples int     // slices that ended here
	since   uint64  // this one
	tries   int     // in vain, to make a region of the loop around it
	region  *region // of which it is the header
	inside  *region // whose links these are; the block is none itself
}

// region is that of which b is the header, or nil.
func (b *block) region() *region {
	if b.hot == nil {
		return nil
	}
	return b.hot.region
}

// inside is the region whose links b's are, or nil.
func (b *block) inside() *region {
	if b.hot == nil {
		return nil
	}
	return b.hot.inside
}

// alone is b's code without shared checks, or nil.
func (b *block) alone() *block {
	if b.hot == nil {
		return nil
	}
	return b.hot.alone
}

// heat is b's hotness, to be changed.
func (b *block) heat() *hotness {
	if b.hot == nil {
		b.hot = &hotness{}
	}
	return b.hot
}

// link is an abi.Link whose places are offsets in the code memory.
type link struct {
	patch, context, stub int32
	target               int32
	far                  bool
	taken                bool // it has been followed
}

// cutLinks takes n links off the pool, since blocks come in numbers. A piece of
// memory goes when nothing that was cut from it is used any more; so there are
// no pointers in it, by which one would keep another.
func (c *cache) cutLinks(n int) []link {
	const chunk = 256
	if len(c.links) < n {
		c.links = make([]link, max(n, chunk))
	}
	part := c.links[:n:n]
	c.links = c.links[n:]
	return part
}

// add puts the code of b at the end and returns its address.
func (c *cache) add(b *block, made abi.Code) uintptr {
	at := c.end
	c.put(at, made.Bytes)
	n := len(made.Links)
	b.links = c.cutLinks(n)
	for i, l := range made.Links {
		b.links[i] = link{patch: int32(at + l.Patch), context: int32(at + l.Context), stub: int32(at + l.Stub), target: l.Target, far: l.Far}
	}
	c.end = (at + len(made.Bytes) + 15) &^ 15
	c.blocks = append(c.blocks, b)
	return c.mem.Exec + uintptr(at)
}

func (c *cache) init(mem *platform.CodeMemory, in *interp.VCPU, priv *hart.Priv) {
	c.mem, c.in, c.priv = mem, in, priv
	c.put(0, routines.Bytes)
	for i := range c.none.CodeTable {
		c.none.CodeTable[i] = uint32(routines.Look())
	}
	c.none.page = &codePage{generation: ^uint64(0)}
	c.forget()
}

func (c *cache) forget() {
	c.end = (len(routines.Bytes) + 63) &^ 63
	c.sites, c.full = 0, false
	for _, p := range c.pages {
		p.region.UnwatchPage(p.off)
	}
	c.pages = make(map[pageKey]*codePage)
	clear(c.blocks)
	c.blocks = c.blocks[:0]
	c.active, c.quiet, c.free = nil, nil, nil
	c.in.ForgetCode(unsafe.Pointer(&c.none))
}

// newPage makes the page that is to have gpa's code.
func (c *cache) newPage(gpa memory.GPA, host unsafe.Pointer, generation uint64) *codePage {
	t := &codeTable{}
	if n := len(c.free); n > 0 {
		t, c.free = c.free[n-1], c.free[:n-1]
	}
	t.CodeTable = c.none.CodeTable
	region := c.in.Hart().Memory().Find(gpa, 1)
	t.page = &codePage{codeTable: t, generation: generation, at: make(map[uint64]uint64), gpa: gpa &^ pageMask, key: c.key(gpa),
		region: region, off: uint64(gpa-region.Base) &^ pageMask,
		lo: memory.PageSize, host: unsafe.Add(host, -int(gpa&pageMask))}
	c.pages[t.page.key] = t.page
	c.active = append(c.active, t.page)
	return t.page
}

// advance begins a generation.
func (c *cache) advance(generation uint64, s *Stats) {
	if n := c.in.Hart().Memory().WatchedChanges(); n != c.seen {
		c.seen = n
		c.stir(func(p *codePage) bool { return p.region.PageWord(p.off) != p.word })
	}
	pages := c.active
	if len(pages) > maxActive {
		c.unlinkAll()
		clear(pages)
		c.active = pages[:0]
		c.in.ForgetCode(unsafe.Pointer(&c.none))
		return
	}
	c.active = pages[:0]
	for _, p := range pages {
		c.check(p, generation, s) // appends no more than has been read
	}
	clear(pages[len(c.active):])
	if c.kept > maxKept {
		c.kept = 0
		// These pages, and not those that are watched: another vCPU may end that
		// at any time, and a page that is released has no translation.
		pages := make(map[uintptr]struct{}, len(c.active))
		for _, p := range c.active {
			pages[uintptr(p.host)] = struct{}{}
		}
		c.in.WithdrawStores(pages)
		for _, p := range c.active {
			p.region.ReleasePage(p.off, c.in.ID())
		}
	}
}

// stir makes quiet pages active for which changed is true.
func (c *cache) stir(changed func(*codePage) bool) {
	still := c.quiet[:0]
	for _, p := range c.quiet {
		if changed(p) {
			p.quiet = false
			c.active = append(c.active, p)
		} else {
			still = append(still, p)
		}
	}
	clear(c.quiet[len(still):])
	c.quiet = still
}

// distrust is for what stores to memory and tells nobody, when vCPUs do not run.
func (c *cache) distrust(generation uint64) {
	c.stir(func(p *codePage) bool {
		p.generation = generation
		return true
	})
}

// check compares a page that is in no list with memory. It makes the page
// current, or drops it and returns false.
func (c *cache) check(p *codePage, generation uint64, s *Stats) bool {
	word := p.region.WatchPage(p.off)
	s.Compared++
	if !p.same() {
		c.drop(p, s)
		return false
	}
	p.generation = generation
	if p.quiet = !word.Held(); p.quiet {
		p.word = word
		c.quiet = append(c.quiet, p)
		return true
	}
	if word.HeldOnlyBy(c.in.ID()) {
		c.kept++
	}
	c.active = append(c.active, p)
	return true
}

// drop forgets a page whose code has changed.
func (c *cache) drop(p *codePage, s *Stats) {
	c.trace.dropped(p)
	c.unlinkPage(p)
	delete(c.pages, p.key)
	if len(c.drops) == maxDrops {
		clear(c.drops)
	}
	c.drops[p.gpa>>memory.PageShift]++
	p.region.UnwatchPage(p.off)
	c.in.ReplaceCode(unsafe.Pointer(p.codeTable), unsafe.Pointer(&c.none))
	c.free = append(c.free, p.codeTable)
	p.codeTable, p.list, p.headers = nil, nil, nil
	s.Stale++
}

// enterRoutine is the address of the routine that code is entered by.
func (c *cache) enterRoutine() uintptr { return c.mem.Exec + uintptr(routines.Enter) }

// page finds the code of the page that gpa is in, as of the generation, and
// makes it current.
func (c *cache) page(gpa memory.GPA, generation uint64, s *Stats) *codePage {
	p := c.pages[c.key(gpa)]
	if p == nil || p.current(generation) {
		return p
	}
	p.forgetPlaces()
	if !c.check(p, generation, s) {
		return nil
	}
	return p
}

// hostOf is where the byte of a page at an offset is.
func (c *cache) hostOf(p *codePage, off uint64) unsafe.Pointer {
	return unsafe.Add(p.host, off&pageMask)
}

// put writes code.
func (c *cache) put(at int, code []byte) {
	copy(c.mem.Bytes[at:], code)
	c.mem.Written(at, len(code))
}

// link makes a block's link lead to another block of its page, and returns
// where that is.
func (c *cache) link(from *block, n int, to *block) uintptr {
	at := int(from.links[n].patch)
	code := to.code
	if r := to.region(); r != nil && from.inside() == r {
		code = r.plain // the region has left for it
	}
	patchLink(c.mem.Bytes[at:], int64(code-c.mem.Exec)-int64(at))
	c.mem.Written(at, 4)
	from.links[n].taken = true
	c.trace.linked(from, n, to)
	return code
}
