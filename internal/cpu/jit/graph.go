//go:build linux && (amd64 || arm64)

package jit

import (
	"maps"
	"slices"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/cpu/jit/lower"
	"doppel/internal/riscv"
)

// graph is code that has been executed, as basic blocks. Offsets are from the
// start of the page where the search began; other pages lie around it as they
// do in the address space, as far as links lead there.
type graph struct {
	pages map[int32]*codePage // by number from the first
	heads map[int32]*block    // translated blocks
	nodes map[int32]*node
	led   map[int32]bool    // where regions have led
	cases map[int32][]int32 // see casesIn
}

// node is a run of instructions.
type node struct {
	off   int32
	insts []riscv.Inst
	succ  []int32 // where it has led
	rets  []int32 // where it leads if it is a return
	depth int     // of loops
	open  bool    // it ends where a block does; what follows is not known
}

const (
	maxPages   = 4
	maxReturns = 4  // of a return
	maxCases   = 64 // of a jump through a table
)

// explore finds what has been executed from b on, or nil if that does not lead
// to b again.
func explore(b *block) *graph {
	g := &graph{pages: map[int32]*codePage{}, heads: map[int32]*block{}, nodes: map[int32]*node{}, led: map[int32]bool{}, cases: map[int32][]int32{}}
	g.add(0, b.page)
	var work []int32
	start, again := int32(b.start), false
	reach := func(off int32) bool {
		again = again || off == start
		to := g.block(off)
		if to != nil && g.heads[off] == nil {
			g.heads[off] = to
			work = append(work, off)
		}
		return to != nil
	}
	reach(start)
	again = false
	var returns []int32 // after calls
	var buf [interp.MaxBlock]riscv.Inst
	for len(work) > 0 {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		x := g.heads[at]
		base := at &^ pageMask
		for x := x; x != nil; x = x.alone() {
			for i, l := range x.links {
				if !l.taken {
					continue
				}
				to := base + l.target
				if l.far {
					g.add(to>>12, x.farTo(i))
				}
				reach(to)
			}
		}
		insts := x.Insts(buf[:0])
		for i := range insts {
			d := &insts[i]
			if to := at + int32(d.Imm); riscv.BEQ <= d.Op && d.Op <= riscv.BGEU || d.Op == riscv.JAL {
				again = again || to == start // a block jumps to itself without a link
				if g.led[to] {
					reach(to)
				}
			}
			at += int32(d.Len)
			again = again || at == start
			if d.Op == riscv.JAL && d.Rd != 0 && reach(at) {
				returns = append(returns, at)
			}
			if throughTable(insts, i) {
				for _, to := range g.casesIn((at - int32(d.Len)) >> 12) {
					reach(to)
				}
			}
		}
		if g.led[at] {
			reach(at)
		}
	}
	if !again {
		return nil
	}
	slices.Sort(returns)
	returns = slices.Compact(returns)
	for _, off := range sorted(g.heads) {
		g.split(off, returns)
	}
	return g
}

// add says which page has a number. Where regions of the page are left for is
// seen in their own links: the blocks that they stand for are not executed.
func (g *graph) add(n int32, p *codePage) {
	if p == nil || p.codeTable == nil || g.pages[n] != nil || len(g.pages) == maxPages {
		return
	}
	g.pages[n] = p
	for _, b := range p.headers {
		for _, x := range b.region().exits {
			for i, l := range x.links {
				if l.taken {
					to := n<<12 + l.target
					g.led[to] = true
					if l.far {
						g.add(to>>12, x.farTo(i))
					}
				}
			}
		}
	}
}

func (g *graph) block(off int32) *block {
	p := g.pages[off>>12]
	if p == nil {
		return nil
	}
	return p.block(uint64(off & pageMask))
}

// split adds the basic blocks of the block at an offset.
func (g *graph) split(start int32, returns []int32) {
	b := g.heads[start]
	taken := map[int32]bool{start: true}
	for x := b; x != nil; x = x.alone() {
		for _, l := range x.links {
			to := start&^pageMask + l.target
			taken[to] = taken[to] || l.taken
		}
	}
	off := start
	var n *node
	begin := func() bool {
		if old := g.nodes[off]; old != nil && !old.open || off != start && g.heads[off] != nil {
			return false
		}
		n = &node{off: off}
		g.nodes[off] = n
		return true
	}
	if !begin() {
		return
	}
	var buf [interp.MaxBlock]riscv.Inst
	insts := b.Insts(buf[:0])
	for i, d := range insts {
		if off != n.off && g.heads[off] != nil {
			n.succ = append(n.succ, off)
			return // the rest is that block's
		}
		n.insts = append(n.insts, d)
		at := off
		off += int32(d.Len)
		switch {
		case riscv.BEQ <= d.Op && d.Op <= riscv.BGEU:
			if to := at + int32(d.Imm); (taken[to] || g.led[to]) && g.heads[to] != nil {
				n.succ = append(n.succ, to)
			}
			n.succ = append(n.succ, off)
			if !begin() {
				return
			}
		case d.Op == riscv.JAL:
			if to := at + int32(d.Imm); g.heads[to] != nil {
				n.succ = append(n.succ, to)
			}
			return
		case d.Op == riscv.JALR:
			if d.Rd == 0 && d.Rs1 == 1 && len(returns) <= maxReturns {
				n.succ, n.rets = slices.Clone(returns), slices.Clone(returns)
			}
			if throughTable(insts, i) {
				n.succ, n.rets = slices.Clone(g.casesIn(at>>12)), slices.Clone(g.casesIn(at>>12))
			}
			return
		}
	}
	switch {
	case len(n.insts) == 0: // b ends with a branch, without a word of what follows
		delete(g.nodes, off)
	case g.heads[off] != nil:
		n.succ = append(n.succ, off)
	default:
		n.open = true
	}
}

