package sevensteps

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"doppel"
	"doppel/internal/machine"
)

// share is what a machine is to have of the processors.
type share struct {
	weight   int
	affinity string
}

// outcome is what a machine has had.
type outcome struct {
	Name         string
	Weight       int
	Had          time.Duration // a processor
	Waited       time.Duration // for one
	Instructions uint64
}

// timeShared runs machines of different weights on one processor.
func (n *session) timeShared() error {
	var shares []share
	for _, w := range n.values["weights"] {
		shares = append(shares, share{int(w), strconv.Itoa(machine.Processors()[0])})
	}
	all, err := n.compete(shares)
	if err != nil {
		return err
	}
	n.table(all)
	return n.screen.ended()
}

// manyProcessors runs machines on one processor, and again on all.
func (n *session) manyProcessors() error {
	cpus := machine.Processors()
	shares := make([]share, n.values.one("machines"))
	var sums [2]time.Duration
	for round, affinity := range []string{strconv.Itoa(cpus[0]), ""} {
		for i := range shares {
			shares[i] = share{1, affinity}
		}
		n.screen.printf("On %s:\n", [...]string{"one processor", fmt.Sprintf("%d processors", len(cpus))}[round])
		n.screen.allow(n.o.Lines / 2)
		all, err := n.compete(shares)
		if err != nil {
			return err
		}
		sums[round] = n.table(all)
		n.screen.printf("\n")
	}
	n.screen.printf("Together %.2f times as much processor time on %d processors as on one.\n", sums[1].Seconds()/sums[0].Seconds(), len(cpus))
	return n.screen.ended()
}

// table prints what machines have had, and returns the sum.
func (n *session) table(all []outcome) (sum time.Duration) {
	weights := 0
	for _, r := range all {
		sum += r.Had
		weights += r.Weight
	}
	n.screen.printf("\n%-11s %6s %12s %8s %8s %10s %14s\n", "", "weight", "processor", "share", "expected", "waited", "instructions")
	for _, r := range all {
		n.screen.printf("%-11s %6d %12s %7.1f%% %7.1f%% %10s %14d\n", r.Name, r.Weight, ms(r.Had), percent(r.Had.Seconds(), sum.Seconds()),
			percent(float64(r.Weight), float64(weights)), ms(r.Waited), r.Instructions)
	}
	return sum
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

// compete runs a machine for each share, all at once.
func (n *session) compete(shares []share) ([]outcome, error) {
	h, err := doppel.NewHost(doppel.HostConfig{})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var all []*doppel.Machine
	for i, s := range shares {
		cfg := n.config(fmt.Sprintf("machine-%d", i+1))
		cfg.CPUWeight, cfg.CPUAffinity = s.weight, s.affinity
		m, err := h.New(cfg)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	done, err := n.together(all, n.values.span("time"))
	if err != nil {
		return nil, err
	}
	for i := range done {
		done[i].Weight = shares[i].weight
	}
	if n.finished != nil {
		n.finished(done)
	}
	return done, n.screen.ended()
}

// together runs machines, all at once, and returns what they have had in d from
// when all have begun.
func (n *session) together(all []*doppel.Machine, d time.Duration) ([]outcome, error) {
	ctx, cancel := context.WithTimeout(n.ctx, limit)
	defer cancel()
	ended := make(chan error, len(all))
	for _, m := range all {
		go func() {
			_, err := m.Run(ctx)
			if errors.Is(err, context.Canceled) {
				err = n.ctx.Err() // as planned, or not
			}
			cancel() // one that ends ends it for all
			ended <- err
		}()
	}
	for _, m := range all {
		for m.Stats().Instructions() == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	before := outcomes(all)
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	after := outcomes(all)
	cancel()
	var failed []error
	for range all {
		failed = append(failed, <-ended)
	}
	for i, b := range before {
		a := &after[i]
		a.Had, a.Waited, a.Instructions = a.Had-b.Had, a.Waited-b.Waited, a.Instructions-b.Instructions
	}
	return after, errors.Join(failed...)
}

// outcomes are as of now, instructions as of the last exit.
func outcomes(all []*doppel.Machine) (list []outcome) {
	for _, m := range all {
		cpu := m.Stats().CPUs[0]
		list = append(list, outcome{Name: m.Name(), Had: time.Duration(cpu.Running), Waited: time.Duration(cpu.Waiting), Instructions: cpu.Instructions})
	}
	return list
}
