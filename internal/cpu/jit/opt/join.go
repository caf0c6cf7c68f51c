package opt

import "doppel/internal/cpu/jit/ir"

// maxJoined is how many guest instructions a block may have that others are
// joined to: an Inst has a byte for its number.
const maxJoined = 128

// Join makes one block of each and what only it leads to, so that the passes
// see more at once, and puts those next to each other that follow each other
// most often. Branches may then be anywhere in a block.
func Join(r *ir.Region) {
	index := map[int32]int{}
	for i := range r.Blocks {
		index[r.Blocks[i].Start] = i
	}
	preds := make([]int, len(r.Blocks))
	preds[0] = 2 // entered from elsewhere
	for i := range r.Blocks {
		successors(&r.Blocks[i], func(to int32) {
			if j, ok := index[to]; ok {
				preds[j]++
			}
		})
	}
	gone := make([]bool, len(r.Blocks))
	for i := range r.Blocks {
		a := &r.Blocks[i]
		for !gone[i] {
			last := a.Insts[len(a.Insts)-1]
			j, ok := index[last.Target]
			if !ok || last.Op != ir.Jump || j == i || preds[j] != 1 || len(a.Offsets)+len(r.Blocks[j].Offsets) > maxJoined {
				break
			}
			join(a, &r.Blocks[j])
			gone[j] = true
		}
	}
	r.Blocks = order(r.Blocks, gone)
	r.Joined = true
}

// join appends b, to which a leads.
func join(a, b *ir.RegionBlock) {
	n := len(a.Insts) - 1
	last := a.Insts[n]
	a.Insts = a.Insts[:n:n]
	if last.Dst != 0 { // a call
		a.Insts = append(a.Insts, ir.Inst{Op: ir.PC, Dst: last.Dst, Imm: last.Imm, Index: last.Index})
	}
	for _, in := range b.Insts {
		in.Index += uint8(len(a.Offsets))
		a.Insts = append(a.Insts, in)
	}
	a.Offsets = append(a.Offsets[:len(a.Offsets):len(a.Offsets)], b.Offsets...)
	a.Returns = b.Returns
}

// successors calls f for where b may lead.
func successors(b *ir.RegionBlock, f func(to int32)) {
	for i := range b.Insts {
		if op := b.Insts[i].Op; op == ir.Branch || op == ir.Jump {
			f(b.Insts[i].Target)
		}
	}
	for _, to := range b.Returns {
		f(to)
	}
}

// order lets each block be followed by the most executed of those that it leads
// to, as long as there is one.
func order(blocks []ir.RegionBlock, gone []bool) []ir.RegionBlock {
	index := map[int32]int{}
	for i := range blocks {
		if !gone[i] {
			index[blocks[i].Start] = i
		}
	}
	var out []ir.RegionBlock
	for first := range blocks {
		for i := first; i >= 0 && !gone[i]; {
			gone[i] = true
			out = append(out, blocks[i])
			next := -1
			successors(&blocks[i], func(to int32) {
				if j, ok := index[to]; ok && !gone[j] && (next < 0 || blocks[j].Weight >= blocks[next].Weight) {
					next = j
				}
			})
			i = next
		}
	}
	return out
}
