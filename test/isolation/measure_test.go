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
	// rounds of two windows each, in turn, are added until figures are good, or
	// there have been so many: what is wrong stays wrong, and what a busy host
	// does evens out.
	leastRounds, mostRounds = 4, 16
	// window is how much processor time of this process a window lasts, but not
	// longer than longest, of which it is the whole on a quiet host.
	window  = 250 * time.Millisecond
	longest = 4 * window
	// quiet is what part of the processor others may take away in a round, and by
	// how much the pace of the neighbour may differ while nothing else does.
	quiet = .04
)

// figures are what happens in a window.
type figures struct {
	work     float64 // instructions of the neighbour
	executed float64 // processor time, the neighbour's
	used     float64 // processor time, this process's
	wall     float64
	stolen   float64 // by the host's own host, as far as it tells
}

// share is the neighbour's part of what the process may execute, pace what it
// gets done in that time.
func (f figures) share() float64 { return f.executed / f.used }
func (f figures) pace() float64  { return f.work / f.executed }

// round is the neighbour beside a machine that spins, and beside another.
type round struct{ control, beside figures }

// disturbed tells what shows that others have used the processor too.
func (r round) disturbed() string {
	wall := r.control.wall + r.beside.wall
	if lost := 1 - (r.control.used+r.beside.used)/wall; lost > quiet {
		return fmt.Sprintf("others have had %.1f%% of the processor", 100*lost)
	}
	if taken := (r.control.stolen + r.beside.stolen) / wall; taken > quiet {
		return fmt.Sprintf("%.1f%% of the processor were taken away", 100*taken)
	}
	return ""
}

// ratio is what the neighbour has beside something, in parts of what it has
// beside a machine that spins.
type ratio struct {
	share, pace float64
	rounds      int
	disturbed   string // by what the host does otherwise, "" for nothing
}

// throughput is what the neighbour gets done.
func (r ratio) throughput() float64 { return r.share * r.pace }

func (r ratio) String() string {
	return fmt.Sprintf("throughput %.3f, processor time %.3f, pace %.3f (%d rounds)", r.throughput(), r.share, r.pace, r.rounds)
}

// measure lets two machines that are paused run beside the neighbour in turn,
// until the ratio is good.
func measure(t *testing.T, neighbour, spinner, hostile *vm, good func(ratio) bool) (r ratio) {
	t.Helper()
	var all []round
	for {
		all = append(all, round{look(t, neighbour, spinner), look(t, neighbour, hostile)})
		if r = judge(all); len(all) >= leastRounds && good(r) || len(all) == mostRounds {
			return r
		}
	}
}

// judge finds the ratio by medians of rounds that nothing has disturbed, or of
// all if these are too few.
func judge(all []round) ratio {
	var r ratio
	var undisturbed []round
	for _, round := range all {
		if why := round.disturbed(); why == "" {
			undisturbed = append(undisturbed, round)
		} else {
			r.disturbed = why
		}
	}
	if len(undisturbed) >= min(leastRounds, len(all)) {
		all, r.disturbed = undisturbed, ""
	}
	over := func(figure func(round) float64) []float64 {
		var values []float64
		for _, round := range all {
			values = append(values, figure(round))
		}
		return slices.Sorted(slices.Values(values))
	}
	r.rounds = len(all)
	r.share = median(over(func(r round) float64 { return r.beside.share() })) / median(over(func(r round) float64 { return r.control.share() }))
	paces := over(func(r round) float64 { return r.control.pace() })
	r.pace = median(over(func(r round) float64 { return r.beside.pace() })) / median(paces)
	quarter := len(paces) / 4
	if spread := (paces[len(paces)-1-quarter] - paces[quarter]) / median(paces); spread > quiet && r.disturbed == "" {
		r.disturbed = fmt.Sprintf("beside a machine that spins, its pace differs by %.1f%%", 100*spread)
	}
	return r
}

// median is that of values in order.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// look is one window.
func look(t *testing.T, neighbour, beside *vm) figures {
	t.Helper()
	beside.resume()
	defer beside.pause()
	now := func() (f figures) {
		neighbour.Counts() // brings it out, so that Stats counts all instructions
		s := neighbour.Stats()
		return figures{
			work:     float64(s.Instructions()),
			executed: float64(s.CPUs[0].Executed + s.Devices.Executed),
			used:     float64(processorTime(t)),
			wall:     float64(time.Since(began)),
			stolen:   float64(stolen()),
		}
	}
	a := now()
	for end := time.Now().Add(longest); time.Now().Before(end); {
		left := window - (processorTime(t) - time.Duration(a.used))
		if left <= 0 {
			break
		}
		time.Sleep(left)
	}
	b := now()
	return figures{work: b.work - a.work, executed: b.executed - a.executed, used: b.used - a.used, wall: b.wall - a.wall, stolen: b.stolen - a.stolen}
}

var began = time.Now()

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
func stolen() time.Duration {
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
