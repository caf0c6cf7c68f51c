//go:build linux && (amd64 || arm64)

package jit

import (
	"maps"
	"slices"

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

	maxRegionBlocks = 96
	maxRegionInsts  = 800
	maxReturns      = 4 // that a JumpReg is compared with
)

// region is the code of a loop.
type region struct {
	header *block
	plain  uintptr // the code of the header as a block
	blocks int
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
	b := (*codeTable)(*code).page.blocks[uint16(gpa&pageMask)]
	if b == nil {
		return
	}
	if b.samples++; b.samples >= v.samples {
		b.samples = -4 * v.samples // not again soon
		v.promote(b)
	}
}

// node is a basic block: a run of instructions of the page that have been
// executed.
type node struct {
	off   int32
	insts []riscv.Inst
	succ  []int32 // where it has led, in the page
	rets  []int32
	depth int
}

// graph is what has been executed in a page from b on.
func (p *codePage) graph(b *block) map[int32]*node {
	heads := map[int32]*block{int32(b.start): b}
	work := []*block{b}
	var returns []int32 // after calls
	reach := func(off int32) {
		if to := p.blocks[uint16(off)]; off >= 0 && off < pageMask && to != nil && heads[off] == nil {
			heads[off] = to
			work = append(work, to)
		}
	}
	for len(work) > 0 {
		x := work[len(work)-1]
		work = work[:len(work)-1]
		for i, l := range x.links {
			if x.taken[i] {
				reach(l.Target)
			}
		}
		off := int32(x.start)
		for _, d := range x.Insts {
			off += int32(d.Len)
			if d.Op == riscv.JAL && d.Rd != 0 && p.blocks[uint16(off)] != nil && off < pageMask {
				returns = append(returns, off)
				reach(off)
			}
		}
	}
	slices.Sort(returns)
	returns = slices.Compact(returns)
	nodes := map[int32]*node{}
	for _, off := range sorted(heads) {
		heads[off].split(heads, nodes, returns)
	}
	return nodes
}

// split adds the basic blocks of b.
func (b *block) split(heads map[int32]*block, nodes map[int32]*node, returns []int32) {
	taken := map[int32]bool{int32(b.start): true}
	for i, l := range b.links {
		taken[l.Target] = taken[l.Target] || b.taken[i]
	}
	off := int32(b.start)
	var n *node
	begin := func() bool {
		if nodes[off] != nil {
			return false
		}
		n = &node{off: off}
		nodes[off] = n
		return true
	}
	if !begin() {
		return
	}
	for _, d := range b.Insts {
		if off != n.off && heads[off] != nil {
			n.succ = append(n.succ, off)
			return // the rest is that block's
		}
		n.insts = append(n.insts, d)
		at := off
		off += int32(d.Len)
		switch {
		case riscv.BEQ <= d.Op && d.Op <= riscv.BGEU:
			if to := at + int32(d.Imm); taken[to] && heads[to] != nil {
				n.succ = append(n.succ, to)
			}
			n.succ = append(n.succ, off)
			if !begin() {
				return
			}
		case d.Op == riscv.JAL:
			if to := at + int32(d.Imm); heads[to] != nil {
				n.succ = append(n.succ, to)
			}
			return
		case d.Op == riscv.JALR:
			if d.Rd == 0 && d.Rs1 == 1 && len(returns) <= maxReturns {
				n.succ, n.rets = returns, returns
			}
			return
		}
	}
	switch {
	case len(n.insts) == 0: // b ends with a branch, without a word of what follows
		delete(nodes, off)
	case heads[off] != nil:
		n.succ = append(n.succ, off)
	}
}

// lowered makes a region's block of n, as far as regions can have its
// instructions. It returns false if there are none.
func (n *node) lowered(b *ir.RegionBlock) bool {
	var flat ir.Block
	lower.Block(n.off, n.insts, &flat)
	b.Start, b.Returns = n.off, n.rets
	off := n.off
	for i := range flat.Insts {
		in := &flat.Insts[i]
		for len(b.Offsets) <= int(in.Index) && len(b.Offsets) < len(n.insts) {
			b.Offsets = append(b.Offsets, off)
			off += int32(n.insts[len(b.Offsets)-1].Len)
		}
		if !regionOp(in) {
			b.Insts = append(b.Insts, ir.Inst{Op: ir.Jump, Target: b.Offsets[in.Index], Index: in.Index})
			b.Offsets = b.Offsets[:in.Index]
			n.succ = nil
			return in.Index > 0
		}
		b.Insts = append(b.Insts, *in)
	}
	return true
}

// loops returns the strongly connected components of the nodes in set that
// have an inner edge.
func loops(nodes map[int32]*node, set map[int32]bool) (found []map[int32]bool) {
	index, low := map[int32]int{}, map[int32]int{}
	on := map[int32]bool{}
	var stack []int32
	var visit func(int32)
	visit = func(off int32) {
		index[off] = len(index) + 1
		low[off] = index[off]
		stack = append(stack, off)
		on[off] = true
		self := false
		for _, s := range nodes[off].succ {
			switch {
			case nodes[s] == nil || !set[s]:
			case index[s] == 0:
				visit(s)
				low[off] = min(low[off], low[s])
			case on[s]:
				low[off] = min(low[off], index[s])
			}
			self = self || s == off
		}
		if low[off] != index[off] {
			return
		}
		part := map[int32]bool{}
		for {
			x := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			on[x] = false
			part[x] = true
			if x == off {
				break
			}
		}
		if len(part) > 1 || self {
			found = append(found, part)
		}
	}
	for _, off := range sorted(set) {
		if index[off] == 0 {
			visit(off)
		}
	}
	return found
}

