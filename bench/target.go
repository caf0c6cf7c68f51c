package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// Run is what one run of a program gave.
type Run struct {
	Count    uint64
	Time     time.Duration // of Count iterations, by the clock where it ran
	Checksum string
}

// perIteration is in nanoseconds.
func (r Run) perIteration() float64 { return float64(r.Time) / float64(r.Count) }

// Target is where programs run. It is used by one goroutine.
type Target interface {
	Name() string
	// Run runs count iterations of a program.
	Run(ctx context.Context, program string, count uint64) (Run, error)
	Close() error
}

// runLimit bounds one run of a program: a guest that hangs is a failure.
const runLimit = 3 * time.Minute

var resultLine = regexp.MustCompile(`(?m)^@result (\S+) (\d+) (\d+) ([0-9a-f]{16})\r?$`)

// parseRun finds the result of a program in what it printed.
func parseRun(text []byte, program string, count uint64) (Run, error) {
	m := resultLine.FindSubmatch(text)
	if m == nil || string(m[1]) != program {
		return Run{}, fmt.Errorf("%s: no result in what it printed: %.300q", program, text)
	}
	n, err := strconv.ParseUint(string(m[2]), 10, 64)
	if err != nil || n != count {
		return Run{}, fmt.Errorf("%s: asked for %d iterations, told of %s", program, count, m[2])
	}
	ns, err := strconv.ParseInt(string(m[3]), 10, 64)
	if err != nil || ns <= 0 {
		return Run{}, fmt.Errorf("%s: took %s ns, which cannot be", program, m[3])
	}
	return Run{Count: n, Time: time.Duration(ns), Checksum: string(m[4])}, nil
}

// native runs programs on the host itself.
type native struct {
	path         string
	applications string // their folder
	shared       bool
}

func (native) Name() string { return "native" }

func (n native) Run(ctx context.Context, program string, count uint64) (Run, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	start := time.Now()
	cmd := exec.CommandContext(ctx, n.path, program, strconv.FormatUint(count, 10))
	cmd.Env = append(os.Environ(), applicationsEnv+"="+n.applications)
	out, err := cmd.CombinedOutput()
	elapsed := time.Since(start)
	if err != nil {
		return Run{}, fmt.Errorf("%s on the host: %w: %s", program, err, out)
	}
	r, err := parseRun(out, program, count)
	if n.shared && groupOf(program).cpuBound() {
		r.Time = scale(r.Time, sharedDemand(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), elapsed).met())
	}
	return r, err
}

func (native) Close() error { return nil }
