package hart

import "math/bits"

// never is a time that does not come.
const never = ^uint64(0)

// WatchWork is how much work an engine does between two looks at the time. It
// calls Watch with a share of that, about one for each microsecond or less.
const WatchWork = 64

// await has somebody tell when time reaches stimecmp, unless it has. A time that
// the clock cannot count to is never reached.
func (h *Hart) await() {
	h.due = never
	if hi, due := bits.Mul64(h.CSR.Stimecmp, nsPerTick); hi == 0 && !h.stip {
		h.due = due
	}
	switch {
	case h.cfg.Watched: // by the engine, or Sleep
	case h.due == never:
		h.timer.Stop()
	default:
		h.timer.Arm(h.due)
	}
}

// Watch is told of work that the hart has done, and looks at the time when that
// comes to WatchWork. On the hart's own goroutine.
func (h *Hart) Watch(work int32) {
	if h.watch -= work; h.watch <= 0 {
		h.look()
	}
}

func (h *Hart) look() {
	h.watch = WatchWork
	if h.cfg.Watched && h.due != never && h.cfg.Clock.Now() >= h.due {
		h.due = never
		h.attend(attnTimer)
	}
}

// Watched is Config's.
func (h *Hart) Watched() bool { return h.cfg.Watched }

// Sleep is called on the hart's own goroutine before it waits to be woken, if
// the hart is Watched: the clock wakes it when time reaches stimecmp.
func (h *Hart) Sleep() {
	if h.cfg.Watched && h.due != never {
		h.armed = true
		h.timer.Arm(h.due)
	}
}

// Awake ends Sleep. Of one time a hart is told once: it may go on sleeping, with
// the interrupt disabled.
func (h *Hart) Awake() {
	if h.armed {
		h.armed = false
		h.timer.Stop()
		h.look()
	}
}
