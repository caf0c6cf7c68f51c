package memory

import (
	"errors"
	"iter"
	"math/bits"
	"sync/atomic"

	"doppel/internal/platform"
)

// Budget bounds what several Spaces take of the host's memory together: the
// pages that were stored to, and the copies of a Pool. What asks for a page
// beyond it is refused before it stores, whatever the host does meanwhile.
//
// What is counted is never less than what the host has given: a page counts
// from before the first store to it. That it was given back is seen by Recount
// only, for a vCPU may still have a translation with which it takes the page
// anew without asking.
//
// Up to a line whoever asks gets; beyond, each Space has a credit, so that one
// that grows leaves the others something. A Space that is refused stands: it
// gets nothing more until LetGo.
//
// These go beyond the limit, and make the Space stand: what StoreU32, WriteAt
// and their like store (rings, page table entries, flash, what the VMM tells a
// guest, and what it loads before the guest runs), for they cannot be put off.
//
// Any goroutine may call anything; there are no locks.
type Budget struct {
	limit  int64
	line   atomic.Int64
	used   atomic.Int64 // by Spaces
	copies atomic.Int64 // by a Pool
	asked  chan struct{}
}

// NewBudget makes a Budget of so many bytes, all of which whoever asks gets.
func NewBudget(limit uint64) *Budget {
	b := &Budget{limit: int64(min(limit, 1<<62)), asked: make(chan struct{}, 1)}
	b.line.Store(b.limit)
	return b
}

// Used is what counts, in bytes.
func (b *Budget) Used() uint64 { return uint64(max(b.used.Load()+b.copies.Load(), 0)) }

// Room is what is left, in bytes.
func (b *Budget) Room() uint64 { return uint64(max(b.limit-int64(b.Used()), 0)) }

// SetLine sets where credits begin to count.
func (b *Budget) SetLine(line uint64) { b.line.Store(min(int64(min(line, 1<<62)), b.limit)) }

// Asked gets a value when a Space stands and waits to be let go.
func (b *Budget) Asked() <-chan struct{} { return b.asked }

// account is a Space's part in a Budget.
type account struct {
	*Budget
	full   func()
	taken  atomic.Int64
	credit atomic.Int64
	wants  atomic.Int64
	loose  atomic.Bool // pages were given back that count
}

// Limit makes the Space take its memory out of a Budget. full is called when it
// begins to stand, on any goroutine; it must not block. Limit comes before Add.
func (s *Space) Limit(b *Budget, full func()) { s.account = &account{Budget: b, full: full} }

// Limited tells whether the Space has a Budget.
func (s *Space) Limited() bool { return s.account != nil }

// Stands tells whether the Space was refused memory, and not let go.
func (s *Space) Stands() bool { return s.stands.Load() }

// Ask has LetGo asked for once more.
func (s *Space) Ask() {
	if s.account != nil {
		s.account.ask()
	}
}

func (a *account) ask() {
	select {
	case a.asked <- struct{}{}:
	default:
	}
}

// SetCredit sets how many bytes the Space may take beyond the line.
func (s *Space) SetCredit(n uint64) {
	if s.account != nil {
		s.account.credit.Store(int64(min(n, 1<<62)))
	}
}

// LetGo ends standing. Who was refused is to try again.
func (s *Space) LetGo() { s.stands.Store(false) }

// Account is what a Space takes of its Budget.
type Account struct {
	Taken uint64 // bytes; an upper bound if Loose
	Wants uint64 // that it was refused last
	Loose bool   // pages were given back since the last Recount
}

// Account returns the zero value for a Space without a Budget.
func (s *Space) Account() Account {
	a := s.account
	if a == nil {
		return Account{}
	}
	return Account{uint64(max(a.taken.Load(), 0)), uint64(a.wants.Load()), a.loose.Load()}
}

// spend counts n bytes, or refuses.
func (a *account) spend(n int64) bool {
	credit := int64(0)
	for {
		used := a.used.Load()
		switch total := used + n + a.copies.Load(); {
		case total > a.limit:
			a.credit.Add(credit)
			return false
		case total > a.line.Load() && credit == 0:
			if !a.useCredit(n) {
				return false
			}
			credit = n
		}
		if a.used.CompareAndSwap(used, used+n) {
			a.taken.Add(n)
			return true
		}
	}
}

func (a *account) useCredit(n int64) bool {
	if a.credit.Add(-n) >= 0 {
		return true
	}
	a.credit.Add(n)
	return false
}

