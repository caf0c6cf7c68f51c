package machine

import "fmt"

// Status is where a machine is in its life.
type Status uint8

const (
	Created Status = iota // built, nothing has run
	Running               // vCPUs run
	Paused                // vCPUs stand still, time too
	Stopped               // the guest has ended, or a host failure has
	Closed                // everything is released
)

func (s Status) String() string {
	names := [...]string{"created", "running", "paused", "stopped", "closed"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// action is what a caller or the guest asks of a machine.
type action uint8

const (
	actRun action = iota
	actPause
	actResume
	actReset
	actSave
	actRestore
	actStop
	actClose
)

func (a action) String() string {
	names := [...]string{"run", "pause", "resume", "reset", "save", "restore", "stop", "close"}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// transitions tells which status an action leads to; what is not listed is
// not allowed. Reset and save leave the status as it is.
var transitions = map[action]map[Status]Status{
	actRun:     {Created: Running},
	actPause:   {Running: Paused, Paused: Paused},
	actResume:  {Paused: Running, Running: Running},
	actReset:   {Running: Running, Paused: Paused, Created: Created},
	actSave:    {Created: Created, Paused: Paused, Stopped: Stopped},
	actRestore: {Created: Created},
	actStop:    {Running: Stopped, Paused: Stopped, Created: Stopped, Stopped: Stopped},
	actClose:   {Created: Closed, Running: Closed, Paused: Closed, Stopped: Closed, Closed: Closed},
}

// StatusError says that an action is not allowed now.
type StatusError struct {
	Action string
	Status Status
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("cannot %s a machine that is %s", e.Action, e.Status)
}

func (s Status) after(a action) (Status, error) {
	if next, ok := transitions[a][s]; ok {
		return next, nil
	}
	return s, &StatusError{a.String(), s}
}
