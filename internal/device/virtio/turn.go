package virtio

// Place is where a worker works: a processor, of which its machine has a share.
// It belongs to one goroutine, on which all methods but Wake are called.
type Place interface {
	// Rest returns when the worker has been woken, by Wake or by a value from
	// woken. After Wake it has a processor, as after Take.
	Rest(woken <-chan struct{})
	// Wake asks for a processor for a worker that is about to Rest, or does so:
	// it comes back when it can work, and not once before. False: there is no
	// need to ask. Any goroutine may call it, once for each Rest, until Close.
	Wake() bool
	// Take waits for a processor, unless there is one.
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
	place Place         // nil: there is room for everybody
	left  bool          // the place was given back
	woken chan struct{} // one value may wait
}

// rest waits for wake, or for a value in woken.
func (t *Turn) rest() {
	t.left = false
	if t.place != nil {
		t.place.Rest(t.woken)
	} else {
		<-t.woken
	}
}

// wake ends the worker's rest. Any goroutine may call it, once for each rest.
func (t *Turn) wake() {
	if t.place == nil || !t.place.Wake() {
		t.stir()
	}
}

// stir ends the worker's rest though it may have no processor.
func (t *Turn) stir() {
	select {
	case t.woken <- struct{}{}:
	default:
	}
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
