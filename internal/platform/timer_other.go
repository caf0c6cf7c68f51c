//go:build !linux

package platform

import "time"

// Timer calls a function on a goroutine of its own after a time.
type Timer struct{ plain *time.Timer }

// NewTimer returns a timer that is stopped.
func NewTimer(fn func()) *Timer {
	t := time.AfterFunc(time.Hour, fn)
	t.Stop()
	return &Timer{t}
}

func (t *Timer) Reset(d time.Duration) { t.plain.Reset(d) }
func (t *Timer) Stop()                 { t.plain.Stop() }
