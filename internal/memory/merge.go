package memory

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"time"

	"doppel/internal/platform"
)

var zeros = make([]byte, 64<<10) // no host has larger pages

// scan hashes the pages that a member has for itself. The guest runs on, so
// that what is found is to be confirmed.
func (p *Pool) scan(m *member) bool {
	page := unit()
	for first := uint64(0); ; first += readPages {
		var size uint64
		// In pieces, for a machine cannot be closed meanwhile.
		here := m.Read(func(r *Region) {
			size = r.Size / page
			if r.Size%page != 0 {
				size = 0
				return
			}
			if m.hashes == nil {
				m.hashes = make([]uint64, size)
			}
			p.scanPiece(r, m.hashes, first, min(first+readPages, size))
		})
		if !here || size == 0 {
			return false
		}
		if first+readPages >= size {
			return true
		}
	}
}

func (p *Pool) scanPiece(r *Region, hashes []uint64, first, last uint64) {
	page := unit()
	r.host.States(first*page, func(off uint64, s platform.PageState) bool {
		i := off / page
		if i >= last {
			return false
		}
		hashes[i] = hashNone
		if s == platform.PagePrivate {
			hashes[i] = p.hash(r.host.Bytes[off : off+page])
		}
		return true
	})
}

func (p *Pool) hash(b []byte) uint64 {
	if bytes.Equal(b, zeros[:len(b)]) {
		return hashZero
	}
	return max(maphash.Bytes(p.seed, b), hashZero+1)
}

// plan finds runs of pages that are zero, that are shared already, or that are
// somebody else's too, and which are then copied to be shared. Long runs come
// first: short ones would part them.
func (p *Pool) plan(m *member) {
	for i := uint32(0); i < uint32(len(m.hashes)); i++ {
		if m.hashes[i] != hashZero {
			continue
		}
		n := m.run(i, func(k uint32) bool { return m.hashes[i+k] == hashZero })
		m.add(&m.work, piece{i, n, true, 0})
	}
	if !p.share {
		return
	}
	p.planRuns(m, longRun)
	if least := p.minRun(); least < longRun {
		p.planRuns(m, least)
	}
	// Mappings are for all: a machine gets some of those that are left, for its
	// longest runs.
	slices.SortStableFunc(m.known, func(a, b piece) int { return cmp.Compare(b.pages, a.pages) })
	share := max(p.maxRuns-p.runs.Load(), 0)/shareOfRuns + minShare
	m.work = append(m.work, m.known[:min(int64(len(m.known)), share)]...)
	m.known = nil
}

// Of the mappings that are left, one part in so many for each machine, and some
// more.
const (
	shareOfRuns = 16
	minShare    = 16
)

// add plans a piece, whose pages are no candidates then.
func (m *member) add(to *[]piece, w piece) {
	*to = append(*to, w)
	clear(m.hashes[w.first : w.first+w.pages]) // hashNone
}

func (p *Pool) planRuns(m *member, least uint32) {
	for i := uint32(0); i < uint32(len(m.hashes)); {
		if m.hashes[i] == hashNone {
			i++
			continue
		}
		i += p.planRun(m, i, least)
	}
}

// run counts pages from first on for which ok holds.
func (m *member) run(first uint32, ok func(k uint32) bool) (n uint32) {
	for first+n < uint32(len(m.hashes)) && ok(n) {
		n++
	}
	return n
}

