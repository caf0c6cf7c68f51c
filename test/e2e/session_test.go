package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// How long things may take on a host that has other work too. They are limits,
// not measurements: what waits goes on at once.
const (
	soon      = 30 * time.Second  // the program itself
	kernelUp  = 120 * time.Second // a kernel to its first program
	systemUp  = 400 * time.Second // a whole distribution
	firmwares = 240 * time.Second // firmware, boot loader and kernel
)

// machines limits how many run at once; a session gives its place back when
// the program ends. One that is large takes all places.
var (
	machines = make(chan struct{}, maxMachines)
	entering sync.Mutex // so that two do not hold half of the places each
)

const maxMachines = 2

func enter(places int) {
	if places == 0 {
		return // not behind one who waits for places
	}
	entering.Lock()
	defer entering.Unlock()
	for range places {
		machines <- struct{}{}
	}
}

func leave(places int) {
	for range places {
		<-machines
	}
}

// options say how the program is started.
type options struct {
	env    []string // added to the test's own
	tty    bool     // on a terminal, with standard error on it too
	unread bool     // nobody reads standard output
	large  bool     // too much work for the host to run beside others
	places int      // of machines that it takes; 0: one, -1: none
	engine string   // of the machine; "" is the program's choice
}

// session is a run of the program and what came of it.
type session struct {
	t      testing.TB
	args   []string
	env    []string
	cmd    *exec.Cmd
	in     io.WriteCloser
	places int           // of machines
	tty    *os.File      // our side of the terminal, nil without one
	modes  terminalModes // as they were before the start

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when out or ended change
	out      []byte
	at       int // what was expected so far ends here
	errOut   bytes.Buffer
	ended    bool
	commands int
}

// start starts the program; it is killed when the test ends.
func start(t testing.TB, o options, args ...string) *session {
	t.Helper()
	if o.engine != "" {
		args = append(slices.Clone(args), "--engine", o.engine)
	}
	s := &session{t: t, args: args, env: o.env, places: 1, changed: make(chan struct{}), cmd: exec.Command(program, args...)}
	s.cmd.Env = append(os.Environ(), o.env...)
	switch {
	case o.large:
		s.places = maxMachines
	case o.places != 0:
		s.places = max(o.places, 0)
	}
	enter(s.places)
	if o.tty {
		s.startTTY()
	} else {
		s.startPipes(o.unread)
	}
	t.Cleanup(s.kill)
	return s
}

func (s *session) startPipes(unread bool) {
	s.t.Helper()
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stderr = (*errorWriter)(s)
	if unread {
		// The end that is to be read stays open and full.
		r, w, err := os.Pipe()
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { r.Close() })
		s.cmd.Stdout = w
		defer w.Close()
	} else {
		s.cmd.Stdout = s
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go s.reap(nil)
}

func (s *session) startTTY() {
	s.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		s.t.Fatal(err)
	}
	defer slave.Close()
	if err := pty.Setsize(master, &pty.Winsize{Cols: 100, Rows: 30}); err != nil {
		s.t.Fatal(err)
	}
	s.tty, s.in = master, master
	s.modes = modes(s.t, s.tty)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = newTerminalSession()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		io.Copy(s, master)
		close(read)
	}()
	go s.reap(read)
}

// reap waits for the program's end. The reader of a terminal is given a moment
// for what is still in it; it ends by itself only when nobody has it open.
func (s *session) reap(read <-chan struct{}) {
	s.cmd.Wait()
	leave(s.places)
	if read != nil {
		select {
		case <-read:
		case <-time.After(time.Second):
		}
	}
	s.update(func() { s.ended = true })
}

