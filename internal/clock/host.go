package clock

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"doppel/internal/platform"
	"doppel/internal/state"
)

// Host is a Clock that follows the host's monotonic clock. It starts paused
// at zero.
type Host struct {
	// span is read without the lock, since all vCPUs look at the time all the
	// time. It is nil while it changes, which is with the lock.
	span atomic.Pointer[span]

	mu     sync.Mutex // for changes of span, and timers
	timers map[*hostTimer]struct{}
}

// span is what time is counted from. It does not change.
type span struct {
	base  uint64    // guest time at the last Resume, or now if paused
	start time.Time // host time of the last Resume; zero if paused
}

// NewHost returns a paused clock at zero.
func NewHost() *Host {
	h := &Host{timers: map[*hostTimer]struct{}{}}
	h.span.Store(&span{})
	return h
}

// Now is for Clock. What is read in a span is no later than its end, which comes
// after the span has been taken away.
func (h *Host) Now() uint64 {
	for {
		s := h.span.Load()
		if s == nil {
			s = h.settled()
		}
		if now := s.now(); h.span.Load() == s {
			return now
		}
	}
}

// settled is the span after a change that is under way.
func (h *Host) settled() *span {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.span.Load()
}

// change puts another span in place of the present one. The lock is held.
func (h *Host) change(next func(now uint64) span) {
	s := next(h.span.Swap(nil).now())
	h.span.Store(&s)
}

func (s *span) paused() bool { return s.start.IsZero() }

func (s *span) now() uint64 {
	if s.paused() {
		return s.base
	}
	return s.base + uint64(time.Since(s.start))
}

func (h *Host) Wall() time.Time { return time.Now() }

// Pause stops time. Pausing a paused clock does nothing.
func (h *Host) Pause() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.span.Load().paused() {
		return
	}
	h.change(func(now uint64) span { return span{base: now} })
	for t := range h.timers {
		t.host.Stop()
	}
}

// Resume lets time run on.
func (h *Host) Resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.span.Load().paused() {
		return
	}
	h.change(func(now uint64) span { return span{now, time.Now()} })
	for t := range h.timers {
		t.schedule()
	}
}

func (h *Host) NewTimer(fn func()) Timer {
	t := &hostTimer{clock: h, fn: fn}
	t.host = platform.NewTimer(t.expire)
	return t
}

func (h *Host) StateName() string    { return "clock" }
func (h *Host) StateVersion() uint32 { return 1 }

func (h *Host) Save(e *state.Encoder) { e.U64(h.Now()) }

// Restore sets the time of a paused clock. Timers belong to their devices,
// which arm them again.
func (h *Host) Restore(d *state.Decoder, _ uint32) error {
	base := d.U64()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.span.Load().paused() {
		d.Failf("clock is running")
		return d.Err()
	}
	h.change(func(uint64) span { return span{base: base} })
	return d.Err()
}

type hostTimer struct {
	clock    *Host
	fn       func()
	host     *platform.Timer
	deadline uint64
}

func (t *hostTimer) Arm(deadline uint64) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.deadline = deadline
	t.clock.timers[t] = struct{}{}
	if !t.clock.span.Load().paused() {
		t.schedule()
	}
}

// schedule sets the host timer; the clock runs and its lock is held.
func (t *hostTimer) schedule() {
	var wait uint64
	if now := t.clock.Now(); t.deadline > now {
		wait = min(t.deadline-now, math.MaxInt64/2)
	}
	t.host.Reset(time.Duration(wait))
}

func (t *hostTimer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
	t.host.Stop()
}

func (t *hostTimer) expire() {
	t.clock.mu.Lock()
	_, armed := t.clock.timers[t]
	runs := !t.clock.span.Load().paused()
	due := armed && runs && t.clock.Now() >= t.deadline
	if due {
		delete(t.clock.timers, t)
	} else if armed && runs {
		t.schedule()
	}
	t.clock.mu.Unlock()
	if due {
		t.fn()
	}
}
