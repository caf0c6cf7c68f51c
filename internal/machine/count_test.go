package machine

import (
	"sync"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/jit"
)

func counter(cs []cpu.Count, name string) (v uint64, ok bool) {
	for _, c := range cs {
		if c.Name == name {
			return c.N, true
		}
	}
	return 0, false
}

// TestAskedCounts: counts are to be had at all times, by several at once, while
// the vCPUs run, wait, are paused, and after the end; they never fall.
func TestAskedCounts(t *testing.T) {
	if !jit.Available() {
		t.Skip("the translator is missing on this host")
	}
	cfg := bare(t, digits)
	cfg.CPUs = 2 // of which one halts at its start or spins
	m, _, ended := start(t, cfg)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			last := uint64(0)
			for range 50 {
				all := m.Counts()
				if len(all) != 2 {
					t.Errorf("counts of %d vCPUs", len(all))
					return
				}
				n, ok := counter(all[0], "TLB misses of fetches")
				if !ok || n < last {
					t.Errorf("fetches missed the TLB %d times after %d, there %v", n, last, ok)
					return
				}
				last = n
			}
		})
	}
	wg.Wait()
	if n, _ := counter(m.Counts()[0], "TLB misses of fetches"); n == 0 {
		t.Error("no fetch has missed the TLB")
	}
	if err := m.Pause(); err != nil {
		t.Fatal(err)
	}
	if _, ok := counter(m.Counts()[1], "fence.i"); !ok {
		t.Error("no counts of a paused machine")
	}
	if err := m.Resume(); err != nil {
		t.Fatal(err)
	}
	m.Counts()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, ok := counter(m.Counts()[0], "fence.i"); !ok {
		t.Error("no counts of a machine that has ended")
	}
}
