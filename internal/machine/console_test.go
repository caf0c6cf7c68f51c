package machine

import (
	"testing"
	"time"
)

// clocked is a terminal that notes when it is written to.
type clocked struct {
	at    []time.Time
	bytes int
	all   chan struct{} // closed with the last byte
	want  int
}

func (c *clocked) Write(p []byte) (int, error) {
	c.at = append(c.at, time.Now())
	if c.bytes += len(p); c.bytes == c.want {
		close(c.all)
	}
	return len(p), nil
}

func (c *clocked) SetInput(func([]byte) int)    {}
func (c *clocked) InputReady()                  {}
func (c *clocked) Size() (columns, rows uint16) { return 80, 25 }
func (c *clocked) SetResize(func())             {}

// TestConsoleGathers: a flood of single bytes is not one of writes, and each
// write is on the machine's account.
func TestConsoleGathers(t *testing.T) {
	const n = 5000
	term := &clocked{all: make(chan struct{}), want: n}
	c := newConsole(term)
	paid := 0
	c.beside = func(do func()) { paid++; do() }
	begun := time.Now()
	c.start()
	for sent := 0; sent < n; {
		sent += c.Output([]byte{'x'})
	}
	<-term.all
	c.flush(time.Minute)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for i, at := range term.at {
		if d := at.Sub(begun); d < time.Duration(i)*gather {
			t.Fatalf("%d writes in %v", i+1, d)
		}
	}
	if paid != len(term.at) || term.bytes != n {
		t.Errorf("%d writes of %d bytes, %d paid for", len(term.at), term.bytes, paid)
	}
}
