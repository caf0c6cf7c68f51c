package opt

import (
	"slices"

	"doppel/internal/cpu/jit/ir"
)

const (
	maxTurns    = 6
	maxUnrolled = 96 // guest instructions of all turns
	minTurns    = 6  // of a loop when it is entered, by and large
	hotPart     = 16 // of the most executed block's passes, what a loop must have at least
	rolled      = 1  // is in the Start of blocks that have another's offset: those of instructions are even
)

// Unroll makes several turns of each hot loop of one block, of a joined region, so
// that its turns share checks. What needs checks of its own, at the end of a page
// above all, is done by the block as it was.
func Unroll(r *ir.Region) {
	most := 0
	for i := range r.Blocks {
		most = max(most, r.Blocks[i].Weight)
	}
	for i := range len(r.Blocks) {
		b := &r.Blocks[i]
		turns := min(maxTurns, maxUnrolled/max(1, len(b.Offsets)))
		if b.Weight < most/hotPart || turns < 2 || !isLoop(b) || !hasAccess(b) || entered(r, b) > b.Weight/minTurns {
			continue
		}
		old := *b
		old.Start |= rolled
		old.Insts = slices.Clone(b.Insts)
		r.Blocks = append(r.Blocks, old)
		unroll(&r.Blocks[i], turns)
	}
}

// entered is how often a loop is entered, at most.
func entered(r *ir.Region, loop *ir.RegionBlock) (n int) {
	for i := range r.Blocks {
		b := &r.Blocks[i]
		if b.Start == loop.Start {
			continue
		}
		leads := false
		successors(b, func(to int32) { leads = leads || to == loop.Start })
		switch {
		case !leads:
		case isLoop(b): // it seldom ends
			n += b.Weight / minTurns
		default:
			n += b.Weight
		}
	}
	return n
}

// isLoop tells whether b ends with a jump to its start: a Branch and where else
// that goes, or a Jump.
func isLoop(b *ir.RegionBlock) bool {
	last := &b.Insts[len(b.Insts)-1]
	if last.Op != ir.Jump || last.Dst != 0 {
		return false
	}
	return last.Target == b.Start || loops(b) && int(last.Index) == len(b.Offsets)
}

func hasAccess(b *ir.RegionBlock) bool {
	return slices.ContainsFunc(b.Insts, func(in ir.Inst) bool { return in.IsMemory() && in.A != 0 })
}

// unroll makes turns of a loop.
func unroll(b *ir.RegionBlock, turns int) {
	n := len(b.Insts)
	once := slices.Clone(b.Insts)
	if loops(b) { // every turn but the last goes on in the block
		branch := &once[n-2]
		branch.Cond, branch.Target = branch.Cond.Not(), once[n-1].Target
	}
	once = once[:n-1]
	var insts []ir.Inst
	var offsets []int32
	for turn := range turns {
		turnOf := once
		if turn == turns-1 {
			turnOf = b.Insts
		}
		for _, in := range turnOf {
			in.Index += uint8(turn * len(b.Offsets))
			insts = append(insts, in)
		}
		offsets = append(offsets, b.Offsets...)
	}
	b.Insts, b.Offsets = insts, offsets
	b.Rolled = b.Start | rolled
}

// rooted is the accesses of a block whose bases are a constant apart from what a
// register is at the start.
type rooted struct {
	group
	members []*ir.Inst
}

// offer adds in if it can share the check, which begins with what is executed
// before any branch.
func (g *rooted) offer(in *ir.Inst, delta int64, branches int) {
	if len(g.members) == 0 {
		if branches > 0 {
			return
		}
		g.lo = delta + in.Imm
		g.hi = g.lo + int64(in.Size)
	} else if !g.takes(in, delta, branches) {
		return
	}
	g.add(in, delta)
	g.members = append(g.members, in)
}

// hoist checks at the start of blocks that have others to fall back on, for all
// accesses whose addresses are then known but for constants.
func hoist(r *ir.Region) {
	r.Sites = 1
	for n := range r.Blocks {
		b := &r.Blocks[n]
		if b.Rolled == 0 {
			continue
		}
		groups := rootedIn(b.Insts)
		var checks []ir.Inst
		for i := range groups {
			g := &groups[i]
			if len(g.members) < 2 || r.Sites == maxSites {
				continue
			}
			check := ir.Inst{Op: ir.Check, A: ir.Reg(i), Index: g.members[0].Index, Target: b.Rolled,
				Site: uint16(r.Sites), Span: uint16(g.hi - g.lo), Low: int32(g.lo)}
			for _, in := range g.members {
				in.Site, in.Span = uint16(r.Sites), 0
				if g.stores {
					in.Flags |= ir.Stores
					check.Flags = ir.Stores
				}
			}
			checks = append(checks, check)
			r.Sites++
		}
		// The accesses to the first site come first: its addend is at hand.
		slices.SortStableFunc(checks, func(x, y ir.Inst) int { return int(y.Index) - int(x.Index) })
		b.Insts = append(checks, b.Insts...)
	}
}

// rootedIn gives what can be checked at the start of a block, by register.
func rootedIn(insts []ir.Inst) (groups [32]rooted) {
	var bases [32]based
	for i := 1; i < len(bases); i++ {
		bases[i].group = i
	}
	branches := 0
	for i := range insts {
		in := &insts[i]
		switch {
		case in.IsMemory() && in.A != 0 && bases[in.A].group != 0:
			groups[bases[in.A].group].offer(in, bases[in.A].delta, branches)
		case in.Op == ir.Branch:
			branches++
		case in.Remaps():
			bases = [32]based{}
		}
		if d := in.Def(); d != 0 && d < ir.F0 {
			bases[d] = after(in, &bases)
		}
	}
	return groups
}