// throughTable tells whether the instruction with a number is a jump to what a
// table says: to a sum, as compilers make of a switch.
func throughTable(insts []riscv.Inst, i int) bool {
	d := &insts[i]
	return hasTables && i > 0 && d.Op == riscv.JALR && d.Rd == 0 && d.Rs1 != 1 && insts[i-1].Op == riscv.ADD && insts[i-1].Rd == d.Rs1
}

// casesIn gives the blocks of a page that nothing else is known to lead to than
// jumps through a table in the page. That may be wrong, for what is called from other
// pages: then it is in no loop with the jump.
func (g *graph) casesIn(number int32) []int32 {
	if found, ok := g.cases[number]; ok {
		return found
	}
	known := map[int32]bool{}
	var buf [interp.MaxBlock]riscv.Inst
	for n, p := range g.pages {
		for _, b := range p.list {
			for _, l := range b.links {
				if l.taken {
					known[n<<12+l.target] = true
				}
			}
			at := n<<12 + int32(b.start)
			for _, d := range b.Insts(buf[:0]) {
				if riscv.BEQ <= d.Op && d.Op <= riscv.BGEU || d.Op == riscv.JAL {
					if to := at + int32(d.Imm); d.Op == riscv.JAL || to == n<<12+int32(b.start) {
						known[to] = true
					}
				}
				at += int32(d.Len)
				if (d.Op == riscv.JAL || d.Op == riscv.JALR) && d.Rd != 0 {
					known[at] = true
				}
			}
		}
	}
	found := []int32{}
	for _, b := range g.pages[number].list {
		if off := number<<12 + int32(b.start); !known[off] && !g.led[off] {
			found = append(found, off)
		}
	}
	slices.Sort(found)
	if len(found) > maxCases {
		found = nil
	}
	g.cases[number] = found
	return found
}

// rebase makes offsets count from another page.
func (g *graph) rebase(base int32) {
	nodes := map[int32]*node{}
	for _, n := range g.nodes {
		n.off -= base
		for i := range n.succ {
			n.succ[i] -= base
		}
		for i := range n.rets {
			n.rets[i] -= base
		}
		nodes[n.off] = n
	}
	pages := map[int32]*codePage{}
	for i, p := range g.pages {
		pages[i-base>>12] = p
	}
	g.nodes, g.pages, g.heads = nodes, pages, nil
}

// lowered is a region's block of n, as far as regions can have its
// instructions; ok is false if there are none. cut tells that the rest is
// missing.
func (n *node) lowered() (b ir.RegionBlock, cut, ok bool) {
	var flat ir.Block
	lower.Block(n.off, n.insts, &flat)
	b.Start, b.Depth, b.Returns = n.off, n.depth, n.rets
	off := n.off
	for i := range flat.Insts {
		in := &flat.Insts[i]
		for len(b.Offsets) <= int(in.Index) && len(b.Offsets) < len(n.insts) {
			b.Offsets = append(b.Offsets, off)
			off += int32(n.insts[len(b.Offsets)-1].Len)
		}
		if !regionOp(in) {
			for len(b.Insts) > 0 && b.Insts[len(b.Insts)-1].Index == in.Index {
				b.Insts = b.Insts[:len(b.Insts)-1]
			}
			b.Insts = append(b.Insts, ir.Inst{Op: ir.Jump, Target: b.Offsets[in.Index], Index: in.Index})
			b.Offsets = b.Offsets[:in.Index]
			return b, true, in.Index > 0
		}
		b.Insts = append(b.Insts, *in)
	}
	return b, false, true
}

// fits tells what lowered does, which lowers n into flat only.
func (n *node) fits(flat *ir.Block) (cut, ok bool) {
	lower.Block(n.off, n.insts, flat)
	for i := range flat.Insts {
		if in := &flat.Insts[i]; !regionOp(in) {
			return true, in.Index > 0
		}
	}
	return false, true
}

// loops returns the strongly connected components of the nodes in set that
// have an inner edge.
func (g *graph) loops(set map[int32]bool) (found []map[int32]bool) {
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
		for _, s := range g.nodes[off].succ {
			switch {
			case g.nodes[s] == nil || !set[s]:
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
func (g *graph) deepen(loop map[int32]bool, header int32, depth int) {
	inner := map[int32]bool{}
	for off := range loop {
		g.nodes[off].depth = depth
		if off != header {
			inner[off] = true
		}
	}
	for _, l := range g.loops(inner) {
		g.deepen(l, sorted(l)[0], depth+1)
	}
}

// header is where a loop is entered: a block that is reached from elsewhere, or
// else the first. ok is false if it has none.
func (g *graph) header(loop map[int32]bool) (header int32, ok bool) {
	entered := map[int32]bool{}
	for n, p := range g.pages {
		for _, from := range p.list {
			if loop[n<<12|int32(from.start)] {
				continue
			}
			for x := from; x != nil; x = x.alone() {
				for _, l := range x.links {
					if l.taken {
						entered[n<<12+l.target] = true
					}
				}
			}
		}
	}
	for _, off := range sorted(loop) {
		switch {
		case g.block(off) == nil:
		case entered[off]:
			return off, true
		case !ok:
			header, ok = off, true
		}
	}
	return header, ok
}
