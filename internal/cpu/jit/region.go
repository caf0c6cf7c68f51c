//go:build linux && (amd64 || arm64)

package jit

import (
	"maps"
	"slices"
	"time"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/cpu/jit/lower"
	"doppel/internal/cpu/jit/opt"
	"doppel/internal/riscv"
)

// Hot loops are made regions. Which are hot is seen by sampling: the block
// where a slice ends is likely to be one that much time is spent in. What has
// been executed is seen in the links that have been followed.

const (
	// regionSamples is how many slices end in a block before the loop around it is made a region.
	regionSamples = 4

	// warmSlices, for each of these, is how many slices end in a region before it
	// is made again: enough to see a program do all that it does.
	warmSlices = 128

	// sampleWindow is among how many slices they must be: what takes less of the
	// time does not earn back what a region costs.
	sampleWindow = 2048
	maxTries     = 5

	// strayInstructions for each miss of a site are too few, and a region is given
	// up for that so often at most.
	strayInstructions = 256
	maxStrays         = 6

	// An access of a region that is given up roams in the next if it has missed in
	// one pass of so many. What goes through memory in order misses seldom enough.
	roamPasses = 32

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

	// To make it again, knowing where its time goes:
	source   *ir.Region    // as it was lowered; nil if it has been made again
	heat     map[int32]int // slices that ended before a block
	heated   int           // all of them
	accesses []access
	entries  map[int32]uintptr // where it goes on then
	sites    int               // the first of its sites
	ownSites int               // how many it has
	roams    map[int32]bool    // accesses that have ever been found to roam
	looks    []uint64          // for each look at its sites, the page of each, see merge.go
	merged   bool              // some accesses have the site of others
	strayed  int               // times that it was given up, see strays
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
	n, s := v.stats.Slices, b.heat()
	if n-s.since > sampleWindow<<(2*s.tries) {
		s.samples, s.since = 0, n
	}
	if s.samples++; s.samples >= v.samples<<(2*s.tries) {
		s.samples, s.since = 0, n
		start := time.Now()
		if v.promote(b, pc&^pageMask) {
			s.tries = 0
		} else {
			// Ever later: what is not in a loop will hardly be.
			s.tries = min(s.tries+1, maxTries)
		}
		v.stats.Compile += time.Since(start)
	}
}

// promote makes a region of the loop that b, whose page is at va, is in, if it
// is in one that is none yet.
func (v *VCPU) promote(b *block, va uint64) bool {
	if !v.walk.leadsBack(b) {
		return false
	}
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
	if r := header.region(); r != nil && r.blocks >= len(loop) {
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
		return v.install(header, r, nil, va)
	}
	if !v.inPlace(pages, va) {
		return false
	}
	r.Context = int32(v.in.FetchContext())
	if !v.install(header, r, pages, va) {
		return false
	}
	for _, p := range pages {
		p.regions = append(p.regions, header.region())
	}
	v.relyOn(pages, va)
	return true
}

// warm counts slices that have ended in a region. After some of them it is made
// again; warm then returns true, and where that goes on, or 0: what has been left is not
// to go on.
func (v *VCPU) warm(ended int32) (code uintptr, again bool) {
	r := v.code.blocks[v.id>>8].inside()
	switch {
	case r.blocks == 0: // left for good
		return 0, false
	case r.source == nil:
		return 0, v.strays(r, int(ended))
	}
	at := int32(v.pc - v.page)
	r.heat[at]++
	v.look(r)
	if r.heated++; r.heated < v.warmSlices {
		return 0, false
	}
	start := time.Now()
	defer func() { v.stats.Compile += time.Since(start) }()
	src := r.source
	for i := range src.Blocks {
		b := &src.Blocks[i]
		b.Weight = 1 + 256*r.heat[b.Start]/len(b.Offsets)
	}
	opt.Join(src)
	if hasChecks {
		opt.Unroll(src)
	}
	if r.pages != nil {
		src.Context = v.code.context(r.context)
	}
	if !v.install(r.header, src, r.pages, v.page) {
		r.source = nil
		return 0, false
	}
	r.heated = 0
	return r.entries[at], true
}

// strays looks now and then at a region that has been made again. If its accesses
// now miss their sites often, since the data of this process lie otherwise than
// those that it was made by, the region is given up, and found and made like a
// new one, in which what missed roams.
func (v *VCPU) strays(r *region, ended int) bool {
	if r.heated += ended; r.heated < v.warmSlices<<r.strayed {
		return false
	}
	instructions := r.heated * int(v.slice)
	r.heated = 0
	var missed []int32
	for _, a := range r.accesses {
		n := float64(v.sites.table[r.sites+int(a.site)].state >> 1)
		if passes := a.rate * float64(instructions); n > passes/roamPasses {
			missed = append(missed, a.off)
		}
	}
	all := 0
	for i := range r.ownSites {
		s := &v.sites.table[r.sites+i]
		all += int(s.state >> 1)
		s.state &= 1
	}
	if all < instructions/strayInstructions || r.strayed == maxStrays {
		return false
	}
	if !r.merged { // else the next has sites of their own for them
		for _, off := range missed {
			r.roams[off] = true
		}
	}
	r.strayed++
	v.stats.Strayed++
	v.code.leave(r)
	return true
}

