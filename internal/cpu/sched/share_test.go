package sched

import (
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseCap(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "50%": 500, "1%": 10, "150%": 1500, "1": 1000, "1.5": 1500, "0.25": 250, "12.5%": 125, ".5": 500,
		"0": -1, "0%": -1, "%": -1, "x": -1, "-1": -1, "+1": -1, "1e3": -1, "inf": -1, "NaN": -1, "0x1p4": -1,
		"1_0": -1, "50 %": -1, "50%%": -1, "99999999999999999999": -1, "0.0001": -1,
	} {
		got, err := ParseCap(text)
		if want < 0 != (err != nil) || err == nil && got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseCPUs(t *testing.T) {
	for text, want := range map[string][]int{
		"": nil, "0": {0}, "0,1": {0, 1}, "0-3": {0, 1, 2, 3}, "5,0-1": {0, 1, 5}, "1,1": {1}, "3-3": {3},
	} {
		if got, err := ParseCPUs(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{",", "0,", "a", "-1", "1-", "3-1", "0-99999999", "8192", "1-2-3", " 1"} {
		if got, err := ParseCPUs(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	for want, cpus := range map[string][]int{"": nil, "0": {0}, "0-1": {0, 1}, "0,2-4,9": {0, 2, 3, 4, 9}} {
		if got := FormatCPUs(cpus); got != want {
			t.Errorf("%v: %q, want %q", cpus, got, want)
		}
	}
}

func TestChecks(t *testing.T) {
	s := New([]int{0, 2}, HostTime())
	for _, c := range []struct{ got, want string }{
		{CheckWeight(0), ""}, {CheckWeight(1), ""}, {CheckWeight(MaxWeight), ""},
		{CheckWeight(-1), "1 to 10000"}, {CheckWeight(MaxWeight + 1), "1 to 10000"},
		{CheckCap(0, 1), ""}, {CheckCap(10, 1), ""}, {CheckCap(1000, 1), ""}, {CheckCap(8000, 8), ""},
		{CheckCap(9, 1), "1% to 100%"}, {CheckCap(1001, 1), "1% to 100%"}, {CheckCap(2001, 2), "200%"},
		{s.CheckAffinity(nil), ""}, {s.CheckAffinity([]int{2, 0}), ""}, {s.CheckAffinity([]int{0, 1}), "no processor 1"},
	} {
		if c.want == "" != (c.got == "") || !strings.Contains(c.got, c.want) {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestGoroutines: real goroutines on two processors: never more than two at a
// time, none starves, none is lost.
func TestGoroutines(t *testing.T) {
	s := New([]int{0, 1}, HostTime())
	var inside, most atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	rounds := make([]int, 12)
	for i := range rounds {
		share := Share{Weight: 50 + 50*(i%3)}
		if i%4 == 3 {
			share.Cap = 700
		}
		g := s.NewGroup(share)
		v := g.NewVCPU(share, func() {})
		wg.Go(func() {
			defer g.Close()
			defer v.Close()
			for {
				v.Ready()
				<-v.Granted()
				for work := time.Now(); time.Since(work) < time.Duration(i)*100*time.Microsecond; {
					if n := inside.Add(1); n > most.Load() {
						most.Store(n)
					}
					for range 100 {
					}
					inside.Add(-1)
					if v.GiveWay() && !v.Yield() || i%2 == 0 && g.Waiting() && !v.YieldToSibling() {
						<-v.Granted()
					}
				}
				rounds[i]++
				v.Block()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	wg.Wait()
	if n := most.Load(); n > 2 {
		t.Errorf("%d at a time", n)
	}
	for i, n := range rounds {
		if n == 0 {
			t.Errorf("goroutine %d never came to an end", i)
		}
	}
	if n := s.waiting.Load(); n != 0 {
		t.Errorf("%d wait still", n)
	}
}

// BenchmarkAlone is a vCPU that blocks and wakes, with nobody else there.
func BenchmarkAlone(b *testing.B) {
	s := New([]int{0, 1}, HostTime())
	v := s.NewGroup(Share{}).NewVCPU(Share{}, func() {})
	for b.Loop() {
		v.Ready()
		<-v.Granted()
		v.Block()
	}
}

// BenchmarkHandOver is two that take turns on one processor.
func BenchmarkHandOver(b *testing.B) {
	s := New([]int{0}, HostTime())
	g := s.NewGroup(Share{})
	var stop atomic.Bool
	var wg sync.WaitGroup
	v, u := g.NewVCPU(Share{}, func() {}), g.NewVCPU(Share{}, func() {})
	v.Ready()
	<-v.Granted()
	wg.Go(func() {
		u.Ready()
		<-u.Granted()
		for !stop.Load() {
			if !u.YieldToSibling() {
				<-u.Granted()
			}
		}
		u.Block()
	})
	for !g.Waiting() {
		time.Sleep(time.Millisecond)
	}
	for b.Loop() {
		if !v.YieldToSibling() {
			<-v.Granted()
		}
	}
	stop.Store(true)
	v.Block()
	wg.Wait()
}
