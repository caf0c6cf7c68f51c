package opt

import "doppel/internal/cpu/jit/ir"

const (
	// maxSpan is how far apart accesses may be that share a check: the less, the
	// less likely is it that they lie in two pages.
	maxSpan = 512

	// maxSites is how many sites a region may have.
	maxSites = 1 << 10
)

// share gives every access that has a base register, and no site yet, a site, and one to all
// those of a block whose bases are known to be a constant apart.
func share(r *ir.Region) {
	s := Sharer{sites: max(r.Sites, 1)}
	for n := range r.Blocks {
		s.share(r.Blocks[n].Insts)
	}
	r.Sites = s.sites
}

// Sharer finds the accesses that can share a check. It has memory that is used
// again for the next block.
type Sharer struct {
	sites  int     // numbers that have been given
	groups []group // of the present block, in the order of their first accesses
}

// Block is share for a block by itself, whose sites' numbers begin with 1.
func (s *Sharer) Block(b *ir.Block) {
	s.sites = 1
	s.share(b.Insts)
}

// group is accesses that share a site; lo and hi bound them, from the base of
// the first.
type group struct {
	first    *ir.Inst
	lo, hi   int64
	stores   bool
	branches int // before the first
}

// based says that a register is delta from the base of a group's first access.
type based struct {
	group int // plus one, or 0 for none
	delta int64
}

// share does a block. If one of the accesses of a group stores, the check is
// that for stores, which lets loads pass too.
func (s *Sharer) share(insts []ir.Inst) {
	var bases [32]based
	s.groups = s.groups[:0]
	branches := 0
	for i := range insts {
		in := &insts[i]
		switch {
		case in.IsMemory() && in.A != 0 && in.Site == 0 && s.sites+len(s.groups) < maxSites:
			b := &bases[in.A]
			if b.group == 0 || !s.groups[b.group-1].takes(in, b.delta, branches) {
				s.groups = append(s.groups, group{first: in, lo: in.Imm, hi: in.Imm + int64(in.Size), branches: branches})
				*b = based{group: len(s.groups)}
			}
			s.groups[b.group-1].add(in, b.delta)
			in.Site, in.Span = uint16(s.sites+b.group-1), 0
		case in.Op == ir.Branch:
			branches++
		case in.Remaps():
			bases = [32]based{}
		}
		if d := in.Def(); d != 0 && d < ir.F0 {
			bases[d] = after(in, &bases)
		}
	}
	for i := range insts {
		if in := &insts[i]; in.IsMemory() && int(in.Site) >= s.sites && s.groups[int(in.Site)-s.sites].stores {
			in.Flags |= ir.Stores
		}
	}
	for i := range s.groups {
		g := &s.groups[i]
		g.first.Low, g.first.Span = int32(g.lo), uint16(g.hi-g.lo)
	}
	s.sites += len(s.groups)
}

// takes tells whether in can share the group's check. A store must not that is
// executed only sometimes: what is loaded from need not be writable.
func (g *group) takes(in *ir.Inst, delta int64, branches int) bool {
	lo := delta + in.Imm
	if stores := in.Op == ir.Store || in.Op == ir.FStore; stores && !g.stores && branches != g.branches && in.Flags&ir.Likely == 0 {
		return false
	}
	return max(g.hi, lo+int64(in.Size))-min(g.lo, lo) <= maxSpan && fits(min(g.lo, lo))
}

func (g *group) add(in *ir.Inst, delta int64) {
	lo := delta + in.Imm
	g.lo, g.hi = min(g.lo, lo), max(g.hi, lo+int64(in.Size))
	g.stores = g.stores || in.Op == ir.Store || in.Op == ir.FStore
}

// after is what the result of in is based on.
func after(in *ir.Inst, bases *[32]based) based {
	switch {
	case in.Op != ir.Add:
	case in.Flags == ir.Immediate:
		b := bases[in.A]
		if b.delta += in.Imm; fits(b.delta) {
			return b
		}
	case in.Flags == 0 && in.B == 0:
		return bases[in.A]
	case in.Flags == 0 && in.A == 0:
		return bases[in.B]
	}
	return based{}
}
