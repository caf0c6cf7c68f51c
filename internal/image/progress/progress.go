// Package progress is how long work tells how far it is. It draws nothing: a front end implements Progress.
package progress

import "fmt"

// Unit says what a task counts.
type Unit int

// The units.
const (
	Bytes Unit = iota
	Items
)

// String names the unit.
func (u Unit) String() string {
	switch u {
	case Bytes:
		return "bytes"
	case Items:
		return "items"
	}
	return fmt.Sprintf("Unit(%d)", int(u))
}

// Progress is told of tasks. Its methods and those of its tasks may be called from several goroutines at once.
type Progress interface {
	// Start begins a task. A total of zero is not known.
	Start(name string, total int64, unit Unit) Task
}

// Task is one piece of work under way.
type Task interface {
	// Advance counts n more done. After an attempt that failed it may be negative.
	Advance(n int64)
	// Finish ends the task; err is nil when it is complete. It is called exactly once.
	Finish(err error)
}

// None is told and says nothing.
type None struct{}

// Start gives a task that counts nothing.
func (None) Start(string, int64, Unit) Task { return noTask{} }

type noTask struct{}

func (noTask) Advance(int64) {}
func (noTask) Finish(error)  {}
