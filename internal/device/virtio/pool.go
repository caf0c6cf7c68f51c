package virtio

import "sync"

// Pool runs a device's work on goroutines of its own, so that no vCPU waits
// for it. A step does a bounded amount of work and tells whether there may be
// more; it runs on up to n goroutines at once.
type Pool struct {
	step func(t *Turn) (more bool)
	// panicked hears of a panic in step, after which the worker goes on. It is
	// a seat belt: no guest action may cause one.
	panicked func(value any)

	mu       sync.Mutex
	idle     sync.Cond // running fell to 0
	newPlace func() Place
	turns    []*Turn // of all workers
	resting  []*Turn // of those that rest, and that nobody has woken
	pending  int     // how many workers are to look for work
	running  int
	paused   int
	closed   bool
	done     sync.WaitGroup
}

// NewPool starts n workers, which wait for Signal.
func NewPool(n int, step func(t *Turn) (more bool), panicked func(value any)) *Pool {
	p := &Pool{step: step, panicked: panicked}
	p.idle.L = &p.mu
	for range n {
		t := &Turn{woken: make(chan struct{}, 1)}
		p.turns = append(p.turns, t)
		p.done.Go(func() { p.work(t) })
	}
	return p
}

// Seat makes workers work only where they have a place, of which each asks for
// one before its first step. It is called before there is work.
func (p *Pool) Seat(newPlace func() Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newPlace = newPlace
}

// Signal says that there may be work. It never blocks for long.
func (p *Pool) Signal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.more()
}

// more lets one more worker look for work. The lock is held: who is woken must
// not end meanwhile.
func (p *Pool) more() {
	p.pending = min(p.pending+1, len(p.turns))
	last := len(p.resting) - 1
	if last < 0 || p.paused > 0 || p.closed {
		return
	}
	t := p.resting[last]
	p.resting = p.resting[:last]
	t.wake()
}

func (p *Pool) work(t *Turn) {
	defer t.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.await(t)
		if p.closed {
			return
		}
		p.pending--
		if t.place == nil && p.newPlace != nil {
			t.place = p.newPlace()
		}
		p.mu.Unlock()
		t.take() // Pause and Close do not wait for a worker that waits
		p.mu.Lock()
		p.serve(t)
	}
}

// await returns when there may be work for a worker, or the pool is closed. The
// lock is held, but not while the worker rests.
func (p *Pool) await(t *Turn) {
	for !p.closed && (p.pending == 0 || p.paused > 0) {
		if t.left {
			p.resting = append(p.resting, t)
			p.mu.Unlock()
			t.rest()
		} else {
			p.mu.Unlock()
			t.end() // it was woken, but there is nothing to do
		}
		p.mu.Lock()
	}
}

// serve does steps until there are no more or the turn is over, and gives the
// place back; the lock is held, but not during steps.
func (p *Pool) serve(t *Turn) {
	p.running++
	more := true
	for more && p.paused == 0 && !p.closed && !t.over() {
		p.mu.Unlock()
		more = p.guarded(t)
		p.mu.Lock()
	}
	p.mu.Unlock()
	t.end()
	p.mu.Lock()
	if more {
		p.pending = min(p.pending+1, len(p.turns)) // for this worker's next turn
	}
	if p.running--; p.running == 0 {
		p.idle.Broadcast()
	}
}

func (p *Pool) guarded(t *Turn) (more bool) {
	defer func() {
		if v := recover(); v != nil {
			p.panicked(v)
		}
	}()
	return p.step(t)
}

// Pause returns when no step runs; none will until Resume. Pauses nest.
func (p *Pool) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused++
	for p.running > 0 {
		p.idle.Wait()
	}
}

// Resume undoes one Pause, and lets the workers look for work.
func (p *Pool) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused > 0 {
		p.paused--
	}
	p.more()
}

// Close ends the workers, and waits for steps under way.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, t := range p.turns {
		t.stir()
	}
	p.done.Wait()
}
