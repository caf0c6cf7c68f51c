package terminal

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// receiver collects input, taking at most max bytes until drained.
type receiver struct {
	mu  sync.Mutex
	max int
	got []byte
	c   chan struct{}
}

func newReceiver(max int) *receiver { return &receiver{max: max, c: make(chan struct{}, 1000)} }

func (r *receiver) take(p []byte) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(p), r.max-len(r.got))
	r.got = append(r.got, p[:n]...)
	r.c <- struct{}{}
	return n
}

func (r *receiver) wait(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		got := string(r.got)
		r.mu.Unlock()
		if got == want {
			return
		}
		select {
		case <-r.c:
		case <-timeout:
			t.Fatalf("received %q, want %q", got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, tt := range []struct {
		in, want   string
		quit, help int
	}{
		{in: "ls\r", want: "ls\r"},
		{in: "\x01x", quit: 1},
		{in: "a\x01hb", want: "ab", help: 1},
		{in: "\x01\x01", want: "\x01"},
		{in: "\x01a", want: "\x01"},
		{in: "\x01zq", want: "q"},
		{in: "\x03\x1b[A", want: "\x03\x1b[A"},
	} {
		for cut := range len(tt.in) + 1 {
			var quit, help int
			k := keys{quit: func() { quit++ }, help: func() { help++ }}
			got := string(k.filter([]byte(tt.in[:cut])))
			got += string(k.filter([]byte(tt.in[cut:])))
			if got != tt.want || quit != tt.quit || help != tt.help {
				t.Errorf("%q cut at %d: %q, quit %d, help %d", tt.in, cut, got, quit, help)
			}
		}
	}
}

func TestOpenUnknown(t *testing.T) {
	for _, spec := range []string{"", "tty", "unix:", "unix", "stdio:x"} {
		if _, err := Open(spec, Options{}); err == nil || !strings.Contains(err.Error(), "unix:PATH") {
			t.Errorf("Open(%q): %v", spec, err)
		}
	}
}

func TestPipes(t *testing.T) {
	inR, inW, _ := os.Pipe()
	outR, outW, _ := os.Pipe()
	c, err := Open("stdio", Options{In: inR, Out: outW})
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver(1000)
	c.SetInput(r.take)
	// Not a terminal: the keys have no meaning.
	io.WriteString(inW, "hello\x01x")
	r.wait(t, "hello\x01x")
	inW.Close() // the guest goes on
	io.WriteString(c, "still here")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	outW.Close()
	got, _ := io.ReadAll(outR)
	if string(got) != "still here" {
		t.Errorf("output %q", got)
	}
}

// A reader of the output that goes away ends the program in good order.
func TestStdioBrokenPipe(t *testing.T) {
	inR, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	quit := make(chan struct{})
	c, err := Open("stdio", Options{In: inR, Out: outW, Quit: func() { close(quit) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outR.Close()
	io.WriteString(c, "anybody?")
	select {
	case <-quit:
	case <-time.After(10 * time.Second):
		t.Error("nobody is told")
	}
}

// A terminal is raw while the console is open, and as before afterwards.
func TestStdioTerminal(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	defer master.Close()
	defer slave.Close()
	before, _ := term.GetState(int(slave.Fd()))
	pty.Setsize(master, &pty.Winsize{Rows: 40, Cols: 132})
	quit := make(chan struct{})
	var notices bytes.Buffer
	c, err := Open("stdio", Options{In: slave, Out: slave, Notices: &notices, Quit: func() { close(quit) }})
	if err != nil {
		t.Fatal(err)
	}
	if columns, rows := c.Size(); columns != 132 || rows != 40 {
		t.Errorf("size %dx%d", columns, rows)
	}
	resized := make(chan struct{}, 1)
	c.SetResize(func() { resized <- struct{}{} })
	pty.Setsize(master, &pty.Winsize{Rows: 20, Cols: 80})
	c.(*stdio).signals <- sigwinch // the test's own terminal is another
	<-resized
	if columns, rows := c.Size(); columns != 80 || rows != 20 {
		t.Errorf("size after a change %dx%d", columns, rows)
	}
	r := newReceiver(100)
	c.SetInput(r.take)
	io.WriteString(master, "\x03a\x01hb")
	r.wait(t, "\x03ab") // raw: Ctrl-C is the guest's
	io.WriteString(master, "\x01x")
	<-quit
	c.Close()
	after, _ := term.GetState(int(slave.Fd()))
	if *before != *after {
		t.Error("the terminal is not restored")
	}
	if !strings.Contains(notices.String(), "Ctrl-A x") {
		t.Errorf("help printed %q", notices.String())
	}
}

// A signal that ends the program restores the terminal first.
func TestStdioSignal(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	defer master.Close()
	defer slave.Close()
	before, _ := term.GetState(int(slave.Fd()))
	restored := make(chan bool, 1)
	c, err := Open("stdio", Options{In: slave, Out: slave, Quit: func() {
		now, _ := term.GetState(int(slave.Fd()))
		restored <- *now == *before
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*stdio).signals <- sigterm
	if !<-restored {
		t.Error("the terminal was raw when the program was told to quit")
	}
}

func TestPTY(t *testing.T) {
	var notices bytes.Buffer
	c, err := Open("pty", Options{Notices: &notices})
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	name := c.(*ptyEnd).Name()
	if !strings.Contains(notices.String(), name) {
		t.Errorf("printed %q, want %s in it", notices.String(), name)
	}
	user, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	r := newReceiver(100)
	c.SetInput(r.take)
	io.WriteString(user, "hi\r")
	r.wait(t, "hi\r")
	io.WriteString(c, "\x1b[31mred\n")
	buf := make([]byte, 9)
	if _, err := io.ReadFull(user, buf); err != nil || string(buf) != "\x1b[31mred\n" {
		t.Errorf("read %q, %v", buf, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Close hangs")
	}
}

func TestUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console")
	c, err := Open("unix:"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(path)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("socket mode %v", info.Mode())
	}
	r := newReceiver(100)
	c.SetInput(r.take)
	io.WriteString(c, "before anybody came\n")
	first := dial(t, path)
	want(t, first, "before anybody came\n")
	io.WriteString(first, "input")
	r.wait(t, "input")

	second := dial(t, path)
	if got, _ := io.ReadAll(second); !strings.Contains(string(got), "a client already") {
		t.Errorf("second client read %q", got)
	}
	if _, err := Open("unix:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("a second listener: %v", err)
	}
	first.Close()
	// The place is free again, and what was written is shown again.
	for {
		third := dial(t, path)
		buf := make([]byte, 6)
		if _, err := io.ReadFull(third, buf); err == nil && string(buf) == "before" {
			break
		}
		third.Close()
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestUnixStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	c, err := Open("unix:"+path, Options{})
	if err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	c.Close()
	os.WriteFile(path, []byte("precious"), 0o600)
	if _, err := Open("unix:"+path, Options{}); err == nil {
		t.Error("a file was taken for a stale socket")
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("the file is gone")
	}
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

func want(t *testing.T, r io.Reader, s string) {
	t.Helper()
	buf := make([]byte, len(s))
	if _, err := io.ReadFull(r, buf); err != nil || string(buf) != s {
		t.Errorf("read %q, %v; want %q", buf, err, s)
	}
}

// Input that the device refuses is kept, in bounds, until it has room.
func TestBackPressure(t *testing.T) {
	h := newHub(0)
	defer h.close()
	r := newReceiver(10)
	h.SetInput(r.take)
	text := bytes.Repeat([]byte("0123456789"), 1000)
	fed := make(chan struct{})
	go func() { h.feed(text); close(fed) }()
	r.wait(t, "0123456789")
	select {
	case <-fed:
		t.Error("all input was taken though the device was full")
	default:
	}
	h.mu.Lock()
	held := len(h.in)
	h.mu.Unlock()
	if held > inputBytes {
		t.Errorf("%d bytes are held", held)
	}
	r.mu.Lock()
	r.max = len(text)
	r.mu.Unlock()
	h.InputReady()
	<-fed
	r.wait(t, string(text))
}

// A reader that does not read costs the guest a bounded time, and no memory.
func TestSlowReader(t *testing.T) {
	h := newHub(0)
	defer h.close()
	start := time.Now()
	line := make([]byte, 1000)
	for range 1000 {
		h.Write(line)
	}
	if d := time.Since(start); d > 3*patience {
		t.Errorf("writes took %v", d)
	}
	if len(h.out) > outputBytes || h.Dropped() != 1000*1000-outputBytes {
		t.Errorf("%d bytes held, %d dropped", len(h.out), h.Dropped())
	}
}

func TestRecent(t *testing.T) {
	h := newHub(8)
	defer h.close()
	h.setDiscard(true)
	for _, s := range []string{"abc", "defgh", "ij", "0123456789", "", "Z"} {
		io.WriteString(h, s)
	}
	if string(h.recent) != "3456789Z" {
		t.Errorf("recent %q", h.recent)
	}
}
