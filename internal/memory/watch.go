package memory

import (
	"fmt"
	"sync/atomic"
)

// Who keeps something made of a page's contents, as a translator keeps code,
// wants to know whether the page was stored to since, without slowing stores.
// Each page has a word: a version, who holds it, and whether anybody watches.
//
// A holder may store to the page at any time without saying so; a vCPU becomes
// one before it lets the guest store, and stays one as long as it has a
// translation for stores. What nobody holds does not change without its word
// changing: the version counts new holders, and stores through Space.
type watch struct {
	words   []atomic.Uint64
	changes *atomic.Uint64 // of words of watched pages, in all the Space
}

func (w *watch) init(size uint64, s *Space) {
	*w = watch{make([]atomic.Uint64, size>>PageShift), &s.changes}
}

// PageWord is a page's word at some time.
type PageWord uint64

const (
	wordWatched PageWord = 1
	wordHolder  PageWord = 2 // of holder 0; one bit each
	// maxHolder is for all holders from this number on; it stays.
	maxHolder   = 30
	wordVersion = PageWord(1) << 32
)

func (w PageWord) String() string {
	s := fmt.Sprintf("version %d, holders %#x", w/wordVersion, uint64(w&(wordVersion-wordHolder)/wordHolder))
	if w&wordWatched != 0 {
		s += ", watched"
	}
	return s
}

func holderBit(holder int) PageWord { return wordHolder << min(holder, maxHolder) }

// Held tells whether anybody holds the page.
func (w PageWord) Held() bool { return w&(wordVersion-wordHolder) != 0 }

// HeldOnlyBy tells whether holder is the only one, and one that can release it.
func (w PageWord) HeldOnlyBy(holder int) bool {
	return holder < maxHolder && w&(wordVersion-wordHolder) == holderBit(holder)
}

func (r *Region) word(off uint64) *atomic.Uint64 { return &r.watch.words[off>>PageShift] }

// touch says that the page that holds off was stored to.
func (r *Region) touch(off uint64) {
	if r.taken != nil {
		r.took(off)
	}
	r.changed(off)
}

// changed says that the page that holds off has other contents.
func (r *Region) changed(off uint64) {
	// The addition orders the store before whatever the watcher does next.
	if PageWord(r.word(off).Add(uint64(wordVersion)))&wordWatched != 0 {
		r.watch.changes.Add(1)
	}
}

// HoldPage says that from now on holder, a vCPU's number, may store to the page
// that holds off. It also records the store in the dirty log. It returns false,
// and holder may not store, if there is no memory for it (see Budget).
func (r *Region) HoldPage(off uint64, holder int) bool {
	if r.taken != nil && !r.take(off) {
		return false
	}
	r.logDirty(off)
	bit := holderBit(holder)
	for word := r.word(off); ; {
		old := PageWord(word.Load())
		if old&bit != 0 {
			return true
		}
		if word.CompareAndSwap(uint64(old), uint64((old|bit)+wordVersion)) {
			if old&wordWatched != 0 {
				r.watch.changes.Add(1)
			}
			return true
		}
	}
}

// ReleasePage says that holder does not store to the page any more.
func (r *Region) ReleasePage(off uint64, holder int) {
	if holder < maxHolder {
		r.word(off).And(^uint64(holderBit(holder)))
	}
}

// WatchPage makes the page watched and returns its word. If nobody holds it,
// what is read from it afterwards is what it has as long as the word stays.
func (r *Region) WatchPage(off uint64) PageWord {
	return PageWord(r.word(off).Or(uint64(wordWatched))) | wordWatched
}

// UnwatchPage ends WatchPage. If somebody else watches the page too, the word's
// change makes them look, and watch it again.
func (r *Region) UnwatchPage(off uint64) {
	if PageWord(r.word(off).And(^uint64(wordWatched)))&wordWatched != 0 {
		r.watch.changes.Add(1)
	}
}

// PageWord is the word of the page that holds off.
func (r *Region) PageWord(off uint64) PageWord { return PageWord(r.word(off).Load()) }

// Watched tells whether anybody watches the page that holds off.
func (r *Region) Watched(off uint64) bool { return r.PageWord(off)&wordWatched != 0 }

// WatchedChanges counts changes of the words of watched pages: while it stays,
// they all do.
func (s *Space) WatchedChanges() uint64 { return s.changes.Load() }