// access is a check of a region.
type access struct {
	off   int32 // of the instruction
	block int32 // where it is in
	insts int   // how many that has
	site  uint16
	rate  float64 // passes in an instruction of the region, as far as is known how often blocks are executed
}

// each calls f for each check.
func each(r *ir.Region, f func(*ir.RegionBlock, *ir.Inst)) {
	for i := range r.Blocks {
		b := &r.Blocks[i]
		for j := range b.Insts {
			if b.Insts[j].Span != 0 {
				f(b, &b.Insts[j])
			}
		}
	}
}

// roaming finds the accesses of a region that missed their site often.
func (v *VCPU) roaming(own *region) map[int32]bool {
	found := map[int32]bool{}
	for _, a := range own.accesses {
		passes := (own.heat[a.block] + 1) * int(v.slice) / a.insts
		if int(v.sites.table[own.sites+int(a.site)].state>>1) > passes/16 {
			found[a.off] = true
		}
	}
	maps.Copy(own.roams, found)
	return own.roams
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
func (v *VCPU) install(header *block, r *ir.Region, pages map[int32]*codePage, va uint64) bool {
	c := &v.code
	p := header.page
	room := func(n int) bool { return c.end+n+64 <= len(c.mem.Bytes) }
	at := int(header.code - c.mem.Exec)
	// The header's code as a block, again: what is there will lead to the region.
	if header.region() == nil {
		var buf [interp.MaxBlock]riscv.Inst
		lower.Block(int32(header.start), header.Insts(buf[:0]), &v.block)
		made := emitApart(v.emit, &v.block, c.end, len(c.blocks))
		if !room(len(made.Bytes)) {
			return false
		}
		plain := &block{Block: header.Block, start: header.start, page: p}
		p.headers = append(p.headers, header)
		header.heat().region = &region{header: header, plain: c.add(plain, made), start: slices.Clone(c.mem.Bytes[at:][:jumpBytes]), roams: map[int32]bool{}}
	}
	pc := va | uint64(header.start)
	rec := c.trace.dump.Begin("region", c.trace.hart, pc, header.GPA())
	defer rec.End()
	rec.Pass("lowering", r)
	own := header.region()
	again := r == own.source
	if again {
		own.source = nil
	} else {
		own.source, own.heat, own.heated, own.looks = r.Clone(), map[int32]int{}, 0, nil
	}
	for _, pass := range opt.Passes {
		pass.Run(r)
		rec.Pass(pass.Name, r)
	}
	if again {
		roaming := v.roaming(own)
		each(r, func(b *ir.RegionBlock, in *ir.Inst) {
			if roaming[b.Offsets[in.Index]] {
				in.Flags |= ir.Roams
			}
		})
		rec.Pass("roaming", r)
		n := own.merge(r)
		own.merged = n > 0
		v.stats.Merged += uint64(n)
		rec.Pass("merge", r)
	}
	// Nothing goes on in the code that the header has led to: its sites can be
	// used again.
	sites := own.sites
	if r.Sites > own.ownSites {
		if sites = c.sites; sites+r.Sites > maxSites {
			own.source = nil
			c.full = true
			return false
		}
	}
	made := emitRegion(v.emit, r, layout.SiteTable+int32(sites)*siteBytes, c.end, len(c.blocks))
	if !room(len(made.Bytes)) {
		own.source = nil
		return false
	}
	if r.Sites > own.ownSites {
		own.sites, own.ownSites = sites, r.Sites
		c.sites += r.Sites
	}
	v.sites.fresh(sites, r)
	work := 1
	for i := range r.Blocks {
		work += r.Blocks[i].Weight * len(r.Blocks[i].Offsets)
	}
	own.accesses = own.accesses[:0]
	each(r, func(b *ir.RegionBlock, in *ir.Inst) {
		own.accesses = append(own.accesses, access{b.Offsets[in.Index], b.Start, len(b.Offsets), in.Site, float64(b.Weight) / float64(work)})
	})
	if !again {
		own.blocks = len(r.Blocks)
	}
	first := &block{Block: header.Block, start: header.start, page: p, hot: &hotness{inside: own}}
	code := c.add(first, made)
	own.exits = append(own.exits, first)
	own.pages, own.context = pages, int(code-c.mem.Exec)+made.Context
	own.entries = map[int32]uintptr{}
	for off, n := range made.Entries {
		own.entries[off] = code + uintptr(n)
	}
	// A number serves 256 links.
	for n := 256; n < len(first.links); n += 256 {
		c.blocks = append(c.blocks, &block{Block: header.Block, start: header.start, page: p, hot: first.hot, links: first.links[n:]})
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
		c.leave(r)
	}
	p.regions = nil
}

// leave has the header of a region run as a block again.
func (c *cache) leave(r *region) {
	if r.blocks == 0 {
		return
	}
	r.blocks = 0
	at := int(r.header.code - c.mem.Exec)
	copy(c.mem.Bytes[at:], r.start)
	c.mem.Written(at, jumpBytes)
}
