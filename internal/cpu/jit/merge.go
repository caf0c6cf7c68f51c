//go:build linux && (amd64 || arm64)

package jit

import "doppel/internal/cpu/jit/ir"

// Accesses that go through an array side by side, as those of a loop and of
// the loop around it, are in the same page most of the time, though nothing in
// the code says so. That is seen in their sites while the region is warm. When
// it is made again they have one site: its addend stays in a register from one
// to the other, and a new page is looked up once for all.

const (
	siteLooks     = 64 // at the sites of a region, before it is made again
	maxLooked     = 64 // sites of a region that are looked at
	maxMergedSpan = 16 // the site of all has the largest span, which lies in two pages more often
)

// noPage is what looks say of sites that are void.
const noPage = 1

// look notes in which pages the sites of a region are, now and then.
func (v *VCPU) look(r *region) {
	if !hasMerged || r.ownSites > maxLooked || r.heated%max(v.warmSlices/siteLooks, 1) != 0 {
		return
	}
	for i := range r.ownSites {
		s := &v.sites.table[r.sites+i]
		page := s.tag
		if s.limit == 0 {
			page = noPage
		}
		r.looks = append(r.looks, page)
	}
}

// together tells whether two sites were in one page nearly always.
func (r *region) together(a, b int) bool {
	looks, both, same := 0, 0, 0
	for at := 0; at < len(r.looks); at += r.ownSites {
		looks++
		if p, q := r.looks[at+a], r.looks[at+b]; p != noPage && q != noPage {
			both++
			if p == q {
				same++
			}
		}
	}
	return both > looks/2 && 8*same >= 7*both
}

// accessor is the only access of a site.
type accessor struct {
	in     *ir.Inst
	old    int // its site when the region was looked at
	weight int // of its block
}

// accessors finds the sites that have one, by their numbers. Those of others
// cannot be merged: between a check and an access that relies on it, the site must not
// change.
func (own *region) accessors(r *ir.Region) []accessor {
	old := map[int32]int{}
	for _, a := range own.accesses {
		old[a.off] = int(a.site)
	}
	found, accesses := make([]accessor, r.Sites), make([]int, r.Sites)
	for i := range r.Blocks {
		b := &r.Blocks[i]
		for j := range b.Insts {
			in := &b.Insts[j]
			if in.Site == 0 {
				continue
			}
			accesses[in.Site]++
			if in.Op == ir.Check || in.Span == 0 || in.Span > maxMergedSpan || in.Flags&ir.Roams != 0 {
				continue
			}
			if site, ok := old[b.Offsets[in.Index]]; ok {
				found[in.Site] = accessor{in, site, b.Weight}
			}
		}
	}
	for site, n := range accesses {
		if n != 1 {
			found[site].in = nil
		}
	}
	return found
}

// merged is accessors that are to have the site of the first.
type merged struct {
	of            []accessor
	loads, stores int // how often the most executed of each kind is
}

// takes tells whether a can be one more. Where there are stores the site is
// one for stores, which memory that is only read need not allow.
func (m *merged) takes(own *region, a accessor) bool {
	if !own.together(m.of[0].old, a.old) {
		return false
	}
	n := merged{loads: m.loads, stores: m.stores}
	n.add(a)
	return n.loads == 0 || n.stores == 0 || 4*n.stores >= n.loads
}

func (m *merged) add(a accessor) {
	m.of = append(m.of, a)
	if a.in.Flags&ir.Stores != 0 {
		m.stores = max(m.stores, a.weight)
	} else {
		m.loads = max(m.loads, a.weight)
	}
}

// merge gives the accesses of a region that were in one page one site. What
// was once given up, since its accesses missed their sites, is made without. It
// returns how many have the site of another.
func (own *region) merge(r *ir.Region) (n int) {
	if len(own.looks) == 0 || own.strayed > 0 {
		return 0
	}
	var groups []merged
next:
	for _, a := range own.accessors(r) {
		if a.in == nil {
			continue
		}
		for i := range groups {
			if groups[i].takes(own, a) {
				groups[i].add(a)
				continue next
			}
		}
		groups = append(groups, merged{})
		groups[len(groups)-1].add(a)
	}
	for _, m := range groups {
		n += len(m.of) - 1
		for _, a := range m.of {
			a.in.Site = m.of[0].in.Site
			if m.stores != 0 {
				a.in.Flags |= ir.Stores
			}
		}
	}
	own.looks = nil
	return n
}
