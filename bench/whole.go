package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Whole is a measurement of a machine as a whole, one value for each
// emulator, in their order.
type Whole struct {
	What   string
	Unit   string
	Values []float64
	// Ratio tells whether a quotient of the values says something.
	Ratio bool
}

// startTimes boots a machine of each kind in turn, several times, and gives
// the median time from the start of the process to a text on the console.
func startTimes(ctx context.Context, what string, es []Emulator, b Boot, text *regexp.Regexp, rounds int) (Whole, error) {
	samples := make([][]float64, len(es))
	for range rounds {
		for i, e := range es {
			g, took, err := bootTo(ctx, e, b, text)
			if err != nil {
				return Whole{}, err
			}
			if err := g.Close(); err != nil {
				return Whole{}, err
			}
			samples[i] = append(samples[i], took.Seconds())
		}
	}
	w := Whole{What: what, Unit: "s", Ratio: true}
	for _, s := range samples {
		w.Values = append(w.Values, median(s))
	}
	return w, nil
}

// A guest is at rest when it takes little of a processor for a while. Kernels
// work for seconds after they have started init.
const (
	restLoad  = 5 // percent
	restSpan  = 500 * time.Millisecond
	restLimit = 30 * time.Second
)

// settle waits until all guests are at rest. One that does not come to rest is
// measured as it is: its idle load will tell.
func settle(ctx context.Context, guests []*Guest) error {
	for range restLimit / restSpan {
		loads, err := loads(ctx, guests, restSpan)
		if err != nil {
			return err
		}
		if slices.Max(loads) < restLoad {
			return nil
		}
	}
	return nil
}

// idleLoad measures how much of one processor each guest takes while it waits
// for input.
func idleLoad(ctx context.Context, guests []*Guest, over time.Duration) (Whole, error) {
	l, err := loads(ctx, guests, over)
	return Whole{What: "load of an idle guest", Unit: "%", Values: l}, err
}

// loads measures all guests at the same time, in percent of a processor.
func loads(ctx context.Context, guests []*Guest, over time.Duration) ([]float64, error) {
	start := time.Now()
	before, err := processorTimes(guests)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, over); err != nil {
		return nil, err
	}
	after, err := processorTimes(guests)
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	var out []float64
	for i := range after {
		out = append(out, 100*float64(after[i]-before[i])/float64(elapsed))
	}
	return out, nil
}

func processorTimes(guests []*Guest) ([]time.Duration, error) {
	var times []time.Duration
	for _, g := range guests {
		t, err := processorTime(g.cmd.Process.Pid)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		times = append(times, t)
	}
	return times, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
