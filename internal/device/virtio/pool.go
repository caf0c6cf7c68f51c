package virtio

import "sync"

// Pool runs a device's work on goroutines of its own, so that no vCPU waits
// for it. A step does a bounded amount of work and tells whether there may be
// more; it runs on up to n goroutines at once.
type Pool struct {
	step func() (more bool)
	// panicked hears of a panic in step, after which the worker goes on. It is
	// a seat belt: no guest action may cause one.
	panicked func(value any)

	mu      sync.Mutex
	wake    sync.Cond // a worker may have something to do
	idle    sync.Cond // running fell to 0
	pending bool
	running int
	paused  int
	closed  bool
	done    sync.WaitGroup
}

// NewPool starts n workers, which wait for Signal.
func NewPool(n int, step func() (more bool), panicked func(value any)) *Pool {
	p := &Pool{step: step, panicked: panicked}
	p.wake.L, p.idle.L = &p.mu, &p.mu
	for range n {
		p.done.Go(p.work)
	}
	return p
}

// Signal says that there may be work. It never blocks for long.
func (p *Pool) Signal() {
	p.mu.Lock()
	p.pending = true
	p.mu.Unlock()
	p.wake.Signal()
}

func (p *Pool) work() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for !p.closed && (!p.pending || p.paused > 0) {
			p.wake.Wait()
		}
		if p.closed {
			return
		}
		p.pending = false
		p.running++
		for more := true; more && !p.closed; {
			if p.paused > 0 {
				p.pending = true
				break
			}
			p.mu.Unlock()
			more = p.guarded()
			p.mu.Lock()
		}
		if p.running--; p.running == 0 {
			p.idle.Broadcast()
		}
	}
}

func (p *Pool) guarded() (more bool) {
	defer func() {
		if v := recover(); v != nil {
			p.panicked(v)
		}
	}()
	return p.step()
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
	if p.paused > 0 {
		p.paused--
	}
	p.pending = true
	p.mu.Unlock()
	p.wake.Broadcast()
}

// Close ends the workers, and waits for steps under way.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wake.Broadcast()
	p.done.Wait()
}
