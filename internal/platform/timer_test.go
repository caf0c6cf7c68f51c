package platform

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const patience = time.Minute

func within(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in %v there was no %s", patience, what)
		}
	}
}

// A timer calls once for each Reset, not early, and not when it is stopped.
func TestTimer(t *testing.T) {
	before := runtime.NumGoroutine()
	var calls atomic.Int32
	var early atomic.Bool
	var from atomic.Int64
	const after = 3 * time.Millisecond
	epoch := time.Now()
	timer := NewTimer(func() {
		if int64(time.Since(epoch))-from.Load() < int64(after) {
			early.Store(true)
		}
		calls.Add(1)
	})
	timer.Stop()
	for n := range int32(20) {
		from.Store(int64(time.Since(epoch)))
		timer.Reset(after)
		within(t, "call", func() bool { return calls.Load() == n+1 })
	}
	if early.Load() {
		t.Error("it was early")
	}
	timer.Reset(time.Hour)
	timer.Reset(1<<63 - 1)
	timer.Stop()
	timer.Reset(-1)
	within(t, "call for a time in the past", func() bool { return calls.Load() == 21 })
	within(t, "end of the goroutine when no timer waits", func() bool { return runtime.NumGoroutine() <= before })
	if n := calls.Load(); n != 21 {
		t.Errorf("%d calls, want 21", n)
	}
}

// Timers call in the order of their times, whoever resets and stops them.
func TestTimers(t *testing.T) {
	var wg sync.WaitGroup
	var calls atomic.Int64
	for g := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 1))
			var all [40]*Timer
			var fired [len(all)]atomic.Int64
			for i := range all {
				all[i] = NewTimer(func() { fired[i].Add(1); calls.Add(1) })
			}
			for range 4000 {
				n := r.IntN(len(all))
				if r.IntN(3) == 0 {
					all[n].Stop()
				} else {
					all[n].Reset(time.Duration(r.Int64N(int64(2 * time.Millisecond))))
				}
			}
			for i, timer := range all {
				was := fired[i].Load()
				timer.Reset(time.Duration(r.Int64N(int64(20 * time.Millisecond))))
				within(t, "call of each timer", func() bool { return fired[i].Load() > was })
			}
		})
	}
	wg.Wait()
	if calls.Load() == 0 {
		t.Error("no calls")
	}
}

// How late timers are, beside Go's own. Half of these at least must not be later
// than the ones they stand in for.
func TestTimerIsExact(t *testing.T) {
	const rounds, after = 60, 1300 * time.Microsecond
	called := make(chan time.Time, 1)
	fn := func() { called <- time.Now() }
	exact, plain := NewTimer(fn), time.AfterFunc(time.Hour, fn)
	plain.Stop()
	median := func(reset func(time.Duration)) time.Duration {
		var late []time.Duration
		for range rounds {
			start := time.Now()
			reset(after)
			late = append(late, (<-called).Sub(start)-after)
		}
		slices.Sort(late)
		return late[len(late)/2]
	}
	for try := 0; ; try++ {
		a, b := median(exact.Reset), median(func(d time.Duration) { plain.Reset(d) })
		t.Logf("half of the timers are %v late, %v of Go's own", a, b)
		if a <= b {
			return
		}
		if try == 5 {
			t.Fatal("these are later")
		}
	}
}
