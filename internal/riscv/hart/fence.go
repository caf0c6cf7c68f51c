package hart

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Fences that one hart asks of another (SBI's remote fences).
//
// A request is posted to the target's queue and served on its goroutine, by
// Poll while the target runs, or by Enter before it runs. A target outside
// Enter and Leave needs no waiting: it serves before its next instruction.

// flushSlots is how many fences a hart remembers one by one; beyond that they
// become one fence of everything.
const flushSlots = 8

// States of a flushSlot. Its fence belongs to whoever moved it to slotBusy.
const (
	slotFree uint32 = iota
	slotBusy
	slotFull
)

type flushSlot struct {
	state atomic.Uint32
	fence Fence
}

type flushQueue struct {
	slots   [flushSlots]flushSlot
	all     atomic.Bool   // a fence of all translations
	code    atomic.Bool   // a fence.i
	tickets atomic.Uint64 // requests posted
	served  atomic.Uint64 // requests served, all up to this number
	running atomic.Bool   // between Enter and Leave
}

// RequestFlush asks the hart to perform a fence before its next instructions,
// and returns a ticket for Flushed. Any goroutine; it does not block.
func (h *Hart) RequestFlush(f Fence) (ticket uint64) {
	q := &h.flushes
	switch {
	case f.Code:
		q.code.Store(true)
	case !q.post(f):
		q.all.Store(true)
	}
	// Only now: who serves this ticket finds the fence.
	ticket = q.tickets.Add(1)
	h.attend(attnFlush)
	return ticket
}

// post puts a fence into a free slot.
func (q *flushQueue) post(f Fence) bool {
	if !f.HasVA && !f.HasASID {
		return false
	}
	for i := range q.slots {
		s := &q.slots[i]
		if s.state.CompareAndSwap(slotFree, slotBusy) {
			s.fence = f
			s.state.Store(slotFull)
			return true
		}
	}
	return false
}

// Flushed tells whether a request was served. Any goroutine.
func (h *Hart) Flushed(ticket uint64) bool { return h.flushes.served.Load() >= ticket }

// serveFlushes performs all requests posted so far.
func (h *Hart) serveFlushes() {
	q := &h.flushes
	upTo := q.tickets.Load()
	if q.served.Load() == upTo {
		return
	}
	if q.all.Swap(false) {
		h.engine.FlushTLB(Fence{})
	}
	for i := range q.slots {
		s := &q.slots[i]
		if s.state.CompareAndSwap(slotFull, slotBusy) {
			f := s.fence
			s.state.Store(slotFree)
			h.engine.FlushTLB(f)
		}
	}
	if q.code.Swap(false) {
		h.engine.FlushCode()
	}
	q.served.Store(upTo)
}

// Enter says that the engine begins to execute instructions, Leave that it
// has stopped: an engine calls them around Run. Between them it polls.
func (h *Hart) Enter() {
	// The flag first: a Shootdown that did not see it has posted its request
	// before, and serveFlushes finds it.
	h.flushes.running.Store(true)
	h.serveFlushes()
}

func (h *Hart) Leave() {
	if h.pmuOn != 0 {
		h.pmuSync()
	}
	h.flushes.running.Store(false)
}

// Shootdown makes every target perform a fence and returns when each has, or
// does not run and will before its next instruction. self is the caller's own
// hart, nil if it has none; its requests are served meanwhile, so that two
// harts may shoot at each other. self may be among the targets. No target may
// wait for the caller in any other way.
func Shootdown(self *Hart, targets []*Hart, f Fence) {
	tickets := make([]uint64, len(targets))
	for i, t := range targets {
		tickets[i] = t.RequestFlush(f)
	}
	for i, t := range targets {
		for spin := 0; !t.Flushed(tickets[i]) && t.flushes.running.Load(); spin++ {
			if self != nil {
				self.serveFlushes()
			}
			if spin < 100 {
				runtime.Gosched()
			} else {
				time.Sleep(20 * time.Microsecond) // the target's thread needs a processor
			}
		}
	}
	if self != nil {
		self.serveFlushes()
	}
}
