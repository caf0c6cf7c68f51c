package virtio

// Place is where a worker works: a processor, of which its machine has a share.
// It belongs to one goroutine, on which all methods are called.
type Place interface {
	// Take waits for a processor.
	Take()
	// Asked tells whether somebody else is to have it.
	Asked() bool
	// Give gives it back, if there is one.
	Give()
	// Settle ends a turn after Give: what the worker has done since is its
	// machine's too.
	Settle()
	Close()
}

// Turn is a worker's time on a place, for one or several steps.
type Turn struct {
	place Place // nil: there is room for everybody
	left  bool
}

func (t *Turn) take() {
	t.left = false
	if t.place != nil {
		t.place.Take()
	}
}

// over tells whether the worker is to leave.
func (t *Turn) over() bool { return t.place != nil && (t.left || t.place.Asked()) }

// Pass is called in the middle of a long step, with no lock held. It lets others
// have the place who deserve it more.
func (t *Turn) Pass() {
	if t.over() {
		t.Leave()
		t.take()
	}
}

// Leave gives the place back before the step ends, because the worker is going
// to wait for the host. What it does until the step ends is charged afterwards.
func (t *Turn) Leave() {
	t.left = true
	if t.place != nil {
		t.place.Give()
	}
}

// end is after the last step.
func (t *Turn) end() {
	t.Leave()
	if t.place != nil {
		t.place.Settle()
	}
}

func (t *Turn) close() {
	if t.place != nil {
		t.place.Close()
	}
}
