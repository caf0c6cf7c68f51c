package machine

import (
	"testing"
	"time"
)

// TestIdleness: memory is given back after half a minute of little work, once,
// and again when there was work in between.
func TestIdleness(t *testing.T) {
	const busy, quiet = 50 * idleRate, 55_000 // instructions a second
	var i idleness
	now, insns, trims := uint64(0), uint64(0), 0
	live := func(seconds int, rate uint64, halts int) {
		for range seconds * halts {
			now += uint64(time.Second) / uint64(halts)
			insns += rate / uint64(halts)
			if i.halted(now, insns) {
				trims++
			}
		}
	}
	for _, c := range []struct {
		what    string
		seconds int
		rate    uint64
		want    int
	}{
		{"work", 60, busy, 0},
		{"a short rest", 25, quiet, 0},
		{"work again", 20, busy, 0},
		{"a long rest", 60, quiet, 1},
		{"a longer one", 3600, quiet, 1},
		{"work in between", 15, busy, 1},
		{"rest", 60, quiet, 2},
	} {
		if live(c.seconds, c.rate, 4); trims != c.want {
			t.Errorf("after %s: %d times, want %d", c.what, trims, c.want)
		}
	}
	i, now, insns = idleness{}, 0, 0
	if i.halted(uint64(time.Hour), 1000) != true {
		t.Error("who has slept for an hour keeps everything")
	}
}
