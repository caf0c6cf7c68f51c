package memory

import (
	"bytes"
	"errors"
	"unsafe"

	"doppel/internal/platform"
)

// View is a Space with the regions of another, but a copy of its RAM: an engine
// that runs on a View changes nothing. ROM is the other's own. The View's owner
// carries changes from one side to the other, page by page.
//
// A View is used by one goroutine at a time.
type View struct {
	Space
	ram []viewRegion
}

type viewRegion struct{ own, of *Region }

// Open copies the regions of s, which has all of its regions, and must not be
// closed while the View is in use.
func (v *View) Open(s *Space) error {
	for _, r := range s.regions {
		if r.Kind != RAM {
			v.regions = append(v.regions, r)
			continue
		}
		host, err := platform.NewMemory("a copy of "+r.Name, r.Size)
		if err != nil {
			return errors.Join(err, v.Close())
		}
		own := &Region{Name: r.Name, Base: r.Base, Size: r.Size, Kind: RAM, host: host, base: unsafe.Pointer(&host.Bytes[0]), space: &v.Space}
		own.dirty.init(r.Size)
		own.watch.init(r.Size, &v.Space)
		own.dirty.on.Store(true)
		v.regions = append(v.regions, own)
		v.ram = append(v.ram, viewRegion{own, r})
	}
	return v.FetchAll()
}

// Close unmaps the copies.
func (v *View) Close() error {
	var errs []error
	for _, r := range v.ram {
		errs = append(errs, r.own.host.Close())
	}
	v.ram, v.regions = nil, nil
	return errors.Join(errs...)
}

// PageSet is a set of a Space's pages of RAM, a bit each.
type PageSet [][]uint64

// Each calls f for every page, in order, with its number's place in the set.
func (s PageSet) Each(f func(region int, off uint64)) {
	for i, words := range s {
		for n, w := range words {
			for bit := uint64(0); w != 0; bit, w = bit+1, w>>1 {
				if w&1 != 0 {
					f(i, (uint64(n)*64+bit)<<PageShift)
				}
			}
		}
	}
}

// Stored adds to set the pages that were stored to since the last call. set
// may be nil; the result takes its place.
func (v *View) Stored(set PageSet) PageSet {
	for i, r := range v.ram {
		set = take(&r.own.dirty, set, i)
	}
	return set
}

// Changed adds to set the pages of RAM of the Space behind the View that were
// marked since the last call for any of its Views, and from the first call on.
func (v *View) Changed(set PageSet) PageSet {
	for i, r := range v.ram {
		if log := &r.of.viewed; !log.on.Load() {
			log.init(r.of.Size)
			log.on.Store(true)
		}
		set = take(&r.of.viewed, set, i)
	}
	return set
}

// take moves what is in the log to a region of the set.
func take(log *dirtyLog, set PageSet, region int) PageSet {
	if region == len(set) {
		set = append(set, make([]uint64, len(log.bits)))
	}
	for n := range log.bits {
		if b := &log.bits[n]; b.Load() != 0 {
			set[region][n] |= b.Swap(0)
		}
	}
	return set
}

// Page is the View's page at an offset in a region, and the one behind it.
func (v *View) Page(region int, off uint64) (own, behind []byte) {
	r := v.ram[region]
	return r.own.Bytes()[off:][:PageSize], r.of.Bytes()[off:][:PageSize]
}

// GPA is the physical address of a page.
func (v *View) GPA(region int, off uint64) GPA { return v.ram[region].own.Base + GPA(off) }

// Fetch makes a page what is behind it.
func (v *View) Fetch(region int, off uint64) {
	own, behind := v.Page(region, off)
	copy(own, behind)
	v.ram[region].own.touch(off)
}

// Commit makes what is behind a page the page, and marks it in the dirty log.
func (v *View) Commit(region int, off uint64) {
	own, behind := v.Page(region, off)
	copy(behind, own)
	v.ram[region].of.touch(off)
	v.ram[region].of.dirty.mark(off)
}

// FetchAll makes every page what is behind it.
func (v *View) FetchAll() error {
	v.Stored(nil)
	var errs []error
	for _, r := range v.ram {
		errs = append(errs, r.fetchAll())
	}
	return errors.Join(errs...)
}

func (r viewRegion) fetchAll() error {
	const chunk = 64 << 10
	own, of := r.own.Bytes(), r.of.Bytes()
	for at := uint64(0); at < r.own.Size; {
		start, end := r.of.NextData(at)
		if first, _ := r.own.NextData(at); first < start {
			if err := r.own.host.Discard(at, start-at); err != nil {
				return err
			}
		}
		for at = start; at < end; at += chunk {
			stop := min(at+chunk, end)
			if !bytes.Equal(own[at:stop], of[at:stop]) {
				copy(own[at:stop], of[at:stop])
			}
		}
		at = end
	}
	for off := uint64(0); off < r.own.Size; off += PageSize {
		r.own.touch(off)
	}
	return nil
}

// Clear makes the set empty.
func (s PageSet) Clear() {
	for _, words := range s {
		clear(words)
	}
}

// Add returns s with the pages of t, which is of the same Space.
func (s PageSet) Add(t PageSet) PageSet {
	for i := range t {
		if i == len(s) {
			s = append(s, make([]uint64, len(t[i])))
		}
		for n, w := range t[i] {
			s[i][n] |= w
		}
	}
	return s
}
