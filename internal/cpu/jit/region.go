//go:build linux && (amd64 || arm64)

package jit

import (
	"slices"
	"time"

	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/cpu/jit/lower"
	"doppel/internal/cpu/jit/opt"
)

// Hot loops are made regions. Which are hot is seen by sampling: the block
// where a slice ends is likely to be one that much time is spent in. What has
// been executed is seen in the links that have been followed.

const (
	// regionSamples is how many slices end in a block before the loop around it is made a region.
	regionSamples = 4

	maxRegionBlocks = 96
	maxRegionInsts  = 800
)

// region is the code of a loop.
type region struct {
	header *block
	plain  uintptr  // the code of the header as a block
	start  []byte   // what the header's code began with
	blocks int      // 0 if the header's code does not lead to the region
	exits  []*block // which have the links of this and of earlier regions of the header

	// Of a region in several pages:
	pages   map[int32]*codePage // by number from the header's
	context int                 // where its code has the context in which they are so
}

// sample counts that a slice has ended before pc, where there is a block.
func (v *VCPU) sample(pc uint64) {
	if !hasRegions || v.samples < 0 {
		return
	}
	gpa, code, ok := v.in.Code(pc)
	if !ok {
		return
	}
	b := (*codeTable)(*code).page.block(uint64(gpa & pageMask))
	if b == nil {
		return
	}
	if b.samples++; b.samples >= v.samples {
		start := time.Now()
		if v.promote(b, pc&^pageMask) {
			b.tries, b.samples = 0, 0
		} else {
			// Not again soon, and ever later: what is not in a loop will hardly be.
			b.tries = min(b.tries+1, 5)
			b.samples = -v.samples << (2 * b.tries)
		}
		v.stats.Compile += time.Since(start)
	}
}

// promote makes a region of the loop that b, whose page is at va, is in, if it
// is in one that is none yet.
func (v *VCPU) promote(b *block, va uint64) bool {
	g := explore(b)
	if g == nil {
		return false
	}
	set := map[int32]bool{}
	for off, n := range g.nodes {
		cut, ok := n.fits(&v.block)
		if cut {
			n.succ = nil
		}
		if ok {
			set[off] = true
		}
	}
	var loop map[int32]bool
	var head int32
	for {
		loop = nil
		for _, l := range g.loops(set) {
			if l[int32(b.start)] {
				loop = l
			}
		}
		ok := false
		if loop != nil {
			head, ok = g.header(loop)
		}
		if !ok {
			return false
		}
		insts := 0
		for off := range loop {
			insts += len(g.nodes[off].insts)
		}
		if len(loop) <= maxRegionBlocks && insts <= maxRegionInsts {
			break
		}
		set = loop // too large: only an inner loop
		delete(set, head)
	}
	header := g.block(head)
	base := head &^ pageMask
	va += uint64(int64(base))
	if r := header.region; r != nil && r.blocks >= len(loop) {
		return v.rebind(r, va)
	}
	g.deepen(loop, head, 1)
	g.rebase(base)
	var offs []int32
	for _, off := range sorted(loop) {
		offs = append(offs, off-base)
	}
	at, _ := slices.BinarySearch(offs, head-base)
	r := &ir.Region{Context: abi.NoContext}
	pages := map[int32]*codePage{}
	for _, off := range append(offs[at:len(offs):len(offs)], offs[:at]...) {
		rb, _, _ := g.nodes[off].lowered()
		rb.Returns = slices.DeleteFunc(slices.Clone(rb.Returns), func(o int32) bool { return !loop[o+base] })
		r.Blocks = append(r.Blocks, rb)
		pages[off>>12] = g.pages[off>>12]
	}
	if len(pages) == 1 {
		return v.install(header, r, va)
	}
	if !v.inPlace(pages, va) {
		return false
	}
	r.Context = int32(v.in.FetchContext())
	if !v.install(header, r, va) {
		return false
	}
	header.region.pages = pages
	for _, p := range pages {
		p.regions = append(p.regions, header.region)
	}
	v.relyOn(pages, va)
	return true
}

