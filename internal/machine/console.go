package machine

import (
	"sync"
	"time"

	"doppel/internal/device"
	"doppel/internal/state"
)

const (
	consoleInput   = 4 << 10
	consoleOutput  = 64 << 10
	consoleSection = "console"
	// gather is how long a write to the terminal waits for more after the one
	// before: for nobody's eyes, but most of what a flood of single bytes costs
	// is that somebody wakes for each.
	gather = 4 * time.Millisecond
)

// console joins the guest's serial line (and the SBI's console) to a terminal,
// which may block. Output passes through a bounded ring and a goroutine that
// writes: a guest that writes faster than the terminal takes finds the line
// busy, and no vCPU waits. Input that the guest has not read yet stays here up
// to a bound, and behind that with the terminal.
//
// Lock order: console.pokeMu, then UART.mu, then console.mu.
type console struct {
	terminal device.Terminal
	uart     serial
	beside   func(do func()) // does what is the machine's to pay for

	pokeMu sync.Mutex
	paused bool

	mu      sync.Mutex
	changed sync.Cond
	in, out []byte // what waits
	refused bool   // input was left with the terminal
	starved bool   // the guest found the output full
	writing bool   // the writer has bytes that are not out yet
	closed  bool
	lost    bool // the terminal does not take output any more: it is dropped
}

// serial is what the console asks of the serial line's device.
type serial interface {
	Poke()
	Break(then byte) bool
}

// newConsole returns a console that passes nothing on until start. A nil
// terminal drops output.
func newConsole(t device.Terminal) *console {
	c := &console{terminal: t, paused: true, lost: t == nil, beside: func(do func()) { do() }}
	c.changed.L = &c.mu
	return c
}

// start opens the way to and from the terminal.
func (c *console) start() {
	if c.terminal == nil {
		return
	}
	go c.write()
	c.terminal.SetInput(c.typed)
}

// typed receives from the terminal.
func (c *console) typed(p []byte) int {
	c.mu.Lock()
	n := min(len(p), consoleInput-len(c.in))
	c.in = append(c.in, p[:n]...)
	c.refused = n < len(p)
	c.mu.Unlock()
	if n > 0 {
		c.poke()
	}
	return n
}

// write carries output to the terminal.
func (c *console) write() {
	var spare []byte
	var last time.Time
	for {
		time.Sleep(gather - time.Since(last))
		c.mu.Lock()
		c.writing = false
		c.changed.Broadcast()
		for len(c.out) == 0 && !c.closed {
			c.changed.Wait()
		}
		p := c.out
		c.out, c.writing = spare[:0], len(p) > 0
		starved := c.starved
		c.starved = false
		c.mu.Unlock()
		if len(p) == 0 {
			return
		}
		if starved {
			c.poke()
		}
		last = time.Now()
		var err error
		c.beside(func() { _, err = c.terminal.Write(p) })
		if err != nil {
			c.lose()
			c.poke()
			return
		}
		spare = p
	}
}

// lose drops all output, from now on too.
func (c *console) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost, c.writing, c.out = true, false, nil
	c.changed.Broadcast()
}

// poke tells the UART that there is input or room.
func (c *console) poke() {
	c.pokeMu.Lock()
	defer c.pokeMu.Unlock()
	if !c.paused {
		c.uart.Poke()
	}
}

// Output implements uart.Backend.
func (c *console) Output(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost || c.closed {
		return len(p)
	}
	n := min(len(p), consoleOutput-len(c.out))
	if n < len(p) {
		c.starved = true
	}
	if n > 0 {
		if len(c.out) == 0 {
			c.changed.Broadcast()
		}
		c.out = append(c.out, p[:n]...)
	}
	return n
}

// Input implements uart.Backend.
func (c *console) Input(p []byte) int {
	c.mu.Lock()
	n := copy(p, c.in)
	c.in = c.in[:copy(c.in, c.in[n:])]
	ready := c.refused && n > 0
	c.refused = c.refused && !ready
	c.mu.Unlock()
	if ready {
		c.terminal.InputReady()
	}
	return n
}

func (c *console) StateName() string    { return consoleSection }
func (c *console) StateVersion() uint32 { return 1 }

// Save implements state.Component: input that was taken from the terminal is the
// machine's, whether or not the guest has read it. Output is with the terminal
// when the machine has ended.
func (c *console) Save(e *state.Encoder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Bytes(c.in)
}

func (c *console) Restore(d *state.Decoder, _ uint32) error {
	in := d.Bytes(consoleInput)
	if d.Err() != nil {
		return d.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in = in
	return nil
}

// Pause implements device.Worker: it returns when the UART is left alone.
func (c *console) Pause() {
	c.pokeMu.Lock()
	defer c.pokeMu.Unlock()
	c.paused = true
}

// Resume implements device.Worker; it catches up on what came meanwhile.
func (c *console) Resume() {
	c.pokeMu.Lock()
	defer c.pokeMu.Unlock()
	c.paused = false
	c.uart.Poke()
}

// flush waits until the terminal has everything, for at most limit.
func (c *console) flush(limit time.Duration) {
	timeout := time.AfterFunc(limit, c.lose)
	defer timeout.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for (len(c.out) > 0 || c.writing) && !c.lost {
		c.changed.Wait()
	}
}

// Close implements device.Worker. The terminal is its owner's to close; a
// write to it that is under way ends when the terminal lets it.
func (c *console) Close() error {
	if c.terminal != nil {
		c.terminal.SetInput(nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
	return nil
}

// Break sends a break and a character over the serial line of a running
// machine, by which Linux takes commands (magic SysRq). False: the guest does
// not listen, or not now.
func (m *Machine) Break(then byte) bool {
	return m.Status() == Running && m.console.uart.Break(then)
}