// count counts n bytes more, or fewer.
func (a *account) count(n int64) (total int64) {
	a.taken.Add(n)
	return a.used.Add(n) + a.copies.Load()
}

// stand is called when n bytes were refused, or taken beyond the limit.
func (s *Space) stand(n int64) {
	s.account.wants.Store(n)
	if !s.stands.Swap(true) {
		s.account.full()
	}
	s.account.ask()
}

// ErrBudget says that there is no memory left for a Space.
var ErrBudget = errors.New("machines use all the memory that they may have together")

// AdmitPage is Admit for the page that holds off.
func (r *Region) AdmitPage(off uint64) bool { return r.take(off) }

func (r *Region) isTaken(off uint64) (word *atomic.Uint64, bit uint64, taken bool) {
	page := off / unit()
	word, bit = &r.taken[page/64], 1<<(page%64)
	return word, bit, word.Load()&bit != 0
}

// take counts the page that holds off, if it does not yet; false: there is none.
func (r *Region) take(off uint64) bool {
	if r.space.account == nil {
		return true
	}
	word, bit, taken := r.isTaken(off)
	if taken {
		return true
	}
	n := int64(unit())
	if !r.space.account.spend(n) {
		r.space.stand(n)
		return false
	}
	if word.Or(bit)&bit != 0 { // somebody else was faster
		r.space.account.count(-n)
	}
	return true
}

// took is take for who cannot be refused.
func (r *Region) took(off uint64) {
	word, bit, taken := r.isTaken(off)
	if taken || word.Or(bit)&bit != 0 {
		return
	}
	n := int64(unit())
	if r.space.account.count(n) > r.space.account.limit {
		r.space.stand(n)
	}
}

// Admit makes sure of room for stores to several ranges of RAM, each of which
// lies in one region, with their lengths. If there is none the Space stands,
// and nobody may store to them before another Admit.
func (s *Space) Admit(ranges iter.Seq2[GPA, uint64]) bool {
	a := s.account
	if a == nil {
		return true
	}
	page := unit()
	pages := func(f func(r *Region, off uint64)) {
		for gpa, n := range ranges {
			r := s.Find(gpa, n)
			if r == nil || n == 0 {
				continue
			}
			at := uint64(gpa - r.Base)
			for off := at &^ (page - 1); off < at+n; off += page {
				f(r, off)
			}
		}
	}
	var missing int64
	pages(func(r *Region, off uint64) {
		if _, _, taken := r.isTaken(off); !taken {
			missing += int64(page)
		}
	})
	if missing == 0 {
		return true
	}
	if !a.spend(missing) {
		s.stand(missing)
		return false
	}
	pages(func(r *Region, off uint64) {
		if word, bit, _ := r.isTaken(off); word.Or(bit)&bit == 0 {
			missing -= int64(page)
		}
	})
	a.count(-missing) // pages that were in two ranges, or that somebody else took
	return true
}

// Recount makes what counts of a region what the host has given. Nobody stores
// to it meanwhile, and every vCPU forgets its translations for stores before it
// stores again. It returns false if the host does not tell.
func (r *Region) Recount() bool {
	a := r.space.account
	if a == nil {
		return true
	}
	r.lent.mu.Lock()
	defer r.lent.mu.Unlock()
	a.loose.Store(false) // first: what is given back meanwhile is for the next time
	page := unit()
	given := make([]uint64, len(r.taken))
	if !r.host.States(0, func(off uint64, s platform.PageState) bool {
		if s == platform.PagePrivate || s == platform.PageSwapped { // which comes back without a store
			given[off/page/64] |= 1 << (off / page % 64)
		}
		return true
	}) {
		return false
	}
	var n int64
	for i, want := range given {
		old := r.taken[i].Swap(want)
		n += int64(bits.OnesCount64(want) - bits.OnesCount64(old))
	}
	a.count(n * int64(page))
	return true
}

// forget counts nothing of the region, which was given back and which nobody
// uses.
func (r *Region) forget() {
	if r.space.account == nil {
		return
	}
	var n int
	for i := range r.taken {
		n += bits.OnesCount64(r.taken[i].Swap(0))
	}
	r.space.account.count(-int64(n) * int64(unit()))
}

// loosen notes that pages were given back.
func (r *Region) loosen() {
	if a := r.space.account; a != nil {
		a.loose.Store(true)
	}
}
