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
	leastRounds, mostRounds = 4, 24
	window                  = 150 * time.Millisecond
	// quiet is what part of the processor others may take away, and by how much
	// the pace of the neighbour may differ while nothing else does.
	quiet = .04
)

// figures are what happens in windows of one kind.
type figures struct {
	work     float64 // instructions of the neighbour
	executed float64 // processor time, the neighbour's
	used     float64 // processor time, this process's
	wall     float64
	stolen   float64 // by the host's own host, as far as it tells
	paces    []float64
}

func (f *figures) add(g figures) {
	f.work += g.work
	f.executed += g.executed
	f.used += g.used
	f.wall += g.wall
	f.stolen += g.stolen
	f.paces = append(f.paces, g.work/g.executed)
}

// share is the neighbour's part of what the process may execute, pace what it
// gets done in that time.
func (f *figures) share() float64 { return f.executed / f.used }
func (f *figures) pace() float64  { return median(f.paces) }

// ratio is what the neighbour has beside something, in parts of what it has
// beside a machine that spins.
type ratio struct {
	share, pace float64
	disturbed   string // by what the host does otherwise, "" for nothing
}

// throughput is what the neighbour gets done.
func (r ratio) throughput() float64 { return r.share * r.pace }

func (r ratio) String() string {
	return fmt.Sprintf("throughput %.3f, processor time %.3f, pace %.3f", r.throughput(), r.share, r.pace)
}

// measure lets two machines that are paused run beside the neighbour in turn,
// until the ratio is good.
func measure(t *testing.T, neighbour, spinner, hostile *vm, good func(ratio) bool) (r ratio) {
	t.Helper()
	var control, beside figures
	for round := 1; ; round++ {
		control.add(look(t, neighbour, spinner))
		beside.add(look(t, neighbour, hostile))
		if round < leastRounds {
			continue
		}
		r = ratio{
			share:     beside.share() / control.share(),
			pace:      beside.pace() / control.pace(),
			disturbed: disturbance(control, beside),
		}
		if good(r) || round == mostRounds {
			return r
		}
	}
}

// disturbance tells what shows that others use the processor too.
func disturbance(control, beside figures) string {
	if lost := 1 - (control.used+beside.used)/(control.wall+beside.wall); lost > quiet {
		return fmt.Sprintf("others have had %.1f%% of the processor", 100*lost)
	}
	if taken := (control.stolen + beside.stolen) / (control.wall + beside.wall); taken > quiet {
		return fmt.Sprintf("%.1f%% of the processor were taken away", 100*taken)
	}
	sorted := slices.Sorted(slices.Values(control.paces))
	quarter := len(sorted) / 4
	if spread := (sorted[len(sorted)-1-quarter] - sorted[quarter]) / median(sorted); spread > quiet {
		return fmt.Sprintf("beside a machine that spins, its pace differs by %.1f%%", 100*spread)
	}
	return ""
}

func median(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }

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
	time.Sleep(window)
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
