// Package clock gives a machine its time. No device or engine asks the host
// for the time: all of it comes through the machine's Clock, so that a machine
// can run on host time or on counted instructions, and so that time stands
// still while the machine is paused.
//
// Any goroutine may use a Clock. Timer functions run on a goroutine of the
// clock, holding none of its locks; they must not block.
package clock

import "time"

// Clock is a machine's source of time.
type Clock interface {
	// Now is the guest's time in nanoseconds since the machine's start. It
	// never goes back, and stands still while the machine is paused.
	Now() uint64
	// Wall is the wall-clock time that a real-time clock shows.
	Wall() time.Time
	// NewTimer makes a stopped timer that calls fn when it expires.
	NewTimer(fn func()) Timer
}

// Timer is armed with an absolute time of its clock. Expiry may be late but
// never early; fn is called at most once for each Arm, and may still be called
// shortly after Stop or a new Arm, so fn must look at the state it serves.
type Timer interface {
	// Arm sets the timer to expire at deadline (nanoseconds of Clock.Now).
	Arm(deadline uint64)
	Stop()
}
