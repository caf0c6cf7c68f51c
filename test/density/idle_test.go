package density

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doppel"
	"doppel/internal/cpu"
	"doppel/test/guest"
)

// processorTime is what the process has used of the processors.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Skipf("the host does not tell what a process uses: %v", err)
	}
	var user, system int64
	rest := string(b[bytes.LastIndexByte(b, ')')+2:])
	if f := strings.Fields(rest); len(f) > 12 {
		user, _ = strconv.ParseInt(f[11], 10, 64)
		system, _ = strconv.ParseInt(f[12], 10, 64)
	}
	const tick = 10 * time.Millisecond // of USER_HZ
	return time.Duration(user+system) * tick
}

// idleMachines is how many there are; DOPPEL_IDLE changes it.
func idleMachines(t *testing.T) int {
	s := os.Getenv("DOPPEL_IDLE")
	if s == "" {
		return 40
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("DOPPEL_IDLE is %q", s)
	}
	return n
}

// leastIdle is what part of a processor an idle machine may use in any case: 200
// of them use 5%.
const leastIdle = .05 / 200

// yardstick is what it costs a goroutine to wake up and touch as much memory as
// a kernel does then, on this host as it is now: with what else runs on it.
func yardstick(t *testing.T, n int, d time.Duration) (perWakeUp time.Duration) {
	const every = 200 * time.Millisecond
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var wakeUps atomic.Int64
	for i := range n {
		wg.Go(func() {
			buf := make([]byte, mib)
			for x := uint32(i); ; wakeUps.Add(1) {
				select {
				case <-stop:
					return
				case <-time.After(every):
				}
				for range 2000 {
					x = x*1664525 + 1013904223
					buf[x%mib]++
				}
			}
		})
	}
	time.Sleep(2 * every)
	count, used := wakeUps.Load(), processorTime(t)
	time.Sleep(d)
	used = processorTime(t) - used
	count = wakeUps.Load() - count
	close(stop)
	wg.Wait()
	return used / time.Duration(max(count, 1))
}

// Machines in which nothing happens cost little more than their kernels' own
// timers: what a wake-up of one costs is compared with a goroutine's that does
// as much. A kernel executes some ten thousand instructions for it.
func TestIdle(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	// Linux looks for fragmented memory twice a second, counts pages and pressure,
	// and watches itself, unless it is told not to.
	cfg := doppel.Config{Memory: 160 * mib, Initrd: guest.Get(t).WriteInitramfs(t, guest.ShellInit), Append: "psi=0 nowatchdog"}
	first := boot(t, h, cfg)
	first.sh("echo 0 > /proc/sys/vm/compaction_proactiveness; echo 60 > /proc/sys/vm/stat_interval")
	first.sh("sleep 45") // until what that changes has come to rest
	if err := first.Pause(); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := first.Save(&saved); err != nil {
		t.Fatal(err)
	}
	first.Close()
	n := idleMachines(t)
	var all []*vm
	for range n {
		all = append(all, begin(t, h, cfg, func(m *doppel.Machine) {
			if err := m.Restore(bytes.NewReader(saved.Bytes())); err != nil {
				t.Fatal(err)
			}
		}))
	}
	halts := func() (sum, insns uint64) {
		for _, v := range all {
			s := v.Stats()
			sum += s.CPUs[0].Exits[cpu.ExitHalt]
			insns += s.Instructions()
		}
		return sum, insns
	}
	for _, v := range []*vm{all[0], all[n-1]} { // they are alive
		v.sh("true")
	}
	// What they do is translated first; on a host that is busy otherwise one
	// look may not be enough.
	for round := 1; ; round++ {
		time.Sleep(15 * time.Second)
		wakeUps, insns := halts()
		start, used := time.Now(), processorTime(t)
		time.Sleep(10 * time.Second)
		used = processorTime(t) - used
		elapsed := time.Since(start)
		wakeUps1, insns1 := halts()
		wakeUps, insns = wakeUps1-wakeUps, insns1-insns
		rate := float64(wakeUps) / elapsed.Seconds() / float64(n)
		t.Logf("%d idle machines use %.2f%% of a processor; %.1f wake-ups a second each, of %d instructions", n,
			100*float64(used)/float64(elapsed), rate, insns/max(wakeUps, 1))
		for _, v := range all {
			if err := v.Pause(); err != nil {
				t.Fatal(err)
			}
		}
		each, goroutine := used/time.Duration(max(wakeUps, 1)), yardstick(t, n, 5*time.Second)
		t.Logf("a wake-up costs %v, a goroutine's %v", each, goroutine)
		// Who wakes seldom finds nothing in the caches: the sum counts as well.
		little := float64(used) <= leastIdle*float64(n)*float64(elapsed)
		cheap := each <= 20*goroutine && os.Getenv("DOPPEL_IDLE") == "" // who asks for a number wants the sum to hold
		if (little || cheap) && rate <= 20 {
			return
		}
		if round == 4 {
			t.Fatalf("%d idle machines take %.2f%% of a processor; a wake-up costs %v, a goroutine's %v; %.1f a second", n,
				100*float64(used)/float64(elapsed), each, goroutine, rate)
		}
		for _, v := range all {
			if err := v.Resume(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