func (s *session) update(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Write takes what the program prints.
func (s *session) Write(p []byte) (int, error) {
	s.update(func() { s.out = append(s.out, p...) })
	return len(p), nil
}

type errorWriter session

func (e *errorWriter) Write(p []byte) (int, error) {
	s := (*session)(e)
	s.update(func() { s.errOut.Write(p) })
	return len(p), nil
}

// command is what to type to repeat the run.
func (s *session) command() string {
	words := append([]string(nil), s.env...)
	words = append(words, "bin/doppel")
	for _, a := range s.args {
		if strings.ContainsAny(a, " $&;|'\"\\*?<>()") || a == "" {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// fail ends the test with all that is known.
func (s *session) fail(format string, args ...any) {
	s.t.Helper()
	s.kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Fatalf("%s\ncommand: %s\n%v\n---- standard error ----\n%s\n---- console ----\n%s\n----", fmt.Sprintf(format, args...),
		s.command(), s.cmd.ProcessState, s.errOut.String(), printable(s.out))
}

// printable keeps a console's text and makes the rest harmless.
func printable(p []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return -1
		case r < ' ' && r != '\n' && r != '\t' || r == 0x7f:
			return '·'
		}
		return r
	}, string(p))
}

// until waits until done, asked with the lock held, says so.
func (s *session) until(limit time.Duration, done func() bool) bool {
	deadline := time.After(limit)
	for {
		s.mu.Lock()
		ok, ended, changed := done(), s.ended, s.changed
		s.mu.Unlock()
		if ok {
			return true
		}
		if ended {
			return false
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}

// expect waits for text in what is printed behind the last expected, and
// returns what came before it.
func (s *session) expect(text string, limit time.Duration) string {
	s.t.Helper()
	return s.match(regexp.MustCompile(regexp.QuoteMeta(text)), limit)[0]
}

// match waits for a pattern. It returns what came before it, the match and its
// groups.
func (s *session) match(re *regexp.Regexp, limit time.Duration) []string {
	s.t.Helper()
	var found []string
	ok := s.until(limit, func() bool {
		rest := s.out[s.at:]
		loc := re.FindSubmatchIndex(rest)
		if loc == nil {
			return false
		}
		found = append(found, string(rest[:loc[0]]))
		for i := 0; i < len(loc); i += 2 {
			if loc[i] < 0 {
				found = append(found, "")
				continue
			}
			found = append(found, string(rest[loc[i]:loc[i+1]]))
		}
		s.at += loc[1]
		return true
	})
	if !ok {
		s.fail("no %q within %v", re, limit)
	}
	return found
}

// send types text.
func (s *session) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, text); err != nil {
		s.fail("typing %q: %v", text, err)
	}
}

// shell runs a command in a shell whose terminal does not echo, and returns
// what it printed and its status.
func (s *session) shell(command string, limit time.Duration) (string, int) {
	s.t.Helper()
	s.commands++
	// The mark is written so that the command itself does not hold it.
	s.send(fmt.Sprintf("%s\necho \"<e\"\"nd %d:$?>\"\n", command, s.commands))
	m := s.match(regexp.MustCompile(fmt.Sprintf(`<end %d:(\d+)>\r?\n`, s.commands)), limit)
	var status int
	fmt.Sscan(m[2], &status)
	return strings.ReplaceAll(m[0], "\r", ""), status
}

// must runs a command that has to succeed.
func (s *session) must(command string, limit time.Duration) string {
	s.t.Helper()
	out, status := s.shell(command, limit)
	if status != 0 {
		s.fail("in the guest: %s\nstatus %d, output:\n%s", command, status, out)
	}
	return out
}

// wait waits for the program's end and checks its exit status.
func (s *session) wait(status int, limit time.Duration) {
	s.t.Helper()
	if !s.until(limit, func() bool { return s.ended }) {
		s.fail("still running after %v", limit)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != status {
		s.fail("exit status %d, want %d", got, status)
	}
}

// output is all that was printed so far.
func (s *session) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.out)
}

func (s *session) stderr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errOut.String()
}

// kill ends the program and checks that it has not crashed.
func (s *session) kill() {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	s.until(10*time.Second, func() bool { return s.ended })
	if s.tty != nil {
		s.tty.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.errOut.String()
	if s.tty != nil {
		text = string(s.out)
	}
	if i := strings.Index(text, "goroutine "); i >= 0 && strings.Contains(text, ".go:") {
		s.t.Errorf("%s crashed:\n%s", s.command(), text[max(0, i-500):])
	}
}
