package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// On a host with other work a process waits for a processor, and the wait
// counts as the program's time. With -shared it is taken off: a time is
// multiplied by the part of the demand for a processor that was met. Caches
// and memory are still shared, so this is for comparing while developing, not
// for results.

// demand is what a thread, or all of a process's, had and wanted of processors.
type demand struct{ ran, waited time.Duration }

// met is the part of the demand that was met, 1 for none.
func (d demand) met() float64 {
	if d.ran <= 0 {
		return 1
	}
	return float64(d.ran) / float64(d.ran+max(0, d.waited))
}

// parseSchedstat reads the first two fields of /proc/PID/task/TID/schedstat, in
// nanoseconds (the kernel's Documentation/scheduler/sched-stats).
func parseSchedstat(data string) (demand, error) {
	f := strings.Fields(data)
	if len(f) < 2 {
		return demand{}, errors.New("schedstat has too few fields")
	}
	ran, err1 := strconv.ParseInt(f[0], 10, 64)
	waited, err2 := strconv.ParseInt(f[1], 10, 64)
	return demand{time.Duration(ran), time.Duration(waited)}, errors.Join(err1, err2)
}

// threadDemands gives the demand of each thread of a process so far.
func threadDemands(pid int) (map[string]demand, error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("process %d has no schedstat: the kernel keeps none, so -shared cannot be used", pid)
	}
	all := map[string]demand{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		if all[path], err = parseSchedstat(string(data)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// between sums up what threads added from one look to the next.
func between(before, after map[string]demand) demand {
	var sum demand
	for path, a := range after {
		b := before[path] // none for a new thread
		sum.ran += a.ran - b.ran
		sum.waited += a.waited - b.waited
	}
	return sum
}

// sharedGuest is a guest on a host with other work.
type sharedGuest struct{ *Guest }

func (g sharedGuest) Run(ctx context.Context, program string, count uint64) (Run, error) {
	pid := g.cmd.Process.Pid
	before, err := threadDemands(pid)
	if err != nil {
		return Run{}, err
	}
	r, err := g.Guest.Run(ctx, program, count)
	if err != nil {
		return r, err
	}
	after, err := threadDemands(pid)
	r.Time = scale(r.Time, between(before, after).met())
	return r, err
}

// scale never gives 0: a run takes some time.
func scale(d time.Duration, by float64) time.Duration { return max(1, time.Duration(float64(d)*by)) }

// sharedDemand is that of a process that computed all the time: when it did
// not run, it waited.
func sharedDemand(processor, elapsed time.Duration) demand {
	return demand{ran: processor, waited: elapsed - processor}
}
