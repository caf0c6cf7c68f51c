package terminal

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// farEnd is the terminal that machines share.
type farEnd struct {
	mu    sync.Mutex
	out   bytes.Buffer
	input func([]byte) int
	again int
}

func (f *farEnd) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.Write(p)
}
func (f *farEnd) SetInput(fn func([]byte) int) { f.input = fn }
func (f *farEnd) InputReady() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.again++
}
func (f *farEnd) Size() (columns, rows uint16) { return 80, 25 }
func (f *farEnd) SetResize(func())             {}
func (f *farEnd) Close() error                 { return nil }

func (f *farEnd) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.out.String()
	f.out.Reset()
	return s
}

// Lines have names and stay whole; what has no end yet is shown after a moment.
func TestMuxLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &farEnd{}
		m := NewMux(far, []string{"a", "long"}, false)
		a, long := m.Console(0), m.Console(1)
		want := func(what, text string) {
			t.Helper()
			time.Sleep(2 * settle)
			synctest.Wait()
			if got := far.take(); got != text {
				t.Errorf("%s: %q, want %q", what, got, text)
			}
		}
		a.Write([]byte("one\r\ntw"))
		long.Write([]byte("other\n"))
		a.Write([]byte("o\nlogin: "))
		want("lines", "a    | one\nlong | other\na    | two\na    | login: ")
		a.Write([]byte("root"))
		want("the same line", "root")
		long.Write([]byte("here\n"))
		want("another's line", "\nlong | here\n")
		a.Write([]byte(" goes on\n"))
		want("the line goes on", "a    |  goes on\n")
		a.Write([]byte("10%\r20%\n"))
		want("a line that begins again", "a    | 10%\ra    | 20%\n")
		a.Write([]byte("\x1b[31mred\x1b[0m\x1b[2J\x1b[5;5H\x1b]0;title\x07\x1b(Bx\x00\x08\u009b2J\u00e9\u00a7\n"))
		want("sequences", "a    | \x1b[31mred\x1b[0mBx2J\u00e9\u00a7\n")
		long.Write(bytes.Repeat([]byte("x"), 3*lineBytes))
		if got := far.take(); len(got) < 2*lineBytes {
			t.Errorf("a line without an end: %d bytes shown", len(got))
		}
		if c, r := a.Size(); c != 73 || r != 25 {
			t.Errorf("size %d, %d", c, r)
		}
		a.Write([]byte("last"))
		a.Close()
		long.Close()
		if got := far.take(); !strings.Contains(got, "a    | last") {
			t.Errorf("at the end: %q", got)
		}
	})
}

// taker takes input for a machine.
type taker struct {
	mu   sync.Mutex
	got  []byte
	full bool
}

func (k *taker) take(p []byte) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.full {
		return 0
	}
	k.got = append(k.got, p...)
	return len(p)
}

// Input goes to the chosen one, or to all; one that has ended holds nobody up.
func TestMuxInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &farEnd{}
		m := NewMux(far, []string{"a", "b", "c"}, true)
		takers := make([]*taker, 3)
		for i := range takers {
			takers[i] = &taker{}
			m.Console(i).SetInput(takers[i].take)
		}
		typed := func(text, want string) {
			t.Helper()
			if n := far.input([]byte(text)); n != len(text) {
				t.Errorf("%q: %d bytes taken", text, n)
			}
			synctest.Wait()
			var all []string
			for _, k := range takers {
				k.mu.Lock()
				all = append(all, string(k.got))
				k.got = nil
				k.mu.Unlock()
			}
			if got := strings.Join(all, ","); got != want {
				t.Errorf("%q went to %q, want %q", text, got, want)
			}
		}
		typed("x", "x,,")
		m.Choose(Next)
		if got := far.take(); got != "[input goes to b]\r\n" {
			t.Errorf("notice %q", got)
		}
		typed("y", ",y,")
		m.Choose(Previous)
		m.Choose(Previous)
		typed("z", ",,z")
		m.Choose(All)
		typed("w", "w,w,w")
		m.Choose(Next)
		typed("v", "v,,")
		// One that takes nothing holds the far end back, up to its buffer.
		takers[0].full = true
		taken := 0
		for range 100 {
			taken += far.input(make([]byte, 100))
		}
		if taken != inputBytes {
			t.Errorf("%d bytes are kept, want %d", taken, inputBytes)
		}
		before := far.again
		takers[0].full = false
		m.Console(0).InputReady()
		synctest.Wait()
		if far.again == before {
			t.Error("the far end was not told of room")
		}
		takers[0].got = nil
		m.Console(0).Close()
		typed("gone", ",,") // and not held up
		m.Choose(All)
		typed("rest", ",rest,rest")
		for i := range takers {
			m.Console(i).Close()
		}
	})
}

// FuzzMux: whatever machines print, nothing but colors moves the cursor, and
// each line has a name.
func FuzzMux(f *testing.F) {
	f.Add([]byte("a\nb\x1b[31mc\x1b[2J\x1b]0;x\x07\r\n"), []byte("login: \x1b[6n"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		far := &farEnd{}
		m := NewMux(far, []string{"1", "2"}, false)
		m.Console(0).Write(one)
		m.Console(1).Write(two)
		m.Console(0).Write(two)
		m.Console(0).Close()
		m.Console(1).Close()
		out := far.take()
		for line := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
			if out != "" && !strings.HasPrefix(line, "1 | ") && !strings.HasPrefix(line, "2 | ") {
				t.Fatalf("a line of nobody: %q", line)
			}
		}
		for i := 0; i < len(out); i++ {
			if out[i] != 0x1b {
				continue
			}
			end := strings.IndexFunc(out[i+1:], func(r rune) bool { return r >= 0x40 && r < 0x7f && r != '[' })
			if out[i+1] != '[' || end < 0 || out[i+1+end] != 'm' {
				t.Fatalf("a sequence passed: %q", out[i:])
			}
		}
	})
}
