package memory

import "testing"

// TestView: stores stay in the View until they are committed, and what changes
// behind it shows where nothing was stored.
func TestView(t *testing.T) {
	s, ram, rom := space(t)
	var v, w View
	s.StoreU32(ram.Base, 9) // before there are Views
	for _, x := range []*View{&v, &w} {
		if err := x.Open(s); err != nil {
			t.Fatal(err)
		}
		defer x.Close()
	}
	if v.Find(rom.Base, 1) != rom || v.Find(ram.Base, 1) == ram {
		t.Error("a View has the other's ROM and RAM of its own")
	}
	v.Changed(nil)
	load := func(s *Space, page GPA) uint64 {
		x, err := s.LoadU64(ram.Base + page*PageSize)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	want := func(what string, got, want uint64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	s.StoreU32(ram.Base, 1)
	s.StoreU32(ram.Base+PageSize, 2)
	v.StoreU32(ram.Base, 3)
	want("own page", load(&v.Space, 0), 3)
	want("page behind", load(s, 0), 1)
	want("page of another View", load(&w.Space, 0), 9)
	s.StoreU32(ram.Base, 4)
	s.StoreU32(ram.Base+PageSize, 5)
	want("own page", load(&v.Space, 0), 3)
	want("a page that is not its own", load(&v.Space, 1), 0)

	count := func(p PageSet) (n int) {
		p.Each(func(int, uint64) { n++ })
		return n
	}
	want("pages stored to", uint64(count(v.Stored(nil))), 1)
	want("pages stored to again", uint64(count(v.Stored(nil))), 0)
	want("pages changed behind", uint64(count(w.Changed(nil))), 2)
	v.Fetch(0, 0)
	want("a page that was fetched", load(&v.Space, 0), 4)

	ram.StartDirtyLog()
	v.StoreU32(ram.Base+2*PageSize, 6)
	v.Stored(nil).Each(v.Commit)
	want("a page that was committed", load(s, 2), 6)
	want("marked dirty", ram.CollectDirty()[0], 1<<2)

	v.StoreU32(ram.Base+15*PageSize, 7)
	s.StoreU32(ram.Base+2*PageSize, 8)
	if err := v.FetchAll(); err != nil {
		t.Fatal(err)
	}
	want("pages stored to before all were fetched", uint64(count(v.Stored(nil))), 0)
	want("a page after all were fetched", load(&v.Space, 2), 8)
	want("the last page", load(&v.Space, 15), 0)
}
