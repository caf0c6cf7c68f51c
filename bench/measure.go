package main

import (
	"context"
	"fmt"
	"time"
)

// Cell is what a program gave on one target over all rounds.
type Cell struct {
	Samples []float64 // nanoseconds an iteration
}

// Row is a program's line of the table. Cells are in the targets' order, the
// host first.
type Row struct {
	Program
	Cells        []Cell
	Instructions float64 // an iteration, 0 if not counted
	Checksum     string
}

// plan says how long and how often to measure.
type plan struct {
	rounds int
	target time.Duration // of one run
}

// calibrate finds the number of iterations that takes about the wanted time.
func calibrate(ctx context.Context, t Target, program string, want time.Duration) (uint64, error) {
	for count := uint64(1); ; {
		r, err := t.Run(ctx, program, count)
		if err != nil {
			return 0, err
		}
		fits := float64(want) / r.perIteration()
		if r.Time > want/4 || fits <= 1 {
			return max(1, uint64(fits)), nil
		}
		// A short run tells little: go nearer by steps.
		count = min(max(count+1, uint64(fits)), count*32)
	}
}

// measure runs a program in turn on all targets, several times.
func measure(ctx context.Context, p Program, targets []Target, pl plan) (Row, error) {
	row := Row{Program: p, Cells: make([]Cell, len(targets))}
	counts := make([]uint64, len(targets))
	for i, t := range targets {
		var err error
		if counts[i], err = calibrate(ctx, t, p.Name, pl.target); err != nil {
			return row, fmt.Errorf("%s: %w", t.Name(), err)
		}
	}
	for range pl.rounds {
		for i, t := range targets {
			r, err := t.Run(ctx, p.Name, counts[i])
			if err != nil {
				return row, fmt.Errorf("%s: %w", t.Name(), err)
			}
			if row.Checksum == "" {
				row.Checksum = r.Checksum
			}
			if r.Checksum != row.Checksum {
				return row, fmt.Errorf("%s: %s: wrong result: checksum %s, but %s on %s",
					t.Name(), p.Name, r.Checksum, row.Checksum, targets[0].Name())
			}
			row.Cells[i].Samples = append(row.Cells[i].Samples, r.perIteration())
		}
	}
	return row, nil
}
