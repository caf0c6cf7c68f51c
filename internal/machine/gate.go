package machine

import (
	"sync"
	"sync/atomic"
)

// gate is where vCPU goroutines stop when the machine pauses: raised, it
// holds each that comes to it until it is lowered or the machine ends.
type gate struct {
	raised atomic.Bool // read without the lock on the way past

	mu     sync.Mutex
	moved  sync.Cond
	total  int // goroutines that use the gate
	parked int
	ended  bool
}

func newGate() *gate {
	g := &gate{}
	g.moved.L = &g.mu
	return g
}

// pass returns true when the caller may go on, false when it must end. Before
// it is held it calls parking.
func (g *gate) pass(parking func()) bool {
	if !g.raised.Load() {
		return true
	}
	parking()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parked++
	g.moved.Broadcast()
	for g.raised.Load() && !g.ended {
		g.moved.Wait()
	}
	g.parked--
	return !g.ended
}

func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	g.moved.Broadcast()
}

// raise closes the gate; kick must then bring every vCPU to it.
func (g *gate) raise() { g.raised.Store(true) }

// wait returns when every goroutine is parked or gone.
func (g *gate) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.parked < g.total {
		g.moved.Wait()
	}
}

func (g *gate) lower() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.raised.Store(false)
	g.moved.Broadcast()
}

// end makes every goroutine leave. The gate is raised.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.moved.Broadcast()
	for g.total > 0 {
		g.moved.Wait()
	}
}
