package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"doppel"
)

// countEngine counts instructions: what a program executes does not depend on
// the engine, and this one every host has.
const countEngine = "interp"

// counter is a machine inside this process, whose instructions can be counted.
type counter struct {
	*console
	machine *doppel.Machine
	cancel  context.CancelFunc
	in      *io.PipeWriter
	done    chan struct{}
}

// startCounter boots the machine.
func startCounter(ctx context.Context, b Boot, engine string) (*counter, error) {
	r, w := io.Pipe()
	memory, err := doppel.ParseSize(guestMemory)
	if err != nil {
		return nil, err
	}
	c := &counter{console: newConsole(w), in: w, done: make(chan struct{})}
	c.machine, err = doppel.New(doppel.Config{Kernel: b.Kernel, Initrd: b.Initrd, Append: b.Append, Memory: memory,
		Engine: engine, Console: doppel.Stream(r, c.console)})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	c.cancel = cancel
	go func() {
		defer close(c.done)
		_, err := c.machine.Run(running)
		if err == nil {
			err = errors.New("it powered off")
		}
		c.end(err)
	}()
	waiting, stop := context.WithTimeout(ctx, bootLimit)
	defer stop()
	if _, err := c.await(waiting, readyText); err != nil {
		return nil, errors.Join(fmt.Errorf("boot the machine that counts: %w", err), c.Close())
	}
	c.idle()
	return c, nil
}

func (c *counter) Name() string { return "Doppel " + countEngine }

func (c *counter) Run(ctx context.Context, program string, count uint64) (Run, error) {
	return runTyped(ctx, c.console, program, count)
}

// Close ends the machine.
func (c *counter) Close() error {
	c.cancel()
	c.in.Close()
	<-c.done
	return c.machine.Close()
}

// idleLimit bounds the wait for a guest that works on something of its own, as
// a kernel does for seconds after its start.
const (
	idleLimit = 20 * time.Second
	idleStep  = 10 * time.Millisecond
)

// idle waits until the guest sleeps and gives what it has executed so far.
func (c *counter) idle() uint64 {
	last := c.machine.Stats().Instructions()
	for range idleLimit / idleStep {
		time.Sleep(idleStep)
		n := c.machine.Stats().Instructions()
		if n == last {
			break
		}
		last = n
	}
	return last
}

// perIteration counts a program's instructions in one iteration, the kernel's
// share included: those of a longer run less those of a shorter.
func (c *counter) perIteration(ctx context.Context, program string, want time.Duration) (float64, error) {
	n, err := calibrate(ctx, c, program, want)
	if err != nil {
		return 0, err
	}
	at := [3]uint64{c.idle()}
	for i, count := range []uint64{1, 1 + n} {
		if _, err := c.Run(ctx, program, count); err != nil {
			return 0, err
		}
		at[i+1] = c.idle()
	}
	return (float64(at[2]-at[1]) - float64(at[1]-at[0])) / float64(n), nil
}
