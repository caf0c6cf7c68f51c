package terminal

import (
	"io"
	"sync"
	"time"
)

const (
	// outputBytes is how much output waits for a slow reader.
	outputBytes = 64 << 10
	// inputBytes is how much input waits for the guest.
	inputBytes = 4096
	// patience is how long a full buffer holds the guest back. After that
	// output is dropped at once until the reader takes some.
	patience = 2 * time.Second
	// farewell is how long the end waits for a reader who is not reading.
	farewell = 200 * time.Millisecond
)

// Hub joins a device to a stream of the host. It is a device.Terminal.
type Hub struct {
	mu        sync.Mutex
	changed   *sync.Cond // any field below changed
	out       []byte     // waits for the writer
	writing   bool       // the writer has bytes that are not out yet
	discard   bool       // nobody reads: output is dropped at once, as out overflows
	recent    []byte     // the last output, for who connects later
	keep      int        // length that recent is kept to
	dropped   uint64
	impatient bool   // a full buffer drops at once
	in        []byte // waits for the device
	offer     bool   // the device may take input
	input     func([]byte) int
	resize    func()
	columns   uint16
	rows      uint16
	taken     func() // the device has taken input; nil if nobody wants to know
	closed    bool
	offering  sync.WaitGroup
}

// newHub makes a hub that keeps the last keep bytes of output.
func newHub(keep int) *Hub {
	h := &Hub{keep: keep}
	h.changed = sync.NewCond(&h.mu)
	h.offering.Go(h.offerInput)
	return h
}

// Write takes the guest's output. It never fails.
func (h *Hub) Write(p []byte) (int, error) {
	n := len(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remember(p)
	for len(p) > 0 && !h.closed && !h.discard {
		room := outputBytes - len(h.out)
		if room == 0 && !h.waitRoom() {
			h.dropped += uint64(len(p))
			break
		}
		part := min(len(p), outputBytes-len(h.out))
		h.out = append(h.out, p[:part]...)
		p = p[part:]
		h.changed.Broadcast()
	}
	return n, nil
}

// waitRoom waits, with h.mu held, until there is room; false when patience is
// at its end.
func (h *Hub) waitRoom() bool {
	if h.impatient {
		return false
	}
	deadline := time.Now().Add(patience)
	t := time.AfterFunc(patience, h.changed.Broadcast)
	defer t.Stop()
	for len(h.out) == outputBytes && !h.closed && !h.discard {
		if !time.Now().Before(deadline) {
			h.impatient = true
			return false
		}
		h.changed.Wait()
	}
	return len(h.out) < outputBytes
}

func (h *Hub) remember(p []byte) {
	if h.keep == 0 {
		return
	}
	if over := len(h.recent) + len(p) - h.keep; over > 0 {
		h.recent = append(h.recent[:0], h.recent[min(over, len(h.recent)):]...)
	}
	h.recent = append(h.recent, p[max(0, len(p)-h.keep):]...)
}

// takeOutput waits for output and returns it, nil once closed or cancel holds.
func (h *Hub) takeOutput(cancel func() bool) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writing = false
	h.changed.Broadcast()
	for len(h.out) == 0 {
		if h.closed || cancel() {
			return nil
		}
		h.changed.Wait()
	}
	p := h.out
	h.out = nil
	h.writing = true
	h.impatient = false
	h.changed.Broadcast()
	return p
}

// pump writes output to w until the hub is closed, w fails (the error is then
// w's) or cancel holds.
func (h *Hub) pump(w io.Writer, cancel func() bool) error {
	for {
		p := h.takeOutput(cancel)
		if p == nil {
			return nil
		}
		if _, err := w.Write(p); err != nil {
			h.mu.Lock()
			h.writing = false
			h.changed.Broadcast()
			h.mu.Unlock()
			return err
		}
	}
}

// setDiscard says whether anybody reads.
func (h *Hub) setDiscard(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.discard = on
	if on {
		h.out = nil
	}
	h.changed.Broadcast()
}

// flush waits until all output is out, for at most d, and not for long when
// the reader has taken none for long.
func (h *Hub) flush(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.impatient {
		d = min(d, farewell)
	}
	deadline := time.Now().Add(d)
	t := time.AfterFunc(d, h.changed.Broadcast)
	defer t.Stop()
	for (len(h.out) > 0 || h.writing) && !h.discard && time.Now().Before(deadline) {
		h.changed.Wait()
	}
}

// feed takes input from the host, and waits while the device takes none.
func (h *Hub) feed(p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(p) > 0 && !h.closed {
		if room := inputBytes - len(h.in); room > 0 {
			part := min(len(p), room)
			h.in = append(h.in, p[:part]...)
			p = p[part:]
			h.offer = true
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

// offerInput hands input to the device until the hub is closed.
func (h *Hub) offerInput() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for !h.closed && (len(h.in) == 0 || !h.offer || h.input == nil) {
			h.changed.Wait()
		}
		if h.closed {
			return
		}
		h.offer = false
		fn, p := h.input, h.in
		h.mu.Unlock()
		n := fn(p)
		h.mu.Lock()
		h.in = append([]byte(nil), h.in[min(max(n, 0), len(p)):]...)
		h.changed.Broadcast()
		if h.taken != nil {
			h.mu.Unlock()
			h.taken()
			h.mu.Lock()
		}
	}
}

func (h *Hub) SetInput(fn func(p []byte) (n int)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.input, h.offer = fn, true
	h.changed.Broadcast()
}

func (h *Hub) InputReady() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offer = true
	h.changed.Broadcast()
}

func (h *Hub) Size() (columns, rows uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.columns, h.rows
}

func (h *Hub) SetResize(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resize = fn
}

// setSize takes the terminal's size, and tells the device of a change.
func (h *Hub) setSize(columns, rows uint16) {
	h.mu.Lock()
	same := h.columns == columns && h.rows == rows
	h.columns, h.rows = columns, rows
	fn := h.resize
	h.mu.Unlock()
	if !same && fn != nil {
		fn()
	}
}

// Dropped is how many bytes of output were lost to slow readers.
func (h *Hub) Dropped() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dropped
}

func (h *Hub) close() {
	h.mu.Lock()
	h.closed = true
	h.changed.Broadcast()
	h.mu.Unlock()
	h.offering.Wait()
}

// None is a terminal without a far end: output is dropped, input never comes.
type None struct{}

func (None) Write(p []byte) (int, error)  { return len(p), nil }
func (None) SetInput(func(p []byte) int)  {}
func (None) InputReady()                  {}
func (None) Size() (columns, rows uint16) { return 0, 0 }
func (None) SetResize(func())             {}
func (None) Close() error                 { return nil }
