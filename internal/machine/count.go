package machine

import (
	"sync"
	"sync/atomic"
	"time"

	"doppel/internal/cpu"
)

// An engine's counts belong to the goroutine that runs it. Whoever wants
// them asks, and the goroutine publishes a copy between two Runs; nothing is
// copied when nobody asks.

// published is a vCPU's counts as others see them.
type published struct {
	asked atomic.Bool // read on each way past

	mu    sync.Mutex
	last  []cpu.Count
	fresh chan struct{} // closed when what was asked for is there; nil if nobody asks
	ended bool          // the goroutine is gone
}

// ask asks for fresh counts. The channel is closed when they are there.
func (p *published) ask() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh == nil {
		p.fresh = make(chan struct{})
		if p.ended {
			close(p.fresh)
		}
	}
	p.asked.Store(true)
	return p.fresh
}

// publish is for the vCPU's goroutine, outside of Run.
func (v *vcpu) publish(ended bool) {
	p := &v.published
	var now []cpu.Count
	if c, ok := v.VCPU.(cpu.Counter); ok {
		now = c.Counts()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
	if p.fresh != nil && !p.ended {
		close(p.fresh)
	}
	if p.ended = p.ended || ended; !p.ended {
		p.fresh = nil
	}
	p.asked.Store(false)
}

// countWait bounds how long Counts waits for a vCPU that the host does not
// run.
const countWait = time.Second

// Counts returns the counts of every vCPU's engine, fresh ones if the
// machine runs. Any goroutine, at any time.
func (m *Machine) Counts() [][]cpu.Count {
	if m.Status() == Running {
		timeout := time.NewTimer(countWait)
		defer timeout.Stop()
		var fresh []<-chan struct{}
		for _, v := range m.vcpus {
			fresh = append(fresh, v.published.ask())
			v.Kick()
			v.notify()
		}
		for _, f := range fresh {
			select {
			case <-f:
			case <-m.done:
			case <-timeout.C:
				timeout.Reset(0) // the others have had their time too
			}
		}
	}
	all := make([][]cpu.Count, len(m.vcpus))
	for i, v := range m.vcpus {
		all[i] = v.counts()
	}
	return all
}

// counts are those that were published last.
func (v *vcpu) counts() []cpu.Count {
	v.published.mu.Lock()
	defer v.published.mu.Unlock()
	return v.published.last
}
