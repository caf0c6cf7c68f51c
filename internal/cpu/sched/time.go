package sched

import (
	"time"

	"doppel/internal/platform"
)

// Time is where a Scheduler has its time and its timers from.
type Time interface {
	// Now is in nanoseconds, and never goes back.
	Now() int64
	// NewTimer makes a stopped timer that calls fn on a goroutine of its own.
	NewTimer(fn func()) Timer
}

// Timer calls its function once for each Reset, perhaps late, and perhaps
// still after another Reset or Stop.
type Timer interface {
	Reset(after int64)
	Stop()
}

// HostTime is the host's monotonic clock.
func HostTime() Time { return hostTime{time.Now()} }

type hostTime struct{ start time.Time }

func (h hostTime) Now() int64 { return int64(time.Since(h.start)) }

func (h hostTime) NewTimer(fn func()) Timer { return hostTimer{platform.NewTimer(fn)} }

type hostTimer struct{ t *platform.Timer }

func (t hostTimer) Reset(after int64) { t.t.Reset(time.Duration(after)) }
func (t hostTimer) Stop()             { t.t.Stop() }
