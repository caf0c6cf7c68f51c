package check

import (
	"sync/atomic"
	"time"

	"doppel/internal/clock"
	"doppel/internal/entropy"
	"doppel/internal/riscv/hart"
)

// nsPerInst is how long an instruction takes within a period: less than it
// does in truth, so that time need not wait for the truth often.
const nsPerInst = 4

// periodClock is the time that an engine sees: that of the period's start, and
// the instructions since.
type periodClock struct {
	h    *hart.Hart
	base uint64
	from uint64 // Instret at the period's start
	rate uint64 // nanoseconds an instruction
}

func (c *periodClock) Now() uint64 {
	if c.h == nil || c.h.Instret < c.from { // before the first period, or in a Reset
		return c.base
	}
	return c.base + (c.h.Instret-c.from)*c.rate
}

func (c *periodClock) Wall() time.Time             { return time.Time{} }
func (c *periodClock) NewTimer(func()) clock.Timer { return noTimer{} }

// noTimer never expires: the machine's own hart has the timer.
type noTimer struct{}

func (noTimer) Arm(uint64) {}
func (noTimer) Stop()      {}

// floorClock is the machine's clock, but not before what a period has shown.
type floorClock struct {
	clock.Clock
	floor atomic.Uint64
}

func (c *floorClock) Now() uint64 { return max(c.Clock.Now(), c.floor.Load()) }

// reach waits, within reason, until the machine's clock is at now, and never
// goes back behind that.
func (c *floorClock) reach(now uint64) {
	if truth := c.Clock.Now(); now > truth {
		time.Sleep(min(time.Duration(now-truth), time.Millisecond))
	}
	c.floor.Store(max(now, c.floor.Load()))
}

// tape holds the random bytes of a period, so that both engines read the same.
type tape struct {
	source entropy.Source
	bytes  []byte
}

// reader is one engine's place on the tape.
type reader struct {
	tape *tape
	at   int
}

func (r *reader) Fill(p []byte) {
	if end := r.at + len(p); end > len(r.tape.bytes) {
		more := make([]byte, end-len(r.tape.bytes))
		r.tape.source.Fill(more)
		r.tape.bytes = append(r.tape.bytes, more...)
	}
	r.at += copy(p, r.tape.bytes[r.at:])
}