// planRun plans for the run that begins with page i, if it has at least so many
// pages, and returns how many are done with.
func (p *Pool) planRun(m *member, i, least uint32) uint32 {
	if id, ok := p.index[m.hashes[i]]; ok {
		n := m.run(i, func(k uint32) bool {
			other, ok := p.index[m.hashes[i+k]]
			return ok && other == id+k && other/slabPages == id/slabPages
		})
		if n >= least {
			m.add(&m.known, piece{i, n, false, id})
			return n
		}
	}
	from, ok := p.loose[m.hashes[i]]
	if !ok || from.m.gone.Load() || from.m == m && from.page == i {
		p.loose[m.hashes[i]] = origin{m, i}
		return 1
	}
	n := m.run(i, func(k uint32) bool {
		o, ok := p.loose[m.hashes[i+k]]
		return ok && o.m == from.m && o.page == from.page+k && (o.m != m || o.page != i+k)
	})
	if n < least {
		return 1
	}
	return p.lend(m, i, from, n)
}

// lend makes shared pages of n that m and from have alike, and plans for both.
// It returns how many there are.
func (p *Pool) lend(m *member, i uint32, from origin, n uint32) uint32 {
	if p.runs.Load()+2 > p.maxRuns {
		return n
	}
	s, base := p.room()
	if s == nil {
		return n
	}
	page := unit()
	n = min(n, slabPages-s.next)
	if b := p.budget; b != nil { // what it saves is seen later
		if n = uint32(min(uint64(n), b.Room()/page)); n == 0 {
			return 1
		}
		b.copies.Add(int64(uint64(n) * page)) // bytes counts them exactly
	}
	var good uint32
	m.Read(func(r *Region) {
		for ; good < n; good++ {
			to := s.shared.Bytes[uint64(s.next)*page:][:page]
			copy(to, r.host.Bytes[uint64(i+good)*page:][:page])
			if h := p.hash(to); h != m.hashes[i+good] {
				return // the guest has changed it
			}
			p.index[m.hashes[i+good]] = base + s.next
			delete(p.loose, m.hashes[i+good])
			s.hashes[s.next] = m.hashes[i+good]
			s.next++
		}
	})
	if good == 0 {
		return 1
	}
	id := base + s.next - good
	m.add(&m.work, piece{i, good, false, id})
	from.m.work = append(from.m.work, piece{from.page, good, false, id})
	return good
}

// room is a slab with free pages, and the id of its first page; nil if there
// cannot be more.
func (p *Pool) room() (*slab, uint32) {
	free := -1
	for i, s := range p.slabs {
		if s == nil {
			free = i
		} else if s.next < slabPages {
			return s, uint32(i) * slabPages
		}
	}
	if free < 0 {
		if len(p.slabs) == maxSlabs {
			return nil, 0
		}
		free = len(p.slabs)
		p.slabs = append(p.slabs, nil)
	}
	shared, err := platform.NewShared("doppel pages", slabPages*unit())
	if err != nil {
		return nil, 0
	}
	p.slabs[free] = &slab{shared: shared, hashes: make([]uint64, slabPages)}
	return p.slabs[free], uint32(free) * slabPages
}

// apply does what is planned for a member, with stops in between which its
// guest hardly notices.
func (p *Pool) apply(m *member) (saved uint64) {
	for len(m.work) > 0 {
		var took time.Duration
		ok := m.Still(func(r *Region) {
			r.lent.mu.Lock()
			defer r.lent.mu.Unlock()
			r.lent.pool = p
			begin := time.Now()
			for len(m.work) > 0 && took < maxStop {
				saved += p.do(r, &m.work[0])
				if m.work[0].pages == 0 {
					m.work = m.work[1:]
				}
				took = time.Since(begin)
			}
			r.loosen()
		})
		if !ok {
			break
		}
		if len(m.work) > 0 && m.Running() {
			time.Sleep(took * restTimes)
		}
	}
	m.work = nil
	return saved
}

// maxDo bounds the pages that are looked at without a look at the time.
const maxDo = 64

// do does a part of a piece.
func (p *Pool) do(r *Region, w *piece) (saved uint64) {
	n := min(w.pages, maxDo)
	if w.pages-n < longRun {
		n = w.pages
	}
	if w.zero {
		saved = r.dropZeros(w.first, n)
	} else {
		saved = p.exchange(r, w.first, n, w.id)
	}
	w.first, w.pages, w.id = w.first+n, w.pages-n, w.id+n
	return saved
}

