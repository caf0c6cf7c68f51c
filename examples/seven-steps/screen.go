package sevensteps

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// screen puts together, line by line, what guests print and the traces of their
// exits. It has no limits of its own: who calls has.
type screen struct {
	mu     sync.Mutex
	w      io.Writer
	lines  int // of traces that are still shown
	more   int // that were not
	titled bool
	err    error

	late []lateLine // in order
}

// lateLine is a line that is not shown yet.
type lateLine struct {
	text string
	due  time.Time
}

// lateness is by how much what guests print is shown later than it is printed,
// so that the exit that prints is listed first.
const lateness = 3 * time.Millisecond

// later shows lines in the order in which they come, after a while.
func (s *screen) later(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = append(s.late, lateLine{text, time.Now().Add(lateness)})
	time.AfterFunc(lateness, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.showLate(time.Now())
	})
}

// showLate shows what is due; the lock is held.
func (s *screen) showLate(now time.Time) {
	for len(s.late) > 0 && !s.late[0].due.After(now) {
		s.write(s.late[0].text)
		s.late = s.late[1:]
	}
}

// allow shows n more lines of traces, or all if n is 0.
func (s *screen) allow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines = n; n <= 0 {
		s.lines = -1 // never 0
	}
}

// printf prints whole lines.
func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(fmt.Sprintf(format, args...))
}

// write writes whole lines; the lock is held.
func (s *screen) write(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

// ended shows what is late, tells how many lines of traces are missing, and
// what went wrong. The machines have ended.
func (s *screen) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.showLate(time.Now().Add(lateness))
	if s.more > 0 {
		s.write(fmt.Sprintf("... and %d more exits; --lines 0 shows all\n", s.more))
		s.more = 0
	}
	return s.err
}

// trace is the writer of a machine's trace.
type trace struct {
	*screen
	name string // that goes before each line
	rest []byte // of a line
}

func (t *trace) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rest = append(t.rest, p...)
	for {
		line, rest, whole := bytes.Cut(t.rest, []byte{'\n'})
		if !whole {
			return len(p), t.err
		}
		t.rest = rest
		if bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("time cpu ")) { // the columns, once
			if !t.titled {
				t.titled = true
				t.write(strings.Repeat(" ", len(t.name)) + string(line) + "\n")
			}
			continue
		}
		if t.lines == 0 {
			t.more++
			continue
		}
		t.lines--
		t.write(t.name + string(line) + "\n")
	}
}

// console is what a guest prints.
type console struct {
	*screen
	name string

	mu   sync.Mutex
	rest []byte // of a line
}

// maxLine is where a guest's line is cut in two.
const maxLine = 200

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = append(c.rest, p...)
	for {
		line, rest, whole := bytes.Cut(c.rest, []byte{'\n'})
		if !whole && len(line) > maxLine {
			line, rest, whole = line[:maxLine], line[maxLine:], true
		}
		if !whole {
			return len(p), nil
		}
		c.rest = bytes.Clone(rest)
		c.later(fmt.Sprintf("%sguest prints: %q\n", c.name, line))
	}
}