func sorted[T any](set map[int32]T) []int32 { return slices.Sorted(maps.Keys(set)) }

// deepen counts the loops around each node of a loop with a header.
func deepen(nodes map[int32]*node, loop map[int32]bool, header int32, depth int) {
	inner := map[int32]bool{}
	for off := range loop {
		nodes[off].depth = depth
		if off != header {
			inner[off] = true
		}
	}
	for _, l := range loops(nodes, inner) {
		deepen(nodes, l, sorted(l)[0], depth+1)
	}
}

// header is the block by which a loop is entered: one that is reached from
// elsewhere, or else the first.
func (p *codePage) header(nodes map[int32]*node, loop map[int32]bool) *block {
	var first *block
	for _, off := range sorted(loop) {
		if b := p.blocks[uint16(off)]; b != nil {
			if first == nil {
				first = b
			}
			for _, from := range p.list {
				if loop[int32(from.start)] {
					continue
				}
				for i, l := range from.links {
					if l.Target == off && from.taken[i] {
						return b
					}
				}
			}
		}
	}
	return first
}

// promote makes a region of the loop that b is in, if it is in one.
func (v *VCPU) promote(b *block) {
	p := b.page
	nodes := p.graph(b)
	lowered := map[int32]*ir.RegionBlock{}
	set := map[int32]bool{}
	for off, n := range nodes {
		rb := new(ir.RegionBlock)
		if n.lowered(rb) {
			lowered[off] = rb
			set[off] = true
		}
	}
	var loop map[int32]bool
	var header *block
	for {
		loop = nil
		for _, l := range loops(nodes, set) {
			if l[int32(b.start)] {
				loop = l
			}
		}
		if loop == nil {
			return
		}
		header = p.header(nodes, loop)
		if header == nil {
			return
		}
		insts := 0
		for off := range loop {
			insts += len(lowered[off].Offsets)
		}
		if len(loop) <= maxRegionBlocks && insts <= maxRegionInsts {
			break
		}
		set = loop // too large: only an inner loop
		delete(set, int32(header.start))
	}
	if r := header.region; r != nil && r.blocks >= len(loop) {
		return
	}
	deepen(nodes, loop, int32(header.start), 1)
	offs := sorted(loop)
	at, _ := slices.BinarySearch(offs, int32(header.start))
	r := &ir.Region{}
	for _, off := range append(offs[at:len(offs):len(offs)], offs[:at]...) {
		rb := lowered[off]
		rb.Depth = nodes[off].depth
		rb.Returns = slices.DeleteFunc(slices.Clone(rb.Returns), func(o int32) bool { return !loop[o] })
		r.Blocks = append(r.Blocks, *rb)
	}
	v.install(header, r)
}

// install makes the code of a region and has its header's code lead there.
func (v *VCPU) install(header *block, r *ir.Region) {
	c := &v.code
	p := header.page
	room := func(n int) bool { return c.end+n+64 <= len(c.mem.Bytes) }
	// The header's code as a block, again: what is there will lead to the region.
	if header.region == nil {
		lower.Block(int32(header.start), header.Insts, &v.block)
		made := emitApart(v.emit, &v.block, c.end, len(c.blocks))
		if !room(len(made.Bytes)) {
			return
		}
		plain := &block{Block: header.Block, start: header.start, count: header.count, page: p}
		header.region = &region{header: header, plain: c.add(plain, made)}
	}
	pc := v.h.PC&^pageMask | uint64(header.start)
	rec := c.trace.dump.Begin("region", c.trace.hart, pc, header.GPA())
	defer rec.End()
	rec.Pass("lowering", r)
	for _, pass := range opt.Passes {
		pass.Run(r)
		rec.Pass(pass.Name, r)
	}
	if c.sites+r.Sites > maxSites {
		return
	}
	made := emitRegion(v.emit, r, layout.SiteTable+int32(c.sites)*siteBytes, c.end, len(c.blocks))
	if !room(len(made.Bytes)) {
		return
	}
	for i := range r.Blocks {
		for _, in := range r.Blocks[i].Insts {
			if in.Span != 0 {
				v.sites.table[c.sites+int(in.Site)].full = uint64(pageMask + 1 - int(in.Span) + 1)
			}
		}
	}
	c.sites += r.Sites
	own := header.region
	own.blocks = len(r.Blocks)
	first := &block{Block: header.Block, start: header.start, page: p, inside: own}
	code := c.add(first, made)
	// A number serves 256 links.
	for rest := first.links; len(rest) > 256; {
		rest = rest[256:]
		more := &block{Block: header.Block, start: header.start, page: p, inside: own, links: rest, taken: first.taken[len(first.links)-len(rest):], far: first.far[len(first.links)-len(rest):]}
		c.blocks = append(c.blocks, more)
	}
	at := int(header.code - c.mem.Exec)
	putJump(c.mem.Bytes[at:], int64(code)-int64(header.code))
	c.mem.Written(at, jumpBytes)
	v.stats.Regions++
	rec.Code(made.Bytes, code)
	c.trace.perfMap.Add(code, len(made.Bytes), "guest:region %#x [gpa %#x]", pc, uint64(header.GPA()))
}