// dropZeros gives those of n pages back that are zero; among those that were
// borrowed and then stored to only long runs, for each parts a mapping.
func (r *Region) dropZeros(first, n uint32) (saved uint64) {
	page := unit()
	for i := first; i < first+n; {
		from := i
		for i < first+n && bytes.Equal(r.host.Bytes[uint64(i)*page:][:page], zeros[:page]) {
			i++
		}
		if i == from {
			i++
			continue
		}
		saved += r.dropRun(uint64(from)*page, uint64(i)*page)
	}
	return saved
}

func (r *Region) dropRun(from, to uint64) uint64 {
	page := unit()
	if place := r.lent.place; place != nil {
		for i := from / page; i < to/page; i++ {
			if place[i] != 0 {
				if (to-from)/page < longRun || r.unborrow(from, to) != nil {
					return 0
				}
				return to - from
			}
		}
	}
	if r.host.Discard(from, to-from) != nil {
		return 0
	}
	return to - from
}

// exchange makes those of n pages borrowed that are as the shared ones from id
// on.
func (p *Pool) exchange(r *Region, first, n, id uint32) (saved uint64) {
	s := p.slabs[id/slabPages]
	page := unit()
	same := func(i uint32) bool {
		return bytes.Equal(r.host.Bytes[uint64(first+i)*page:][:page], s.shared.Bytes[uint64(id%slabPages+i)*page:][:page])
	}
	for i := uint32(0); i < n; {
		from := i
		for i < n && same(i) {
			i++
		}
		if k := i - from; k >= p.minRun() && r.borrow(uint64(first+from)*page, s, id+from, uint64(k)) == nil {
			saved += uint64(k) * page
		}
		if i == from {
			i++
		}
	}
	return saved
}

// collect gives back shared pages that nobody reads any more. A page that a
// guest has stored to is its own: only what is read from the copy counts.
func (p *Pool) collect() {
	readers := make([][]bool, len(p.slabs))
	for i, s := range p.slabs {
		if s != nil {
			readers[i] = make([]bool, slabPages)
		}
	}
	page := unit()
	for _, m := range p.members {
		m.Read(func(r *Region) {
			r.lent.mu.Lock()
			defer r.lent.mu.Unlock()
			if r.lent.place == nil || r.lent.runs == 0 {
				return
			}
			all := r.host.States(0, func(off uint64, s platform.PageState) bool {
				if v := r.lent.place[off/page]; v != 0 && s != platform.PagePrivate && s != platform.PageSwapped {
					mark(readers, v-1)
				}
				return true
			})
			if !all { // as if all were read
				for _, v := range r.lent.place {
					if v != 0 {
						mark(readers, v-1)
					}
				}
			}
		}) // one that is gone reads nothing
	}
	for i, s := range p.slabs {
		if s != nil && !p.free(s, readers[i]) {
			s.shared.Close()
			p.slabs[i] = nil
		}
	}
	p.bytes()
}

// mark notes that a page is read. A page that is its region's own may have been
// borrowed from a slab that is gone.
func mark(readers [][]bool, id uint32) {
	if r := readers[id/slabPages]; r != nil {
		r[id%slabPages] = true
	}
}

// free frees a slab's pages that nobody reads; false if none is left, nor will
// be.
func (p *Pool) free(s *slab, read []bool) (used bool) {
	page := unit()
	for i := uint32(0); i < s.next; {
		from := i
		for i < s.next && !read[i] && s.hashes[i] != hashNone {
			delete(p.index, s.hashes[i])
			s.hashes[i] = hashNone
			i++
		}
		if i > from {
			s.shared.Free(uint64(from)*page, uint64(i-from)*page)
			continue
		}
		used = used || read[i]
		i++
	}
	return used || s.next < slabPages
}
