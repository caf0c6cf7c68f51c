package isolation

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"doppel"
)

const (
	// A measurement has so many windows of each kind, in turn.
	rounds = 3
	window = 300 * time.Millisecond
	// attempts are made until the host is quiet.
	attempts = 2
	// quiet is by how much windows in which nothing differs may differ, and
	// what part of the time others may take away.
	quiet = .03
)

// window's figures: rates in a second.
type figures struct {
	work  float64 // instructions of the neighbour
	had   float64 // time on a processor, the neighbour's
	taken float64 // part of the processor that others took, as far as the host tells
	used  float64 // processor time of this process
}

// ratio is what the neighbour has beside something, in parts of what it has
// beside a machine that spins.
type ratio struct {
	work, had float64
	byTime    float64 // work in the processor time of this process
	disturbed string  // why the first two do not count
}

func (r ratio) String() string {
	return fmt.Sprintf("work %.3f, time %.3f, work by processor time %.3f", r.work, r.had, r.byTime)
}

// measure lets two machines that are paused run beside the neighbour in turn.
func measure(t *testing.T, neighbour, spinner, hostile *vm) (r ratio) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		var control, beside []figures
		for range rounds {
			control = append(control, look(t, neighbour, spinner))
			beside = append(beside, look(t, neighbour, hostile))
		}
		of := func(f func(figures) float64) float64 { return median(beside, f) / median(control, f) }
		byTime := func(f figures) float64 { return f.work / f.used }
		r = ratio{
			work:   of(func(f figures) float64 { return f.work }),
			had:    of(func(f figures) float64 { return f.had }),
			byTime: of(byTime),
		}
		r.disturbed = disturbance(control, beside)
		if r.disturbed == "" && r.had >= leastShare || attempt == attempts {
			return r
		}
		t.Logf("%v: once more (%s)", r, r.disturbed)
	}
}

// disturbance tells what shows that others use the processor too.
func disturbance(control, beside []figures) string {
	work := func(f figures) float64 { return f.work }
	least, most := slices.MinFunc(control, less(work)), slices.MaxFunc(control, less(work))
	if spread := (most.work - least.work) / median(control, work); spread > quiet {
		return fmt.Sprintf("beside a machine that spins, its work differs by %.1f%%", 100*spread)
	}
	for _, f := range append(slices.Clone(control), beside...) {
		if f.taken > quiet {
			return fmt.Sprintf("%.1f%% of the processor were taken away", 100*f.taken)
		}
	}
	return ""
}

func less(of func(figures) float64) func(a, b figures) int {
	return func(a, b figures) int {
		if of(a) < of(b) {
			return -1
		}
		return 1
	}
}

func median(all []figures, of func(figures) float64) float64 {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, less(of))
	return of(sorted[len(sorted)/2])
}

// look is one window.
func look(t *testing.T, neighbour, beside *vm) figures {
	t.Helper()
	beside.resume()
	defer beside.pause()
	type point struct {
		at             time.Time
		work, had      uint64
		stolen, inside time.Duration
	}
	now := func() point {
		neighbour.Counts() // brings it out, so that Stats counts all instructions
		s := neighbour.Stats()
		return point{time.Now(), s.Instructions(), s.CPUs[0].Running + s.Devices.Running, stolen(t), processorTime(t)}
	}
	a := now()
	time.Sleep(window)
	b := now()
	wall := b.at.Sub(a.at).Seconds()
	return figures{
		work:  float64(b.work-a.work) / wall,
		had:   float64(b.had-a.had) / 1e9 / wall,
		taken: (b.stolen - a.stolen).Seconds() / wall,
		used:  (b.inside - a.inside).Seconds() / wall,
	}
}

// processorTime is what this process has used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stolen is what the host's own host took from the processor; 0 if it does not
// tell.
func stolen(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	_, line, ok := strings.Cut(string(b), "\ncpu"+os.Getenv(boundEnv)+" ")
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	if n, _ := fmt.Sscan(line, &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); !ok || n < 8 {
		return 0
	}
	const tick = 10 * time.Millisecond // of USER_HZ
	return time.Duration(steal) * tick
}

// ownMemory is what the process has of the host's memory for itself: without
// garbage, and without what its guests have.
func ownMemory(t *testing.T, h *doppel.Host) int64 {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("the host does not tell what a process takes: %v", err)
	}
	var kb int64
	for line := range bytes.Lines(b) {
		if _, err := fmt.Sscanf(string(line), "RssAnon: %d kB", &kb); err == nil {
			break
		}
	}
	own := kb << 10
	for _, m := range h.Machines() {
		own -= int64(m.Memory().Resident)
	}
	return own
}
