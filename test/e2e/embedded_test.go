package e2e

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// demoOK is what the guest says of its machine, up to its prompt.
var demoOK = regexp.MustCompile(`(?s)small guest inside Doppel.*processor .*SBI [23]\.\d+\r?\n.*memory +\d+ MiB; pattern test of the last one: ok\r?\n` +
	`.*timer +5 interrupts, 10 ms apart, took \d+ ms\r?\n.*software .*: ok\r?\n.*console .*: ok\r?\n.*> `)

// The guest inside the program, typed at through pipes.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	onEngines(t, embedded)
}

func embedded(t *testing.T, engine string) {
	s := start(t, options{engine: engine}, "run")
	s.match(demoOK, soon)
	for _, c := range []struct{ command, answer string }{
		{"help", `help info time echo TEXT trap exit STATUS reboot poweroff`},
		{"echo over the wire", `\nover the wire\r?\n`},
		{"info", `memory +512 MiB; pattern test of the last one: ok`},
		{"time", `up \d+ ms, \d+ instructions`},
		{"trap", `exception 2 at pc 0x[0-9a-f]+, value 0xffffffff`},
		{"nonsense", `no such command; try help`},
		{"", `> `},
		{strings.Repeat("long ", 100), `no such command`},
		{"ec\bX\x7fcho erased", `\nerased\r?\n`},
	} {
		s.send(c.command + "\n")
		s.match(regexp.MustCompile(c.answer), soon)
	}
	s.send("reboot\n")
	s.match(demoOK, soon)
	s.send("poweroff\n")
	s.wait(0, soon)
	if stairs := regexp.MustCompile(`[^\r]\n.*`).FindString(s.output()); stairs != "" {
		s.fail("a new line without a carriage return: %q", stairs)
	}
	if s.stderr() != "" {
		t.Errorf("standard error: %q", s.stderr())
	}
}

// Everything typed before the guest is up is there when it reads; the end of
// standard input does not end the machine.
func TestEmbeddedTypedAhead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in     string
		status int
	}{{"poweroff\n", 0}, {"exit 7\n", 7}, {"exit 0\n", 0}, {"exit 255\n", 255}, {"exit 4660\n", 255}} {
		s := start(t, options{}, "run", "--memory", "64M")
		s.send(c.in)
		s.in.Close()
		s.wait(c.status, soon)
	}
}

func TestEmbeddedFourHarts(t *testing.T) {
	t.Parallel()
	onEngines(t, embeddedFourHarts)
}

func embeddedFourHarts(t *testing.T, engine string) {
	s := start(t, options{engine: engine}, "run", "--cpus", "4", "--memory", "128M", "--net", "none", "--seed", "5")
	m := s.match(demoOK, soon)
	if !strings.Contains(m[1], "128 MiB") {
		s.fail("memory is not 128 MiB")
	}
	s.send("poweroff\n")
	s.wait(0, soon)
}

// On a terminal: keys, and the settings restored in every way to end.
func TestEmbeddedTerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		end    func(*session)
		status int
	}{
		{"poweroff", func(s *session) { s.send("poweroff\r") }, 0},
		{"guest's own status", func(s *session) { s.send("exit 9\r") }, 9},
		{"quit", func(s *session) { s.send("\x01x") }, 0},
		{"SIGTERM", func(s *session) { s.cmd.Process.Signal(syscall.SIGTERM) }, 0},
		{"SIGHUP", func(s *session) { s.cmd.Process.Signal(syscall.SIGHUP) }, 0},
		{"SIGINT", func(s *session) { s.cmd.Process.Signal(syscall.SIGINT) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, options{tty: true}, "run")
			s.match(demoOK, soon)
			if during := modes(t, s.tty); during.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 {
				s.fail("the terminal is not raw: local modes %#x", during.Lflag)
			}
			s.send("\x01h")
			s.expect("Ctrl-A x", soon)
			s.send("echo \x01\x01\x01aok\r") // the guest drops control characters
			s.expect("\nok", soon)
			s.send("\x03") // Ctrl-C is the guest's
			s.send("echo alive\r")
			s.expect("\nalive", soon)
			c.end(s)
			// The settings are looked at before anything could reset the terminal.
			if !s.until(soon, func() bool { return s.ended }) {
				s.fail("still running")
			}
			if after := modes(t, s.tty); after != s.modes {
				s.fail("the terminal's settings are not as before:\n%+v\n%+v", s.modes, after)
			}
			s.wait(c.status, soon)
		})
	}
}