// inPlace tells whether pages are where a region has them, whose header's is at
// va, in the present context.
func (v *VCPU) inPlace(pages map[int32]*codePage, va uint64) bool {
	c := v.in.FetchContext()
	for n, p := range pages {
		if at, ok := p.at[c]; !ok || at != va+uint64(int64(n)<<12) || p.aliased || !p.current(v.generation) {
			return false
		}
	}
	return true
}

func (v *VCPU) relyOn(pages map[int32]*codePage, va uint64) {
	for n := range pages {
		v.in.RelyOn(va + uint64(int64(n)<<12))
	}
}

// rebind has a region in several pages run in the present context. Each process
// has one.
func (v *VCPU) rebind(r *region, va uint64) bool {
	c := int32(v.in.FetchContext())
	if r.pages == nil || v.code.context(r.context) == c || !v.inPlace(r.pages, va) {
		return false
	}
	v.code.putContext(r.context, c)
	v.relyOn(r.pages, va)
	return true
}

// install makes the code of a region and has its header's code, in the page
// at va, lead there.
func (v *VCPU) install(header *block, r *ir.Region, va uint64) bool {
	c := &v.code
	p := header.page
	room := func(n int) bool { return c.end+n+64 <= len(c.mem.Bytes) }
	at := int(header.code - c.mem.Exec)
	// The header's code as a block, again: what is there will lead to the region.
	if header.region == nil {
		lower.Block(int32(header.start), header.Insts, &v.block)
		made := emitApart(v.emit, &v.block, c.end, len(c.blocks))
		if !room(len(made.Bytes)) {
			return false
		}
		plain := &block{Block: header.Block, start: header.start, count: header.count, page: p}
		header.region = &region{header: header, plain: c.add(plain, made), start: slices.Clone(c.mem.Bytes[at:][:jumpBytes])}
	}
	pc := va | uint64(header.start)
	rec := c.trace.dump.Begin("region", c.trace.hart, pc, header.GPA())
	defer rec.End()
	rec.Pass("lowering", r)
	for _, pass := range opt.Passes {
		pass.Run(r)
		rec.Pass(pass.Name, r)
	}
	if c.sites+r.Sites > maxSites {
		return false
	}
	made := emitRegion(v.emit, r, layout.SiteTable+int32(c.sites)*siteBytes, c.end, len(c.blocks))
	if !room(len(made.Bytes)) {
		return false
	}
	for i := range r.Blocks {
		for _, in := range r.Blocks[i].Insts {
			if in.Span != 0 {
				v.sites.table[c.sites+int(in.Site)].full = uint32(pageMask + 1 - int(in.Span) + 1)
			}
		}
	}
	c.sites += r.Sites
	own := header.region
	own.blocks = len(r.Blocks)
	first := &block{Block: header.Block, start: header.start, page: p, inside: own}
	code := c.add(first, made)
	own.exits = append(own.exits, first)
	own.pages, own.context = nil, int(code-c.mem.Exec)+made.Context
	// A number serves 256 links.
	for n := 256; n < len(first.links); n += 256 {
		c.blocks = append(c.blocks, &block{Block: header.Block, start: header.start, page: p, inside: own,
			links: first.links[n:], taken: first.taken[n:], far: first.far[n:]})
	}
	putJump(c.mem.Bytes[at:], int64(code)-int64(header.code))
	c.mem.Written(at, jumpBytes)
	v.stats.Regions++
	rec.Code(made.Bytes, code)
	c.trace.perfMap.Add(code, len(made.Bytes), "guest:region %#x [gpa %#x]", pc, uint64(header.GPA()))
	return true
}

// leaveRegions has the headers of regions that p is one of several pages of run
// as blocks again.
func (c *cache) leaveRegions(p *codePage) {
	for _, r := range p.regions {
		if r.blocks == 0 {
			continue
		}
		r.blocks = 0
		at := int(r.header.code - c.mem.Exec)
		copy(c.mem.Bytes[at:], r.start)
		c.mem.Written(at, jumpBytes)
	}
	p.regions = nil
}
