package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
)

// maxOutput bounds what a guest may print between two expected texts.
const maxOutput = 4 << 20

// console collects what a guest prints and waits for texts in it. Write may be
// called on any goroutine, the rest on one.
type console struct {
	in io.Writer // to the guest

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when what is below changes
	out     []byte
	err     error // why no more will come
}

func newConsole(in io.Writer) *console { return &console{in: in, changed: make(chan struct{})} }

func (c *console) update(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Write takes what the guest prints.
func (c *console) Write(p []byte) (int, error) {
	c.update(func() {
		if len(c.out)+len(p) > maxOutput {
			c.err = errors.New("it prints without end")
			return
		}
		c.out = append(c.out, p...)
	})
	return len(p), nil
}

// end tells that the guest will print no more.
func (c *console) end(err error) {
	c.update(func() {
		if c.err == nil {
			c.err = err
		}
	})
}

// await waits for a text, and takes it and all before it off.
func (c *console) await(ctx context.Context, pattern *regexp.Regexp) ([]byte, error) {
	for {
		c.mu.Lock()
		if at := pattern.FindIndex(c.out); at != nil {
			text := append([]byte(nil), c.out[:at[1]]...)
			c.out = c.out[at[1]:]
			c.mu.Unlock()
			return text, nil
		}
		changed, err, tail := c.changed, c.err, c.out[max(0, len(c.out)-400):]
		c.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("%w; the last it printed: %q", err, tail)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %v: %w; the last it printed: %q", pattern, ctx.Err(), tail)
		}
	}
}

// send types a line.
func (c *console) send(line string) error {
	_, err := io.WriteString(c.in, line+"\n")
	return err
}
