package memory

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
)

// machine is a member of a pool in tests.
type machine struct {
	t     testing.TB
	space Space
	ram   *Region
	mu    sync.RWMutex // held to read by who uses the memory
	life  sync.RWMutex // held to read by who looks at it
	gone  bool
	busy  bool // never stands still
}

const machineBase = 0x80000000

func newMachine(t testing.TB, pages int) *machine {
	t.Helper()
	m := &machine{t: t}
	var err error
	if m.ram, err = m.space.Add(RAM, "ram", machineBase, uint64(pages)*PageSize); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

func (m *machine) close() {
	m.life.Lock()
	defer m.life.Unlock()
	if !m.gone {
		m.gone = true
		m.space.Close()
	}
}

func (m *machine) Read(f func(*Region)) bool {
	m.life.RLock()
	defer m.life.RUnlock()
	if !m.gone {
		f(m.ram)
	}
	return !m.gone
}

func (m *machine) Still(f func(*Region)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone || m.busy {
		return false
	}
	f(m.ram)
	return true
}

func (m *machine) Running() bool { return false }

// content is a page that one number makes.
func content(n uint64) []byte {
	b := make([]byte, PageSize)
	if n == 0 {
		return b
	}
	r := rand.New(rand.NewPCG(n, 0))
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

func (m *machine) put(page int, n uint64) {
	m.t.Helper()
	if err := m.space.WriteAt(content(n), machineBase+GPA(page)*PageSize); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) check(page int, n uint64) {
	m.t.Helper()
	if !bytes.Equal(m.ram.Bytes()[page*PageSize:][:PageSize], content(n)) {
		m.t.Fatalf("page %d is not what %d makes", page, n)
	}
}

func (m *machine) usage() Usage {
	m.t.Helper()
	u, ok := m.ram.Usage()
	if !ok {
		m.t.Skip("the host does not tell what memory takes")
	}
	return u
}

// data lists the pages that NextData finds.
func (m *machine) data() map[int]bool {
	found := map[int]bool{}
	for start, end := m.ram.NextData(0); start < m.ram.Size; start, end = m.ram.NextData(end) {
		if end <= start {
			m.t.Fatalf("data from %#x to %#x", start, end)
		}
		for off := start; off < end; off += PageSize {
			found[int(off/PageSize)] = true
		}
	}
	return found
}

func skipLargePages(t *testing.T) {
	if unit() != PageSize {
		t.Skip("the host's pages are not the guest's")
	}
}

// Pages that are alike are held once, wherever they are; zero pages are given
// back; stores stay with who made them; what nobody reads any more goes.
func TestPool(t *testing.T) {
	skipLargePages(t)
	const size, n = 400, 100
	p := NewPool(true, nil)
	defer p.Close()
	a, b := newMachine(t, size), newMachine(t, size)
	for i := range n {
		a.put(10+i, uint64(1+i))
		b.put(250+i, uint64(1+i)) // elsewhere
		b.put(50+i, uint64(1000+i))
		a.put(200+i, 5)
		a.put(200+i, 0)
	}
	p.Add(a)
	p.Add(b)
	a.ram.StartDirtyLog()
	if saved := p.Merge(); saved != 2*n*PageSize {
		t.Errorf("saved %d pages", saved/PageSize)
	}
	for _, w := range a.ram.CollectDirty() {
		if w != 0 {
			t.Error("pages are marked that did not change")
		}
	}
	if u := a.usage(); u.Private != 0 || u.Borrowed != n*PageSize {
		t.Errorf("a: %+v", u)
	}
	if u := b.usage(); u.Private != n*PageSize || u.Borrowed != n*PageSize {
		t.Errorf("b: %+v", u)
	}
	if s := p.Stats(); s.Copies != n*PageSize || s.Runs != 2 {
		t.Errorf("%+v", s)
	}
	// Nothing has changed, touched or not.
	data := a.data()
	for i := range n {
		if !data[10+i] || data[200+i] {
			t.Fatalf("NextData: page %d is %v, page %d is %v", 10+i, data[10+i], 200+i, data[200+i])
		}
		a.check(10+i, uint64(1+i))
		b.check(250+i, uint64(1+i))
		b.check(50+i, uint64(1000+i))
		a.check(200+i, 0)
	}
	// Stores.
	a.put(20, 7777)
	b.check(260, 11)
	a.check(21, 12)
	if u := a.usage(); u.Private != PageSize || u.Borrowed != (n-1)*PageSize {
		t.Errorf("after a store: %+v", u)
	}
	// Given back, in part: zero, and no part of data.
	if got := b.space.Discard(machineBase+255*PageSize, 10*PageSize); got != 10*PageSize {
		t.Errorf("discarded %d", got)
	}
	d := b.data() // before they are touched
	b.check(254, 5)
	b.check(255, 0)
	b.check(264, 0)
	b.check(265, 16)
	a.check(15, 6)
	if d[255] || !d[254] || !d[265] || p.Stats().Runs != 3 {
		t.Errorf("%v %v %v, %d runs", d[255], d[254], d[265], p.Stats().Runs)
	}
	b.put(256, 9)
	b.check(256, 9)
	// A third machine with the same finds what is there.
	c := newMachine(t, size)
	for i := range n {
		c.put(i, uint64(1+i))
	}
	p.Add(c)
	if saved := p.MergeOne(c); saved != n*PageSize {
		t.Errorf("the third saved %d pages", saved/PageSize)
	}
	// Machines go, the others stay; then all goes.
	a.close()
	p.Merge()
	for i := range n {
		c.check(i, uint64(1+i))
	}
	if err := b.ram.Zero(); err != nil {
		t.Fatal(err)
	}
	if len(b.data()) != 0 || b.usage() != (Usage{}) {
		t.Error("a region that was zeroed has data")
	}
	if err := c.ram.Zero(); err != nil {
		t.Fatal(err)
	}
	p.Merge()
	if s := p.Stats(); s.Copies != 0 || s.Runs != 0 {
		t.Errorf("in the end %+v", s)
	}
	if len(p.index) != 0 || len(p.loose) != 0 {
		t.Errorf("%d and %d pages are remembered", len(p.index), len(p.loose))
	}
}

// Without sharing, only zero pages are given back.
func TestPoolAlone(t *testing.T) {
	skipLargePages(t)
	p := NewPool(false, nil)
	defer p.Close()
	a, b := newMachine(t, 64), newMachine(t, 64)
	for i := range 32 {
		a.put(i, uint64(1+i))
		b.put(i, uint64(1+i))
	}
	b.put(40, 1)
	b.put(40, 0)
	p.Add(a)
	p.Add(b)
	if saved := p.Merge(); saved != PageSize || a.usage().Borrowed != 0 {
		t.Errorf("saved %d pages, %+v", saved/PageSize, a.usage())
	}
}

// A machine that does not stand still keeps its pages; with too many mappings,
// pages are zeroed instead of given back.
func TestPoolRefused(t *testing.T) {
	skipLargePages(t)
	p := NewPool(true, nil)
	defer p.Close()
	a, b := newMachine(t, 64), newMachine(t, 64)
	for i := range 32 {
		a.put(i, uint64(1+i))
		b.put(i, uint64(1+i))
	}
	p.Add(a)
	p.Add(b)
	b.busy = true
	p.Merge()
	if b.usage().Borrowed != 0 {
		t.Error("a busy machine lost pages")
	}
	b.busy = false
	p.Merge()
	if a.usage().Borrowed != 32*PageSize || b.usage().Borrowed != 32*PageSize {
		t.Errorf("%+v %+v", a.usage(), b.usage())
	}
	p.maxRuns = p.runs.Load()
	a.space.Discard(machineBase+10*PageSize, PageSize)
	a.check(9, 10)
	a.check(10, 0)
	a.check(11, 12)
	if u := a.usage(); u.Private != PageSize || p.runs.Load() != p.maxRuns {
		t.Errorf("%+v, %d runs", u, p.runs.Load())
	}
	c := newMachine(t, 64)
	for i := range 32 {
		c.put(i, uint64(1+i))
	}
	p.Add(c)
	p.Merge()
	if c.usage().Borrowed != 0 {
		t.Error("more mappings than there may be")
	}
}

// Random stores, discards and merges of machines that run, against what should
// be there.
func TestPoolRandom(t *testing.T) {
	skipLargePages(t)
	const size, machines, steps = 256, 3, 3000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := NewPool(true, nil)
	defer p.Close()
	var stop sync.WaitGroup
	done := make(chan struct{})
	for k := range machines {
		m := newMachine(t, size)
		p.Add(m)
		r := rand.New(rand.NewPCG(seed, uint64(k)))
		stop.Go(func() {
			want := make([]uint64, size)
			for range steps {
				m.mu.RLock()
				at, n := r.IntN(size), 1+r.IntN(40)
				n = min(n, size-at)
				switch r.IntN(6) {
				case 0: // what others have too, at one distance or another
					base := uint64(1 + r.IntN(3)*100)
					for i := range n {
						want[at+i] = base + uint64(at+i)
						m.put(at+i, want[at+i])
					}
				case 1:
					want[at] = r.Uint64() | 1<<40
					m.put(at, want[at])
				case 2:
					m.space.Discard(machineBase+GPA(at)*PageSize, uint64(n)*PageSize)
					clear(want[at : at+n])
				case 3:
					for i := range n {
						want[at+i] = 0
						m.put(at+i, 0)
					}
				default:
					for i := range n {
						m.check(at+i, want[at+i])
					}
				}
				m.mu.RUnlock()
			}
			m.mu.RLock()
			defer m.mu.RUnlock()
			data := m.data()
			for i := range size {
				m.check(i, want[i])
				if want[i] != 0 && !data[i] {
					t.Errorf("page %d would not be saved", i)
				}
			}
		})
	}
	go func() {
		stop.Wait()
		close(done)
	}()
	var saved uint64
	for {
		select {
		case <-done:
			p.Merge()
			var runs int
			for _, m := range p.members {
				runs += m.region.lent.runs
			}
			if saved == 0 || int64(runs) != p.runs.Load() || runs < 0 {
				t.Errorf("saved %d pages; %d runs, counted %d", saved/PageSize, runs, p.runs.Load())
			}
			return
		default:
			saved += p.Merge()
		}
	}
}

// leaver is a member that is gone, and says so, in the middle of a pass.
type leaver struct {
	*machine
	pool *Pool
}

func (l leaver) Still(f func(*Region)) bool {
	l.close()
	l.pool.Left()
	return l.machine.Still(f)
}

// TestLeft: who is gone is forgotten at once, or after the pass that goes on.
func TestLeft(t *testing.T) {
	p := NewPool(true, nil)
	defer p.Close()
	first, second := newMachine(t, 8), newMachine(t, 8)
	p.Add(first)
	first.close()
	p.Left()
	if n := len(p.members) + len(p.arrived); n != 0 {
		t.Errorf("%d members are left", n)
	}
	second.put(1, 0) // to be given back
	p.Add(leaver{second, p})
	p.Merge()
	if !second.gone || len(p.members) != 0 {
		t.Errorf("gone %v, %d members are left", second.gone, len(p.members))
	}
}
