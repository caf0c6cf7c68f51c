package hart

import (
	"math"
	"testing"

	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// watched is a hart in S-mode whose engine looks at the time. It counts wake-ups.
func watched() (h *Hart, clk *fakeClock, woken *int) {
	clk, woken = &fakeClock{}, new(int)
	h = New(Config{Memory: &memory.Space{}, Clock: clk, Entropy: entropy.NewSeeded(1), Supervisor: true, Watched: true}, &recorder{})
	h.OnWake(func() { *woken++ })
	h.CSR.Mie = riscv.MipSTIP
	h.Attention.Store(0)
	return h, clk, woken
}

func TestWatch(t *testing.T) {
	h, clk, woken := watched()
	h.SetStimecmp(10)
	clk.set(10 * nsPerTick)
	if *woken != 0 {
		t.Error("the clock has a timer for a hart that executes")
	}
	for range WatchWork { // wherever it has begun to count
		h.Watch(1)
	}
	if h.Attention.Load() == 0 || !h.InterruptPending() {
		t.Fatal("time has reached stimecmp, and nobody has noticed")
	}
	h.Poll()
	h.Watch(WatchWork)
	if h.Attention.Load() != 0 {
		t.Error("it is told again of the same time")
	}
	h.SetStimecmp(20)
	if h.InterruptPending() {
		t.Error("a time that is to come has come")
	}
	for _, v := range []uint64{math.MaxUint64, math.MaxUint64 / 2} { // in nanoseconds no number
		h.Attention.Store(0)
		h.SetStimecmp(v)
		h.Watch(WatchWork)
		h.Sleep()
		h.Awake()
		if h.Attention.Load() != 0 || *woken != 0 {
			t.Errorf("stimecmp %#x is reached", v)
		}
	}
}

func TestSleep(t *testing.T) {
	h, clk, woken := watched()
	h.SetStimecmp(10)
	h.Sleep()
	clk.set(10*nsPerTick - 1)
	if *woken != 0 {
		t.Error("woken before stimecmp")
	}
	clk.set(10 * nsPerTick)
	if *woken != 1 || h.Attention.Load() == 0 || !h.InterruptPending() {
		t.Error("not woken at stimecmp")
	}
	h.Awake()
	h.SetStimecmp(20)
	h.Sleep()
	h.Awake()
	clk.set(30 * nsPerTick)
	if *woken != 1 {
		t.Error("woken though it does not sleep any more")
	}
	h.SetStimecmp(40)
	clk.set(50 * nsPerTick)
	h.Sleep() // the time has come before
	clk.set(51 * nsPerTick)
	if *woken != 2 {
		t.Error("it sleeps through a time that has come before it slept")
	}
	h.Awake()
	h.Sleep()
	clk.set(52 * nsPerTick)
	if *woken != 2 {
		t.Error("woken twice for one time")
	}
}
