package doppel

import (
	"io"
	"sync"

	"doppel/internal/device"
)

// WriteOnly is a console that writes to w and has no input.
func WriteOnly(w io.Writer) device.Terminal { return &stream{w: w} }

// Stream is a console that reads from r and writes to w. r is read from the
// machine's start on, some kilobytes ahead of the guest; a Read that is under
// way when the machine ends is not interrupted.
func Stream(r io.Reader, w io.Writer) device.Terminal { return &stream{r: r, w: w} }

const streamAhead = 4 << 10

// stream is a Console. A failed write ends output for good.
type stream struct {
	r       io.Reader
	w       io.Writer
	reading sync.Once

	mu      sync.Mutex
	changed *sync.Cond
	input   func([]byte) int
	ready   bool
}

func (s *stream) Write(p []byte) (int, error) { return s.w.Write(p) }

func (s *stream) SetInput(fn func([]byte) int) {
	if s.r == nil {
		return
	}
	s.reading.Do(func() {
		s.changed = sync.NewCond(&s.mu)
		go s.read()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.input, s.ready = fn, true
	s.changed.Broadcast()
}

func (s *stream) InputReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	s.changed.Broadcast()
}

func (s *stream) read() {
	buf := make([]byte, streamAhead)
	for {
		n, err := s.r.Read(buf)
		for p := buf[:n]; len(p) > 0; {
			p = p[s.offer(p):]
		}
		if err != nil {
			return
		}
	}
}

// offer waits until the device may have room and offers p. A device that is
// gone (SetInput of nil) leaves the reader waiting for the next one.
func (s *stream) offer(p []byte) int {
	s.mu.Lock()
	for !s.ready || s.input == nil {
		s.changed.Wait()
	}
	fn := s.input
	s.ready = false
	s.mu.Unlock()
	n := min(max(fn(p), 0), len(p))
	if n == len(p) {
		s.InputReady() // it had room for all
	}
	return n
}

func (s *stream) Size() (columns, rows uint16) { return 0, 0 }
func (s *stream) SetResize(func())             {}

// outputOnly is a console whose input belongs to another device.
type outputOnly struct{ device.Terminal }

func (outputOnly) SetInput(func([]byte) int) {}
func (outputOnly) InputReady()               {}
func (outputOnly) SetResize(func())          {}
