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
	engine  string
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
	c := &counter{console: newConsole(w), engine: engine, in: w, done: make(chan struct{})}
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
	if _, err := c.idle(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *counter) Name() string { return "Doppel " + c.engine }

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

// A guest that executes few instructions in a while is idle. Kernels work for
// seconds after they have started init.
const (
	idleStep  = 10 * time.Millisecond
	idleFew   = 50_000
	idleLimit = 20 * time.Second
)

// idle waits until the guest sleeps and gives what it has executed so far.
func (c *counter) idle() (uint64, error) {
	last, err := c.executed()
	for range idleLimit / idleStep {
		if err != nil {
			return 0, err
		}
		time.Sleep(idleStep)
		var n uint64
		if n, err = c.executed(); err == nil && n-last < idleFew {
			return n, nil
		}
		last = n
	}
	return 0, fmt.Errorf("the machine that counts does not come to rest within %v", idleLimit)
}

// executed counts exactly: a vCPU that runs tells its count only when it is
// brought out of the guest, as a pause does.
func (c *counter) executed() (uint64, error) {
	if err := c.machine.Pause(); err != nil {
		return 0, err
	}
	n := c.machine.Stats().Instructions()
	return n, c.machine.Resume()
}

// perIteration counts a program's instructions in one iteration, the kernel's
// share included: those of a longer run less those of a shorter.
func (c *counter) perIteration(ctx context.Context, program string, want time.Duration) (float64, error) {
	n, err := calibrate(ctx, c, program, want)
	if err != nil {
		return 0, err
	}
	var at [3]uint64
	for i, count := range []uint64{1, 1, 1 + n} {
		if _, err := c.Run(ctx, program, count); err != nil {
			return 0, err
		}
		if at[i], err = c.idle(); err != nil {
			return 0, err
		}
	}
	return (float64(at[2]-at[1]) - float64(at[1]-at[0])) / float64(n), nil
}
