package machine

import (
	"errors"
	"testing"
)

// TestTransitions pins which action is allowed when, and where it leads.
func TestTransitions(t *testing.T) {
	const no = Status(255)
	for a, want := range map[action][5]Status{
		//           created  running  paused   stopped  closed
		actRun:     {Running, no, no, no, no},
		actPause:   {no, Paused, Paused, no, no},
		actResume:  {no, Running, Running, no, no},
		actReset:   {Created, Running, Paused, no, no},
		actSave:    {Created, no, Paused, Stopped, no},
		actRestore: {Created, no, no, no, no},
		actStop:    {Stopped, Stopped, Stopped, Stopped, no},
		actClose:   {Closed, Closed, Closed, Closed, Closed},
	} {
		for s := Created; s <= Closed; s++ {
			got, err := s.after(a)
			var statusErr *StatusError
			switch {
			case want[s] == no && (!errors.As(err, &statusErr) || got != s):
				t.Errorf("%s when %s: %s, %v; want a StatusError", a, s, got, err)
			case want[s] != no && (err != nil || got != want[s]):
				t.Errorf("%s when %s: %s, %v; want %s", a, s, got, err, want[s])
			}
		}
	}
}
