package clock

import (
	"math"
	"sync"
	"time"

	"doppel/internal/platform"
	"doppel/internal/state"
)

// Host is a Clock that follows the host's monotonic clock. It starts paused
// at zero.
type Host struct {
	mu     sync.Mutex
	base   uint64    // guest time at the last Resume, or now if paused
	start  time.Time // host time of the last Resume; zero if paused
	timers map[*hostTimer]struct{}
}

// NewHost returns a paused clock at zero.
func NewHost() *Host { return &Host{timers: map[*hostTimer]struct{}{}} }

func (h *Host) Now() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now()
}

func (h *Host) now() uint64 {
	if h.start.IsZero() {
		return h.base
	}
	return h.base + uint64(time.Since(h.start))
}

func (h *Host) Wall() time.Time { return time.Now() }

// Pause stops time. Pausing a paused clock does nothing.
func (h *Host) Pause() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.start.IsZero() {
		return
	}
	h.base = h.now()
	h.start = time.Time{}
	for t := range h.timers {
		t.host.Stop()
	}
}

// Resume lets time run on.
func (h *Host) Resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.start.IsZero() {
		return
	}
	h.start = time.Now()
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
	if !h.start.IsZero() {
		d.Failf("clock is running")
		return d.Err()
	}
	h.base = base
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
	if !t.clock.start.IsZero() {
		t.schedule()
	}
}

// schedule sets the host timer; the clock runs and its lock is held.
func (t *hostTimer) schedule() {
	var wait uint64
	if now := t.clock.now(); t.deadline > now {
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
	due := armed && !t.clock.start.IsZero() && t.clock.now() >= t.deadline
	if due {
		delete(t.clock.timers, t)
	} else if armed && !t.clock.start.IsZero() {
		t.schedule()
	}
	t.clock.mu.Unlock()
	if due {
		t.fn()
	}
}
