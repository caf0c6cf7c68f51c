package machine

import (
	"io"
	"sync"
	"time"
)

const (
	consoleInput  = 4 << 10
	consoleOutput = 64 << 10
)

// console joins the guest's serial line to a host reader and writer, each of
// which may block: one goroutine and one bounded ring for each direction. A
// guest that writes faster than the host reads finds the line busy; a host
// that sends faster than the guest reads is not read from.
//
// Lock order: console.pokeMu, then UART.mu, then console.mu.
type console struct {
	pokeMu sync.Mutex
	paused bool
	uart   interface{ Poke() }

	mu      sync.Mutex
	changed sync.Cond
	in, out []byte // what waits
	starved bool   // the guest found the output full
	closed  bool
	failed  bool // the host's writer is gone: output is dropped
	writing bool
}

// newConsole returns a console that does nothing until start.
func newConsole() *console {
	c := &console{paused: true}
	c.changed.L = &c.mu
	return c
}

// start begins to read r and to write w, either of which may be nil.
func (c *console) start(r io.Reader, w io.Writer) {
	if w != nil {
		go c.write(w)
	} else {
		c.fail()
	}
	if r != nil {
		go c.read(r)
	}
}

// poke tells the UART that there is input or room.
func (c *console) poke() {
	c.pokeMu.Lock()
	defer c.pokeMu.Unlock()
	if !c.paused {
		c.uart.Poke()
	}
}

// Pause returns when the UART is left alone.
func (c *console) Pause() {
	c.pokeMu.Lock()
	defer c.pokeMu.Unlock()
	c.paused = true
}

// Resume catches up on what came meanwhile.
func (c *console) Resume() {
	c.pokeMu.Lock()
	defer c.pokeMu.Unlock()
	c.paused = false
	c.uart.Poke()
}

// fail drops all output, from now on too.
func (c *console) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed, c.writing, c.out = true, false, nil
	c.changed.Broadcast()
}

func (c *console) read(r io.Reader) {
	buf := make([]byte, consoleInput)
	for {
		n, err := r.Read(buf)
		if !c.feed(buf[:n]) || err != nil {
			return
		}
	}
}

// feed hands over p piece by piece as there is room; false once closed.
func (c *console) feed(p []byte) bool {
	for {
		c.mu.Lock()
		for len(c.in) == consoleInput && !c.closed {
			c.changed.Wait()
		}
		n := min(len(p), consoleInput-len(c.in))
		c.in = append(c.in, p[:n]...)
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return false
		}
		if n > 0 {
			c.poke()
		}
		if p = p[n:]; len(p) == 0 {
			return true
		}
	}
}

func (c *console) write(w io.Writer) {
	var buf []byte
	for {
		c.mu.Lock()
		c.writing = false
		c.changed.Broadcast()
		for len(c.out) == 0 && !c.closed {
			c.changed.Wait()
		}
		if len(c.out) == 0 {
			c.mu.Unlock()
			return
		}
		buf, c.out = c.out, buf[:0]
		c.writing = true
		starved := c.starved
		c.starved = false
		c.mu.Unlock()
		if starved {
			c.poke()
		}
		if _, err := w.Write(buf); err != nil {
			c.fail()
			c.poke()
			return
		}
	}
}

// Output implements uart.Backend.
func (c *console) Output(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed || c.closed {
		return len(p)
	}
	n := min(len(p), consoleOutput-len(c.out))
	if n < len(p) {
		c.starved = true
	}
	if n > 0 {
		c.out = append(c.out, p[:n]...)
		c.changed.Broadcast()
	}
	return n
}

// Input implements uart.Backend.
func (c *console) Input(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(p, c.in)
	if n > 0 {
		c.in = c.in[:copy(c.in, c.in[n:])]
		c.changed.Broadcast()
	}
	return n
}

// flush waits until the host has everything, for at most limit.
func (c *console) flush(limit time.Duration) {
	timeout := time.AfterFunc(limit, c.fail)
	defer timeout.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for (len(c.out) > 0 || c.writing) && !c.failed {
		c.changed.Wait()
	}
}

// Close ends the goroutines, except one that is blocked in the host's reader
// or writer: it ends when that returns.
func (c *console) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
	return nil
}
