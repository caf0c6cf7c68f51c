package clock

import (
	"sync/atomic"
	"testing"
	"time"

	"doppel/internal/state"
)

func TestPausedClockStandsStill(t *testing.T) {
	h := NewHost()
	if h.Now() != 0 {
		t.Fatalf("a new clock shows %d, want 0", h.Now())
	}
	h.Resume()
	for h.Now() == 0 {
	}
	h.Pause()
	a := h.Now()
	time.Sleep(time.Millisecond)
	if b := h.Now(); a != b {
		t.Errorf("paused clock went from %d to %d", a, b)
	}
}

func TestTimerIsNeverEarly(t *testing.T) {
	h := NewHost()
	fired := make(chan uint64, 1)
	timer := h.NewTimer(func() { fired <- h.Now() })
	deadline := uint64(2 * time.Millisecond)
	timer.Arm(deadline)
	select {
	case <-fired:
		t.Fatal("fired while the clock was paused")
	case <-time.After(5 * time.Millisecond):
	}
	h.Resume()
	if at := <-fired; at < deadline {
		t.Errorf("fired at %d, before its deadline %d", at, deadline)
	}
}

func TestTimerRearmAndStop(t *testing.T) {
	h := NewHost()
	h.Resume()
	var n atomic.Int32
	done := make(chan struct{}, 8)
	timer := h.NewTimer(func() { n.Add(1); done <- struct{}{} })
	timer.Arm(h.Now() + uint64(time.Hour))
	timer.Arm(0) // already past
	<-done
	timer.Arm(h.Now() + uint64(20*time.Millisecond))
	timer.Stop()
	time.Sleep(40 * time.Millisecond)
	if n.Load() != 1 {
		t.Errorf("fired %d times, want once", n.Load())
	}
	timer.Arm(^uint64(0)) // must neither overflow nor fire
	time.Sleep(5 * time.Millisecond)
	if n.Load() != 1 {
		t.Error("fired at a deadline in the far future")
	}
}

func TestSaveRestore(t *testing.T) {
	h := NewHost()
	h.Resume()
	for h.Now() == 0 {
	}
	h.Pause()
	saved := state.SaveAll([]state.Component{h})
	fresh := NewHost()
	if err := state.RestoreAll([]state.Component{fresh}, saved); err != nil {
		t.Fatal(err)
	}
	if fresh.Now() != h.Now() {
		t.Errorf("restored %d, want %d", fresh.Now(), h.Now())
	}
	fresh.Resume()
	if err := state.RestoreAll([]state.Component{fresh}, saved); err == nil {
		t.Error("restored a running clock")
	}
}
