package memory

import (
	"sync"
	"testing"
)

// TestWatch: a watched page's word tells of every way to store to it.
func TestWatch(t *testing.T) {
	s, ram, _ := space(t)
	const off = 3 * PageSize
	at := ram.Base + off
	for _, c := range []struct {
		name string
		do   func()
		held bool
	}{
		{"WriteAt", func() { s.WriteAt([]byte{1}, at+7) }, false},
		{"WriteAt over two pages", func() { s.WriteAt(make([]byte, 16), at-8) }, false},
		{"Slice", func() { s.Slice(at, 8) }, false},
		{"StoreU16", func() { s.StoreU16(at+2, 1) }, false},
		{"StoreU32", func() { s.StoreU32(at, 1) }, false},
		{"CompareAndSwapU64", func() { v, _ := s.LoadU64(at); s.CompareAndSwapU64(at, v, v+1) }, false},
		{"MarkDirtyRange", func() { ram.MarkDirtyRange(off-1, 2) }, false},
		{"Zero", func() { ram.Zero() }, false},
		{"HoldPage", func() { ram.HoldPage(off+5, 0) }, true},
		{"HoldPage by one of many", func() { ram.HoldPage(off, 1000) }, true},
	} {
		before := ram.WatchPage(off)
		changes := s.WatchedChanges()
		if ram.PageWord(off) != before || !ram.Watched(off) {
			t.Fatalf("%s: the word changes by itself", c.name)
		}
		c.do()
		after := ram.PageWord(off)
		if after == before || s.WatchedChanges() == changes {
			t.Errorf("%s: word %v, before %v, %d changes, before %d", c.name, after, before, s.WatchedChanges(), changes)
		}
		if after.Held() != c.held {
			t.Errorf("%s: held: %v", c.name, after.Held())
		}
		ram.ReleasePage(off, 0)
	}
	if w := ram.PageWord(off); !w.Held() || w.HeldOnlyBy(1000) {
		t.Error("a holder without a number of its own was released")
	}
	if got, want := (7*wordVersion | wordWatched | holderBit(1)).String(), "version 7, holders 0x2, watched"; got != want {
		t.Errorf("a word prints as %q, want %q", got, want)
	}
	changes := s.WatchedChanges()
	s.StoreU32(ram.Base, 1)
	if s.WatchedChanges() != changes {
		t.Error("a store to a page that nobody watches counts")
	}
	ram.UnwatchPage(off)
	if s.WatchedChanges() == changes || ram.Watched(off) {
		t.Error("nobody learns that a page is not watched any more")
	}
}

// TestHolders: what a page held at one time by one of several holders has been
// stored to shows in its word, whoever looks.
func TestHolders(t *testing.T) {
	_, ram, _ := space(t)
	word := ram.WatchPage(0)
	var wg sync.WaitGroup
	const rounds = 10000
	for holder := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range rounds {
				ram.HoldPage(0, holder)
				if w := ram.PageWord(0); w&holderBit(holder) == 0 {
					t.Errorf("holder %d lost the page", holder)
				}
				ram.ReleasePage(0, holder)
			}
		}()
	}
	wg.Wait()
	if w := ram.PageWord(0); w.Held() || w-word != 4*rounds*wordVersion {
		t.Errorf("word %v, at first %v", w, word)
	}
}
