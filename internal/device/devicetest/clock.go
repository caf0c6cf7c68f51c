package devicetest

import (
	"sync"
	"time"

	"doppel/internal/clock"
)

// Clock is a clock.Clock that moves only when told to. Timers run inside
// Advance, on its caller's goroutine.
type Clock struct {
	mu     sync.Mutex
	now    uint64
	timers map[*timer]struct{}
}

// NewClock returns a clock at zero.
func NewClock() *Clock { return &Clock{timers: map[*timer]struct{}{}} }

func (c *Clock) Now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wall begins at some day of the year 2024.
func (c *Clock) Wall() time.Time { return time.Unix(1_717_000_000, int64(c.Now())) }

func (c *Clock) NewTimer(fn func()) clock.Timer { return &timer{clock: c, fn: fn} }

// Advance lets d nanoseconds pass.
func (c *Clock) Advance(d uint64) {
	c.mu.Lock()
	end := c.now + d
	for {
		var next *timer
		for t := range c.timers {
			if t.deadline <= end && (next == nil || t.deadline < next.deadline) {
				next = t
			}
		}
		if next == nil {
			break
		}
		delete(c.timers, next)
		c.now = max(c.now, next.deadline)
		c.mu.Unlock()
		next.fn()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}

type timer struct {
	clock    *Clock
	fn       func()
	deadline uint64
}

func (t *timer) Arm(deadline uint64) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	// A deadline that has passed expires with the next nanosecond: an expiry
	// that arms again for now must not hold time up.
	t.deadline = max(deadline, t.clock.now+1)
	t.clock.timers[t] = struct{}{}
}

func (t *timer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
}
