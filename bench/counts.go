package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"doppel/internal/cpu"
)

// With -stats, what a translator has done in one iteration of each program is
// printed: how much code it made, how often that was left and why, and for
// which instructions. It tells where to look when a program is slow; doppel run
// --perf-map and --jit-dump tell the rest.

// countsOf gives what the translator counts in one iteration of a program.
func (c *counter) countsOf(ctx context.Context, program string, want time.Duration) ([]perIteration, error) {
	n, err := calibrate(ctx, c, program, want)
	if err != nil {
		return nil, err
	}
	before, err := c.counts()
	if err != nil {
		return nil, err
	}
	if _, err := c.Run(ctx, program, n); err != nil {
		return nil, err
	}
	after, err := c.counts()
	if err != nil {
		return nil, err
	}
	// A program runs one iteration before those that it measures.
	return divide(before, after, n+1), nil
}

// counts is what there is when the guest is at rest: see executed.
func (c *counter) counts() ([]cpu.Count, error) {
	if _, err := c.idle(); err != nil {
		return nil, err
	}
	return c.machine.Stats().CPUs[0].Counts, nil
}

// perIteration is how often something happened in one iteration.
type perIteration struct {
	name string
	n    float64
}

// divide gives the increase of each count over a number of iterations.
func divide(before, after []cpu.Count, iterations uint64) []perIteration {
	var out []perIteration
	for i, a := range after {
		if i < len(before) {
			a.N -= before[i].N
		}
		out = append(out, perIteration{a.Name, float64(a.N) / float64(iterations)})
	}
	return out
}

// rare is what is left out: it comes of what else goes on in a guest.
const rare = 0.05

// describeCounts puts counts that are not rare in a line.
func describeCounts(engine, program string, counts []perIteration) string {
	var parts []string
	for _, c := range counts {
		if c.n >= rare {
			parts = append(parts, fmt.Sprintf("%s %s", c.name, number(c.n)))
		}
	}
	if parts == nil {
		parts = []string{"nothing"}
	}
	return fmt.Sprintf("%s on %s, in an iteration: %s", program, engine, strings.Join(parts, ", "))
}
