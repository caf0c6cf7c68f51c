package memory

import (
	"sync"

	"doppel/internal/platform"
)

// A region's pages may be borrowed: read from a copy that several machines
// share (Pool). The host makes one the region's own when it is stored to, at
// the address where it was, so that neither engines nor devices notice. What
// the region has to know is which pages have been put in place so: they are
// data although the host may not have given them out, and giving them back
// means to put zeros in their place.
type borrowed struct {
	mu    sync.Mutex
	place []uint32 // of each page of the host: the shared page there, and 1; 0 for its own. nil: none is borrowed
	runs  int      // of pages that are neighbours in both
	pool  *Pool
}

// unit is the host's page.
func unit() uint64 { return hostPage() }

// Usage is what a region takes of the host, in bytes.
type Usage struct {
	Private  uint64 // in the host's memory, for this region alone
	Swapped  uint64 // on the host's swap
	Borrowed uint64 // read from copies that others have too
}

// Usage asks the host; ok is false if it does not tell. Any goroutine may ask
// before the Space is closed.
func (r *Region) Usage() (u Usage, ok bool) {
	r.lent.mu.Lock()
	defer r.lent.mu.Unlock()
	page := unit()
	ok = r.host.States(0, func(off uint64, s platform.PageState) bool {
		switch {
		case s == platform.PagePrivate:
			u.Private += page
		case s == platform.PageSwapped:
			u.Swapped += page
		case r.lent.place != nil && r.lent.place[off/page] != 0:
			u.Borrowed += page
		}
		return true
	})
	return u, ok
}

// discard gives whole pages of the host back.
func (r *Region) discard(off, n uint64) error {
	r.lent.mu.Lock()
	defer r.lent.mu.Unlock()
	if r.lent.place == nil {
		return r.host.Discard(off, n)
	}
	page := unit()
	for end := off + n; off < end; {
		at := off
		lent := r.lent.place[at/page] != 0
		for off < end && (r.lent.place[off/page] != 0) == lent {
			off += page
		}
		var err error
		switch {
		case !lent:
			err = r.host.Discard(at, off-at)
		case r.unborrow(at, off) != nil:
			clear(r.host.Bytes[at:off]) // as good for the guest, if not for the host
			for ; r.taken != nil && at < off; at += page {
				r.took(at)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unborrow puts zeros in the place of borrowed pages; the lock is held. It
// fails if the process has too many mappings for that.
func (r *Region) unborrow(from, to uint64) error {
	page := unit()
	first, last := from/page, to/page
	before := r.runsAround(first, last)
	keep := append([]uint32(nil), r.lent.place[first:last]...)
	clear(r.lent.place[first:last])
	if err := r.changeRuns(r.runsAround(first, last) - before); err != nil {
		copy(r.lent.place[first:last], keep)
		return err
	}
	if err := r.host.Renew(from, to-from); err != nil {
		copy(r.lent.place[first:last], keep)
		r.forceRuns(before - r.runsAround(first, last))
		return err
	}
	return nil
}

// borrow puts shared pages from id on in the place of equal ones; the lock is
// held, and nobody uses the region.
func (r *Region) borrow(off uint64, s *slab, id uint32, pages uint64) error {
	page := unit()
	first := off / page
	if r.lent.place == nil {
		r.lent.place = make([]uint32, r.Size/page)
	}
	before := r.runsAround(first, first+pages)
	keep := append([]uint32(nil), r.lent.place[first:first+pages]...)
	for i := range pages {
		r.lent.place[first+i] = id + uint32(i) + 1
	}
	after := r.runsAround(first, first+pages)
	err := r.changeRuns(after - before)
	if err == nil {
		if err = r.host.Map(off, pages*page, s.shared, uint64(id%slabPages)*page); err == nil {
			return nil
		}
		r.forceRuns(before - after)
	}
	copy(r.lent.place[first:], keep)
	return err
}

// runsAround counts the runs that pages from first to last, and their
// neighbours, are part of.
func (r *Region) runsAround(first, last uint64) (n int) {
	place := r.lent.place
	for i := max(first, 1) - 1; i < min(last+1, uint64(len(place))); i++ {
		if place[i] != 0 && (i == 0 || place[i-1] == 0 || place[i] != place[i-1]+1 || (place[i]-1)%slabPages == 0) {
			n++
		}
	}
	return n
}

// changeRuns counts runs that come and go, and refuses those that would be too
// many mappings for the process.
func (r *Region) changeRuns(n int) error {
	if !r.lent.pool.mayMap(n) {
		return errMappings
	}
	r.lent.runs += n
	return nil
}

func (r *Region) forceRuns(n int) {
	r.lent.pool.runs.Add(int64(n))
	r.lent.runs += n
}

// NextData finds the first run of bytes at or after off that may be other than
// zero; start is Size if there is none. The machine is not running.
func (r *Region) NextData(off uint64) (start, end uint64) {
	r.lent.mu.Lock()
	defer r.lent.mu.Unlock()
	start, end = r.host.NextData(off)
	if r.lent.place == nil {
		return start, end
	}
	page := unit()
	for i := off / page; i*page < min(start, r.Size); i++ {
		if r.lent.place[i] != 0 {
			start = max(off, i*page)
			end = start
			break
		}
	}
	for end < r.Size && start < r.Size && r.lent.place[end/page] != 0 {
		end = (end/page + 1) * page
	}
	return start, end
}
