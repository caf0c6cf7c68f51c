package platform

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTimerHeap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h timers
	var all [30]Timer
	for i := range all {
		all[i].index = -1
	}
	in := map[*Timer]bool{}
	for range 5000 {
		timer := &all[r.IntN(len(all))]
		h.remove(timer)
		delete(in, timer)
		if r.IntN(3) > 0 {
			timer.at = time.Duration(r.IntN(50))
			h.push(timer)
			in[timer] = true
		}
		if len(h) != len(in) {
			t.Fatalf("%d timers in the heap, want %d", len(h), len(in))
		}
		for i, timer := range h {
			if timer.index != i || !in[timer] || timer.at < h[0].at {
				t.Fatalf("entry %d is wrong", i)
			}
		}
	}
}
