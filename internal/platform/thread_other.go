//go:build !linux

package platform

// Thread is a thread of this process, of which nothing is known here.
type Thread int

func CurrentThread() Thread { return 0 }

func (Thread) Executed() int64 { return 0 }

func (Thread) Waits() bool { return true }

func Delayed() (ns int64, ok bool) { return 0, false }

func Own() (executed, waits int64) { return 0, 0 }

// MeasuresThreads tells whether Executed is exact enough to look at often.
func MeasuresThreads() bool { return false }

// ProcessExecuted is how long all threads of the process have executed, in
// nanoseconds.
func ProcessExecuted() int64 { return 0 }
