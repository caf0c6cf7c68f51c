package hart

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestRequestFlush(t *testing.T) {
	page := func(n uint64) Fence { return Fence{HasVA: true, VA: n << 12, Size: pageSize} }
	asid := Fence{HasASID: true, ASID: 7}
	var many, eight []Fence
	for n := range uint64(flushSlots + 1) {
		many = append(many, page(n))
	}
	eight = many[:flushSlots]
	for _, c := range []struct {
		what string
		ask  []Fence
		tlb  []Fence
		code int
	}{
		{"nothing", nil, nil, 0},
		{"one page", []Fence{page(1)}, []Fence{page(1)}, 0},
		{"one ASID", []Fence{asid}, []Fence{asid}, 0},
		{"everything", []Fence{{}}, []Fence{{}}, 0},
		{"code", []Fence{{Code: true}, {Code: true}}, nil, 1},
		{"as many as there is room for", eight, eight, 0},
		{"more become one", many, append([]Fence{{}}, eight...), 0},
	} {
		m := newMachine(t, true)
		m.Poll()
		var tickets []uint64
		for _, f := range c.ask {
			tickets = append(tickets, m.RequestFlush(f))
		}
		for _, ticket := range tickets {
			if m.Flushed(ticket) {
				t.Errorf("%s: served before Poll", c.what)
			}
		}
		if len(c.ask) > 0 != (m.Attention.Load() != 0) {
			t.Errorf("%s: attention %#x", c.what, m.Attention.Load())
		}
		m.Poll()
		for _, ticket := range tickets {
			if !m.Flushed(ticket) {
				t.Errorf("%s: not served by Poll", c.what)
			}
		}
		if !reflect.DeepEqual(m.rec.tlb, c.tlb) || m.rec.code != c.code {
			t.Errorf("%s: %+v and %d, want %+v and %d", c.what, m.rec.tlb, m.rec.code, c.tlb, c.code)
		}
		m.rec.tlb = nil
		m.Poll()
		m.Enter()
		m.Leave()
		if m.rec.tlb != nil {
			t.Errorf("%s: served twice", c.what)
		}
		if m.Flushed(m.RequestFlush(Fence{})) {
			t.Errorf("%s: the next request counts as served", c.what)
		}
	}
}

// TestEnterServes: a hart that did not run flushes before it does.
func TestEnterServes(t *testing.T) {
	m := newMachine(t, true)
	Shootdown(nil, []*Hart{m.Hart}, Fence{}) // does not wait
	m.Enter()
	if len(m.rec.tlb) != 1 {
		t.Errorf("%d flushes by Enter", len(m.rec.tlb))
	}
	m.Leave()
	Shootdown(m.Hart, []*Hart{m.Hart}, Fence{}) // the caller is a target
	if len(m.rec.tlb) != 2 {
		t.Errorf("%d flushes by a shootdown of oneself", len(m.rec.tlb))
	}
}

// cache is an engine that keeps one translation, as a TLB would, and checks
// that it is never used after it was withdrawn.
type cache struct{ version uint64 }

func (c *cache) FlushTLB(Fence) { c.version = 0 }
func (c *cache) FlushCode()     {}

// TestShootdownRace: harts that run, sleep and shoot at each other. After a
// Shootdown no hart may use what it had cached before.
func TestShootdownRace(t *testing.T) {
	const harts, rounds = 4, 300
	var (
		all    []*Hart
		caches [harts]cache
		table  atomic.Uint64 // the version of the "page table"
		valid  atomic.Uint64 // versions below this were withdrawn
		end    sync.WaitGroup
		left   atomic.Int32
	)
	table.Store(1)
	left.Store(harts)
	for i := range harts {
		h := newMachine(t, true).Hart
		h.SetEngine(&caches[i])
		all = append(all, h)
	}
	run := func(h *Hart, c *cache, rng *rand.Rand) {
		h.Enter()
		defer h.Leave()
		for range rng.IntN(10) {
			if h.Attention.Load() != 0 {
				h.Poll()
			}
			for range 5 { // a block of instructions, between which nothing is polled
				// valid is read first, so that a withdrawal that ends
				// meanwhile does not count.
				low := valid.Load()
				if c.version == 0 {
					c.version = table.Load()
				}
				if c.version < low {
					t.Errorf("hart %d uses version %d, withdrawn up to %d", h.ID(), c.version, low)
				}
				runtime.Gosched()
			}
		}
	}
	shoot := func(h *Hart, running bool, f Fence) {
		v := table.Add(1)
		if running { // as an engine would that sends fences itself
			h.Enter()
			defer h.Leave()
		}
		Shootdown(h, all, f)
		for old := valid.Load(); old < v && !valid.CompareAndSwap(old, v); old = valid.Load() {
		}
	}
	for i, h := range all {
		end.Add(1)
		go func() {
			defer end.Done()
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for range rounds {
				run(h, &caches[i], rng)
				f := Fence{}
				if rng.IntN(2) == 0 {
					f = Fence{HasASID: true, ASID: 1}
				}
				shoot(h, rng.IntN(2) == 0, f)
			}
			left.Add(-1)
			for left.Load() > 0 { // still a target
				run(h, &caches[i], rng)
				runtime.Gosched()
			}
		}()
	}
	end.Wait()
}

// TestInputRace: all that other goroutines may do, at once.
func TestInputRace(t *testing.T) {
	m := newMachine(t, true)
	m.CSR.Mie = allInterrupts
	var end sync.WaitGroup
	var woken atomic.Int32
	m.OnWake(func() { woken.Add(1) })
	for i := range 3 {
		end.Add(1)
		go func() {
			defer end.Done()
			for n := range 2000 {
				m.SetInterrupt(uint(9), n&1 == 0)
				m.SetInterrupt(uint(1), true)
				m.Kick()
				ticket := m.RequestFlush(Fence{HasVA: true, VA: uint64(n) << 12, Size: pageSize})
				for i == 0 && n%100 == 0 && !m.Flushed(ticket) {
					runtime.Gosched()
				}
			}
		}()
	}
	done := make(chan struct{})
	go func() { end.Wait(); close(done) }()
	for {
		select {
		case <-done:
			m.Poll()
			if m.Runnable() != (m.mip()&allInterrupts != 0) {
				t.Error("runnable differs from mip")
			}
			return
		default:
			m.Poll()
			m.ClearIPI()
			m.Runnable()
			runtime.Gosched()
		}
	}
}
