package memory

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"doppel/internal/platform"
)

// Pool finds pages of several machines that need not be in memory more than
// once: those that are zero are given back, those that are alike become
// borrowed from one copy, in runs of pages that are neighbours in both places.
// Each run is a mapping, of which a process may have only so many: short runs
// are taken while there are few.
//
// Candidates are found by their hashes while guests run; each is compared
// again, byte for byte, and replaced while its machine stands still, for about
// maxStop at a time. Nothing that is in memory changes by it.
//
// Lock order: Pool.mu, what Member.Still takes, borrowed.mu. One pass runs at a
// time; Add and Stats wait for none.
type Pool struct {
	share   bool // else pages are only given back
	maxRuns int64
	runs    atomic.Int64
	used    atomic.Uint64 // bytes of copies, as of the last pass
	budget  *Budget       // that copies come out of; nil for none

	mu      sync.Mutex
	seed    maphash.Seed
	slabs   []*slab           // by id; nil for those that are gone
	index   map[uint64]uint32 // shared pages by their hashes
	loose   map[uint64]origin // pages that are their region's own
	members []*member

	comeIn  sync.Mutex
	arrived []*member
	left    atomic.Bool // one that is gone may be among the members
}

// Member is a machine, as a Pool uses it.
type Member interface {
	// Read calls f while the memory stays there; false if it is gone.
	Read(f func(ram *Region)) bool
	// Still calls f while nobody uses the memory; false if that cannot be had
	// now.
	Still(f func(ram *Region)) bool
	// Running tells whether Still costs a guest time.
	Running() bool
}

type member struct {
	Member
	gone   atomic.Bool
	region *Region // to tell members by; not to be followed
	hashes []uint64
	work   []piece
	known  []piece // of pages that are shared already
}

// origin is a page of a member.
type origin struct {
	m    *member
	page uint32
}

// piece is what is to be done with pages of a member.
type piece struct {
	first, pages uint32
	zero         bool
	id           uint32 // of the first shared page
}

// slab is some of the shared pages.
type slab struct {
	shared *platform.Shared
	next   uint32 // page that is free
	hashes []uint64
}

const (
	slabPages = 1 << 14
	maxSlabs  = 1 << 17 // ids have 32 bits, one value is none

	maxStop   = 2 * time.Millisecond
	restTimes = 4 // as long as it stood still does a guest run before the next time
	readPages = 2048
)

const (
	hashNone = 0 // of a page that is no candidate
	hashZero = 1
)

var errMappings = errors.New("too many mappings")

// NewPool makes a pool without members. share tells whether pages of one
// machine may be lent to another.
//
// Copies come out of the budget, unless that is nil.
func NewPool(share bool, budget *Budget) *Pool {
	return &Pool{
		share: share, budget: budget, maxRuns: int64(platform.MaxMappings() / 4), seed: maphash.MakeSeed(),
		index: map[uint64]uint32{}, loose: map[uint64]origin{},
	}
}

// Add adds a machine. It waits for no pass.
func (p *Pool) Add(m Member) {
	p.comeIn.Lock()
	defer p.comeIn.Unlock()
	p.arrived = append(p.arrived, &member{Member: m})
}

// Left says that a member's memory is gone. The pool holds on to nothing of it
// from the end of the pass on that goes on now, if one does: it waits for none.
func (p *Pool) Left() {
	p.left.Store(true)
	p.tidy()
}

// tidy forgets who has left. Who has had p.mu calls it then: those that came
// meanwhile have left it to them.
func (p *Pool) tidy() {
	for p.left.Load() && p.mu.TryLock() {
		if p.left.Swap(false) {
			p.sweep()
			if len(p.members) == 0 {
				p.collect()
			}
		}
		p.mu.Unlock()
	}
}

// PoolStats tells what a Pool holds, in bytes.
type PoolStats struct {
	Copies uint64 // that others borrow from
	Runs   int64  // mappings for that
}

// Stats is as of the last pass.
func (p *Pool) Stats() PoolStats { return PoolStats{p.used.Load(), p.runs.Load()} }

// minRun is the shortest run that is worth a mapping now.
func (p *Pool) minRun() uint32 {
	switch n := p.runs.Load(); {
	case n < p.maxRuns/4:
		return 2
	case n < p.maxRuns/2:
		return 4
	}
	return longRun
}

// longRun is worth a mapping as long as there are any.
const longRun = 8

// mayMap counts n more runs, or fewer, if the process may have them: each is a
// mapping, and parts one that was there.
func (p *Pool) mayMap(n int) bool {
	if p.runs.Add(int64(n)) > p.maxRuns && n > 0 {
		p.runs.Add(int64(-n))
		return false
	}
	return true
}

// Merge looks once at the memory of all members, and returns the bytes that
// went back to the host.
func (p *Pool) Merge() (saved uint64) {
	defer p.tidy()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep()
	clear(p.loose)
	before := p.bytes()
	for _, m := range p.members {
		saved += p.visit(m)
	}
	p.loose = map[uint64]origin{} // which may be large
	p.collect()
	return saved - min(saved, p.bytes()-min(p.bytes(), before))
}

// MergeOne looks at one member, whose memory has just been filled.
func (p *Pool) MergeOne(one Member) (saved uint64) {
	defer p.tidy()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep()
	before := p.bytes()
	for _, m := range p.members {
		if m.Member == one {
			saved = p.visit(m)
		}
	}
	return saved - min(saved, p.bytes()-min(p.bytes(), before))
}

// visit scans a member, and does what is to be done with it and others.
func (p *Pool) visit(m *member) (saved uint64) {
	if p.scan(m) {
		p.plan(m)
	}
	m.hashes = nil
	for _, o := range p.members {
		saved += p.apply(o)
	}
	return saved
}

// sweep takes in members that are new, and forgets those that are gone.
func (p *Pool) sweep() {
	p.comeIn.Lock()
	p.members = append(p.members, p.arrived...)
	p.arrived = nil
	p.comeIn.Unlock()
	kept := p.members[:0]
	for _, m := range p.members {
		if m.Read(func(r *Region) { m.region = r }) {
			kept = append(kept, m)
			continue
		}
		if m.region != nil {
			p.runs.Add(int64(-m.region.lent.runs))
		}
		m.gone.Store(true)
	}
	clear(p.members[len(kept):])
	p.members = kept
	for h, o := range p.loose {
		if o.m.gone.Load() {
			delete(p.loose, h)
		}
	}
}

func (p *Pool) bytes() (n uint64) {
	for _, s := range p.slabs {
		if s != nil {
			n += s.shared.Used()
		}
	}
	p.used.Store(n)
	if p.budget != nil {
		p.budget.copies.Store(int64(n))
	}
	return n
}

// Close forgets everything; members' memories keep what they have.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.comeIn.Lock()
	defer p.comeIn.Unlock()
	var errs []error
	for _, s := range p.slabs {
		if s != nil {
			errs = append(errs, s.shared.Close())
		}
	}
	p.slabs, p.members, p.arrived, p.index, p.loose = nil, nil, nil, map[uint64]uint32{}, map[uint64]origin{}
	return errors.Join(errs...)
}
