package memory

import (
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

// limited is a Space with RAM at 0 that takes its memory out of a Budget.
func limited(t *testing.T, b *Budget, pages uint64) (s *Space, ram *Region, full *atomic.Int64) {
	t.Helper()
	s, full = &Space{}, &atomic.Int64{}
	s.Limit(b, func() { full.Add(1) })
	ram, err := s.Add(RAM, "ram", 0, pages*uint64(os.Getpagesize()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, ram, full
}

func ranges(of map[GPA]uint64) iter.Seq2[GPA, uint64] { return maps.All(of) }

// What is stored to counts once, whoever stores; beyond the limit, vCPUs and
// requests are refused, and the Space stands.
func TestBudget(t *testing.T) {
	page := uint64(os.Getpagesize())
	b := NewBudget(10 * page)
	s, ram, full := limited(t, b, 100)
	used := func(want uint64) {
		t.Helper()
		if got := b.Used(); got != want*page || s.Account().Taken != got {
			t.Fatalf("%d bytes, of the Space %d; want %d pages", got, s.Account().Taken, want)
		}
	}
	used(0)
	for range 2 {
		if !ram.HoldPage(page+5, 0) || !ram.HoldPage(page, 1) {
			t.Error("refused")
		}
		ram.MarkDirty(page)
		used(1)
	}
	if err := s.WriteAt(make([]byte, page), GPA(2*page-1)); err != nil {
		t.Fatal(err)
	}
	used(2)
	if !s.Admit(ranges(map[GPA]uint64{GPA(page): 2 * page, GPA(2*page + 1): page})) {
		t.Error("refused")
	}
	used(3)
	if s.Admit(ranges(map[GPA]uint64{GPA(10 * page): 4*page + 1, GPA(20 * page): 3 * page})) {
		t.Error("11 of 10 pages are admitted")
	}
	used(3)
	if !s.Stands() || full.Load() != 1 || s.Account().Wants != 8*page || len(b.Asked()) != 1 {
		t.Errorf("stands: %v, full %d times, wants %d", s.Stands(), full.Load(), s.Account().Wants)
	}
	if !s.Admit(ranges(map[GPA]uint64{GPA(10 * page): 7 * page})) { // what fits is had
		t.Error("refused")
	}
	used(10)
	if ram.HoldPage(50*page, 0) || !ram.HoldPage(16*page, 0) || full.Load() != 1 {
		t.Error("a page too many, or one too few")
	}
	s.LetGo()
	ram.MarkDirty(60 * page) // it has been stored to already
	used(11)
	if !s.Stands() || full.Load() != 2 {
		t.Errorf("stands: %v, full %d times", s.Stands(), full.Load())
	}
	if err := s.Close(); err != nil || b.Used() != 0 {
		t.Errorf("%v, %d bytes", err, b.Used())
	}
}

// Beyond the line a Space has its credit.
func TestCredit(t *testing.T) {
	page := uint64(os.Getpagesize())
	b := NewBudget(10 * page)
	b.SetLine(4 * page)
	_, one, _ := limited(t, b, 100)
	s, two, _ := limited(t, b, 100)
	take := func(r *Region, want int) {
		t.Helper()
		n := 0
		for off := uint64(0); off < r.Size; off += page {
			if _, _, taken := r.isTaken(off); !taken && r.HoldPage(off, 0) {
				n++
			}
		}
		if n != want {
			t.Errorf("%d pages, want %d", n, want)
		}
	}
	take(one, 4)
	take(two, 0)
	s.SetCredit(5 * page)
	take(one, 0)
	take(two, 5)
	take(two, 0)
	s.SetCredit(5 * page)
	take(two, 1) // the limit is for all
}

// What is given back counts until it was looked at; then what is stored to it
// counts again, as does a copy of what was shared.
func TestRecount(t *testing.T) {
	page := uint64(os.Getpagesize())
	b := NewBudget(1000 * page)
	s, ram, _ := limited(t, b, 100)
	used := func(want uint64) {
		t.Helper()
		if !ram.Recount() {
			t.Skip("the host does not tell what memory takes")
		}
		if got := b.Used(); got != want*page || s.Account().Loose {
			t.Errorf("%d bytes count, want %d pages; loose: %v", got, want, s.Account().Loose)
		}
	}
	fill := make([]byte, 20*page)
	for i := range fill {
		fill[i] = byte(i%251) + 1
	}
	if err := s.WriteAt(fill, GPA(10*page)); err != nil {
		t.Fatal(err)
	}
	used(20)
	ram.HoldPage(99*page, 0) // and nothing is stored
	if b.Used() != 21*page {
		t.Error(b.Used())
	}
	used(20)
	s.Discard(GPA(12*page), 3*page)
	if n := b.Used(); n != 20*page || !s.Account().Loose {
		t.Errorf("%d bytes before the look; loose: %v", n, s.Account().Loose)
	}
	used(17)
	ram.HoldPage(12*page, 0)
	if n := b.Used(); n != 18*page {
		t.Errorf("%d bytes", n)
	}
	if err := ram.Zero(); err != nil || b.Used() != 0 {
		t.Errorf("after Zero %d bytes, %v", b.Used(), err)
	}

	// A pool's copies count, and there are no more than there is room for.
	for _, limit := range []uint64{1000, 45} {
		b := NewBudget(limit * page)
		p := NewPool(true, b)
		var all []*machine
		for range 2 {
			m := &machine{t: t}
			m.space.Limit(b, func() {})
			var err error
			if m.ram, err = m.space.Add(RAM, "ram", machineBase, 100*page); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.close)
			p.Add(m)
			all = append(all, m)
			if err := m.space.WriteAt(fill, machineBase); err != nil {
				t.Fatal(err)
			}
		}
		look := func(want uint64) {
			t.Helper()
			for _, m := range all {
				m.ram.Recount()
			}
			if n := b.Used(); n > limit*page || n != want*page {
				t.Errorf("limit %d: %d bytes count, want %d pages", limit, n, want)
			}
		}
		look(40)
		p.Merge()
		if limit == 45 {
			look(35) // 5 pages are copied, and 10 given back
			p.Merge()
			look(25)
			p.Merge()
		}
		look(20)
		if !all[0].ram.HoldPage(page, 0) || b.Used() != 21*page {
			t.Errorf("a store to what is shared: %d bytes", b.Used())
		}
		all[0].ram.Bytes()[page]++
		look(21)
		p.Close()
	}
}

// Whoever asks at the same time, no more than the limit is given, and all that
// is given counts.
func TestBudgetRace(t *testing.T) {
	page := uint64(os.Getpagesize())
	const limit = 700
	b := NewBudget(limit * page)
	var spaces []*Space
	var rams []*Region
	for range 3 {
		s, ram, _ := limited(t, b, 512)
		spaces, rams = append(spaces, s), append(rams, ram)
	}
	var wg sync.WaitGroup
	for i := range 12 {
		s, ram := spaces[i%3], rams[i%3]
		seed := rand.Uint64()
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			for range 3000 {
				off := r.Uint64N(512) * page
				n := min(1+r.Uint64N(8), 512-off/page)
				switch {
				case i%4 == 0:
					if !s.Admit(ranges(map[GPA]uint64{GPA(off): n * page})) {
						continue
					}
				case !ram.HoldPage(off, i):
					continue
				default:
					n = 1
				}
				for p := range n {
					atomic.AddUint64((*uint64)(unsafe.Add(ram.Host(), off+p*page)), 1)
				}
				if n := b.Used(); n > limit*page+12*8*page { // with what is asked for at this moment
					t.Errorf("%d bytes count", n)
					return
				}
			}
		})
	}
	wg.Wait()
	var private, taken uint64
	for i, ram := range rams {
		u, ok := ram.Usage()
		if !ok {
			t.Skip("the host does not tell what memory takes")
		}
		private += u.Private
		taken += spaces[i].Account().Taken
	}
	if private > limit*page || taken != b.Used() || private > taken || b.Used() > limit*page || b.Used() < (limit-8)*page {
		t.Errorf("%d bytes are given out, %d count, %d in all, of %d", private, taken, b.Used(), limit*page)
	}
}
