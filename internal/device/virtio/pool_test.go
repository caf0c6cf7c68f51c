package virtio

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// desk is a Place of which a test decides when it is free.
type desk struct {
	free    chan struct{} // one value lets Take return, or Rest after Wake
	wakes   chan struct{}
	alone   atomic.Bool // nobody need ask
	takes   atomic.Int32
	held    atomic.Int32
	settled atomic.Int32
	asked   atomic.Bool
	closed  chan struct{}
}

func newDesk() *desk {
	return &desk{free: make(chan struct{}, 100), wakes: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (d *desk) Rest(woken <-chan struct{}) {
	select {
	case <-woken:
	case <-d.wakes:
		<-d.free
		d.held.Add(1)
	}
}

func (d *desk) Wake() bool {
	if d.alone.Load() {
		return false
	}
	d.wakes <- struct{}{} // who is woken twice in one rest hangs here
	return true
}

func (d *desk) Take() {
	if d.held.Load() > 0 {
		return
	}
	d.takes.Add(1)
	<-d.free
	d.held.Add(1)
}

func (d *desk) Asked() bool { return d.asked.Load() }

func (d *desk) Give() {
	if d.held.Load() > 0 {
		d.held.Add(-1)
	}
}

func (d *desk) Settle() { d.settled.Add(1) }

func (d *desk) Close() { close(d.closed) }

// seated is a pool of one worker with a desk, whose steps end with what more
// gives.
func seated(t *testing.T, step func(*Turn, *desk) bool) (*Pool, *desk, chan bool) {
	d, stepped := newDesk(), make(chan bool)
	p := NewPool(1, func(turn *Turn) bool {
		more := step(turn, d)
		stepped <- d.held.Load() > 0
		return more
	}, func(v any) { t.Errorf("panic: %v", v) })
	p.Seat(func() Place { return d })
	return p, d, stepped
}

// A worker works where it has a place, and gives it back.
func TestSeat(t *testing.T) {
	p, d, stepped := seated(t, func(*Turn, *desk) bool { return false })
	p.Signal()
	// It has no place yet: nobody waits for it.
	p.Pause()
	p.Resume()
	d.free <- struct{}{}
	if !<-stepped {
		t.Error("a step without a place")
	}
	p.Close()
	<-d.closed
	if n := d.held.Load(); n != 0 {
		t.Errorf("%d places are held", n)
	}
	if n := d.settled.Load(); n != 1 {
		t.Errorf("one turn was settled %d times", n)
	}
}

// When another is to have the place, the worker leaves between two steps, and
// waits until it is its turn again.
func TestGiveWay(t *testing.T) {
	steps := 0
	p, d, stepped := seated(t, func(_ *Turn, d *desk) bool {
		steps++
		d.asked.Store(steps == 2)
		return steps < 5
	})
	d.free <- struct{}{}
	p.Signal()
	<-stepped
	<-stepped
	p.Pause() // it waits for its place, not for this
	if n := d.held.Load(); n != 0 {
		t.Errorf("%d places are held", n)
	}
	d.asked.Store(false)
	p.Resume()
	for range 3 { // one that found the pool paused, perhaps
		d.free <- struct{}{}
	}
	for range 3 {
		if !<-stepped {
			t.Error("a step without a place")
		}
	}
	p.Close()
}

// Leave gives the place back at once, Pass if another is to have it.
func TestLeaveAndPass(t *testing.T) {
	step := 0
	p, d, stepped := seated(t, func(turn *Turn, d *desk) bool {
		step++
		takes := d.takes.Load()
		switch step {
		case 1:
			turn.Pass()
			if d.takes.Load() != takes {
				t.Error("gave way to nobody")
			}
		case 2:
			d.asked.Store(true)
			d.free <- struct{}{}
			turn.Pass()
			d.asked.Store(false)
			if d.takes.Load() != takes+1 {
				t.Error("did not give way")
			}
		case 3:
			turn.Leave()
			if d.held.Load() != 0 {
				t.Error("the place is still held")
			}
		}
		return step < 4
	})
	d.free <- struct{}{}
	p.Signal()
	for want := range 4 {
		if want == 3 {
			d.free <- struct{}{} // after Leave it takes a place again
		}
		if has := <-stepped; has != (want != 2) {
			t.Errorf("step %d: it has a place: %v", want+1, has)
		}
	}
	p.Close()
}

// Who wakes a worker that rests asks for its place too, unless nobody need ask.
func TestWake(t *testing.T) {
	p, d, stepped := seated(t, func(*Turn, *desk) bool { return false })
	for range 100 {
		d.free <- struct{}{}
	}
	for i := range int32(20) {
		d.alone.Store(i%3 == 2)
		p.Signal()
		if !<-stepped {
			t.Fatal("a step without a place")
		}
		for n := 0; n != 1; { // until it rests
			p.mu.Lock()
			n = len(p.resting)
			p.mu.Unlock()
		}
	}
	if n := d.takes.Load(); n != 1+6 { // at first, and when nobody asked for it
		t.Errorf("the worker has asked for its place %d times", n)
	}
	p.Close()
	p.Signal() // wakes nobody
	if len(d.wakes) != 0 {
		t.Error("a worker was woken that has ended")
	}
}

// A pause does not lose a signal, and who was woken for nothing rests again
// without its place.
func TestWakeOfPaused(t *testing.T) {
	p, d, stepped := seated(t, func(*Turn, *desk) bool { return false })
	d.free <- struct{}{}
	p.Signal()
	<-stepped
	p.Pause()
	p.Signal()
	d.free <- struct{}{}
	p.Resume()
	if !<-stepped {
		t.Error("a step without a place")
	}
	for n := 0; n != 1; {
		p.mu.Lock()
		n = len(p.resting)
		p.mu.Unlock()
	}
	p.mu.Lock() // as if another had done what it is woken for
	p.more()
	p.pending = 0
	p.mu.Unlock()
	d.free <- struct{}{}
	for n := 0; n != 1; {
		p.mu.Lock()
		n = len(p.resting)
		p.mu.Unlock()
	}
	if n := d.held.Load(); n != 0 {
		t.Error("it rests, and has a place")
	}
	p.Close()
	<-d.closed
}

// Many signals and pauses at once lose no work, and end.
func TestPoolUnderLoad(t *testing.T) {
	var todo, done atomic.Int64
	p := NewPool(4, func(*Turn) bool {
		for {
			n := todo.Load()
			if n == 0 {
				return false
			}
			if todo.CompareAndSwap(n, n-1) {
				done.Add(1)
				return true
			}
		}
	}, func(v any) { t.Errorf("panic: %v", v) })
	p.Seat(func() Place {
		d := newDesk()
		close(d.free) // there is always room
		return d
	})
	const signals = 2000
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range signals {
				todo.Add(1)
				p.Signal()
				if i == 0 && n%50 == 0 {
					p.Pause()
					p.Resume()
				}
			}
		})
	}
	all.Wait()
	for done.Load() < 4*signals {
		runtime.Gosched()
	}
	p.Close()
}
