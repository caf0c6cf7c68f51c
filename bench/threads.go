package main

import (
	"context"
	"errors"
	"fmt"
)

// The programs of threads.c do the same work with one thread and with two, on
// machines of two processors.
const (
	oneThread  = "alone"
	twoThreads = "pair"
)

// threads measures how much faster two threads are than one, on every emulator
// and on the host itself.
func (b *bench) threads(ctx context.Context) (err error) {
	progress("two threads on two processors")
	boot := b.boot
	boot.CPUs = 2
	targets := []Target{native{b.host, "", false}}
	defer func() {
		for _, t := range targets {
			err = errors.Join(err, t.Close())
		}
	}()
	var guests []*Guest
	for _, e := range b.emulators {
		g, _, err := bootTo(ctx, e, boot, readyText)
		if err != nil {
			return err
		}
		guests = append(guests, g)
		if b.shared {
			targets = append(targets, sharedGuest{g})
		} else {
			targets = append(targets, g)
		}
	}
	if err := settle(ctx, guests); err != nil {
		return err
	}
	one, err := measure(ctx, Program{Name: oneThread}, targets, b.plan)
	if err != nil {
		return err
	}
	two, err := measure(ctx, Program{Name: twoThreads}, targets, b.plan)
	if err != nil {
		return err
	}
	if one.Checksum != two.Checksum {
		return fmt.Errorf("one thread has checksum %s, two have %s", one.Checksum, two.Checksum)
	}
	gain := Whole{What: "speed of two threads on two processors, one being 1", Unit: "times"}
	work := Whole{What: "time of their work", Unit: "ms", Ratio: true}
	for i := range b.emulators {
		gain.Values = append(gain.Values, one.time(i+1)/two.time(i+1))
		work.Values = append(work.Values, two.time(i+1)/1e6)
	}
	b.report.Whole = append(b.report.Whole, gain, work)
	b.note("Two threads on the host itself: %s times the speed of one, %s.", number(one.time(0)/two.time(0)), duration(two.time(0)))
	return nil
}
