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

// TestAllowance: who does little stays calm, who does much does not, and is calm
// again after a rest.
func TestAllowance(t *testing.T) {
	var a allowance
	now, insns := uint64(0), uint64(0)
	live := func(seconds int, rate, wakeUps uint64) {
		for range uint64(seconds) * wakeUps {
			now += uint64(time.Second) / wakeUps
			a.woken(now, insns)
			insns += rate / wakeUps
		}
		a.spend(insns)
	}
	if live(1, 100*allowanceRate, 100); a.calm {
		t.Error("calm at its start, without a rest")
	}
	if live(4, allowanceRate/10, 5); !a.calm {
		t.Error("not calm after some seconds of little work")
	}
	if live(600, allowanceRate*9/10, 250); !a.calm {
		t.Error("not calm though it does less than it is allowed")
	}
	if live(8, allowanceRate*3/2, 250); a.calm {
		t.Error("calm though it does more than it is allowed")
	}
	if live(60, allowanceRate*3/2, 250); a.calm {
		t.Error("calm again though it still does more")
	}
	live(4, allowanceRate/10, 5)
	if a.spend(insns + 10*maxAllowance); a.calm || a.left != 0 {
		t.Error("calm after much work at once")
	}
	now += 1 << 63 // no overflow
	if a.woken(now, insns+10*maxAllowance); !a.calm || a.left != maxAllowance {
		t.Error("not calm after a very long rest")
	}
}
