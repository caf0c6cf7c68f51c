package guest

import (
	"bytes"
	"sync"
)

// MaxOutput is how much of what a machine has written Output keeps.
const MaxOutput = 1 << 20

// Output is a console that a test reads while a machine writes it. It keeps the
// last of it.
type Output struct {
	mu    sync.Mutex
	b     []byte
	total int
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.total += len(p)
	o.b = append(o.b, p...)
	if len(o.b) > 2*MaxOutput { // not for each byte that a flood goes on for
		o.b = o.b[:copy(o.b, o.b[len(o.b)-MaxOutput:])]
	}
	return len(p), nil
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}

// Has tells whether text is there.
func (o *Output) Has(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(o.b, []byte(text))
}

// Tail is the end of it, for a report.
func (o *Output) Tail() string {
	s := o.String()
	return s[max(0, len(s)-4000):]
}

// Total is how much was ever written.
func (o *Output) Total() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.total
}

// Clear forgets what is there.
func (o *Output) Clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = o.b[:0]
}
