package opt

import "doppel/internal/cpu/jit/ir"

// maxJoined is how many guest instructions a block may have that others are
// joined to: an Inst has a byte for its number.
const maxJoined = 128

// Join makes one block of each and what only it leads to, so that the passes
// see more at once, and puts those next to each other that follow each other
// most often. Branches may then be anywhere in a block, and lead to where control goes
// less often than on in the block.
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
	// joins tells whether the block at an offset can be joined to the one with a number.
	joins := func(i int, to int32) (j int, ok bool) {
		j, ok = index[to]
		return j, ok && j != i && preds[j] == 1 && len(r.Blocks[i].Offsets)+len(r.Blocks[j].Offsets) <= maxJoined
	}
	for i := range r.Blocks {
		a := &r.Blocks[i]
		last := a.Weight // of what was joined last
		for !gone[i] && !loops(a) {
			turn(a, func(to, other int32) bool {
				j, ok := joins(i, to)
				k, inside := index[other]
				return ok && (!inside || r.Blocks[j].Weight > r.Blocks[k].Weight)
			})
			end := a.Insts[len(a.Insts)-1]
			j, ok := joins(i, end.Target)
			if !ok || end.Op != ir.Jump {
				break
			}
			last = min(last, r.Blocks[j].Weight)
			join(a, &r.Blocks[j], 2*last >= a.Weight)
			gone[j] = true
		}
	}
	r.Blocks = order(r.Blocks, gone)
	r.Joined = true
}

// loops tells whether a ends with a Branch to its start: what follows is
// executed less often.
func loops(a *ir.RegionBlock) bool {
	n := len(a.Insts)
	return n > 1 && a.Insts[n-2].Op == ir.Branch && a.Insts[n-2].Target == a.Start
}

// turn exchanges where the Branch and the Jump at the end of a lead if
// better says so of the Branch's target and the other.
func turn(a *ir.RegionBlock, better func(to, other int32) bool) {
	n := len(a.Insts)
	if n < 2 || a.Insts[n-2].Op != ir.Branch {
		return
	}
	branch, jump := &a.Insts[n-2], &a.Insts[n-1]
	if jump.Op == ir.Jump && int(jump.Index) == len(a.Offsets) && better(branch.Target, jump.Target) {
		branch.Cond = branch.Cond.Not()
		branch.Target, jump.Target = jump.Target, branch.Target
	}
}

// join appends b, to which a leads. likely: in every second pass of a.
func join(a, b *ir.RegionBlock, likely bool) {
	n := len(a.Insts) - 1
	last := a.Insts[n]
	a.Insts = a.Insts[:n:n]
	if last.Dst != 0 { // a call
		a.Insts = append(a.Insts, ir.Inst{Op: ir.PC, Dst: last.Dst, Imm: last.Imm, Index: last.Index})
	}
	for _, in := range b.Insts {
		in.Index += uint8(len(a.Offsets))
		if !likely {
			in.Flags &^= ir.Likely
		} else if in.Op == ir.Store || in.Op == ir.FStore {
			in.Flags |= ir.Likely
		}
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
