package e2e

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// talk types at a console at its far end and waits for what comes back.
func talk(t *testing.T, s *session, c io.ReadWriter, text, want string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		s.fail("typing %q: %v", text, err)
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), want) {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			s.fail("waiting for %q: %v after %q", want, err, got.String())
		}
	}
}

// A socket takes one client after the other; who comes late sees the last
// output.
func TestConsoleUnix(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "console")
	s := start(t, options{}, "run", "--console", "unix:"+path)
	// One client has the console; another is sent away until the first is seen to be gone. What was said lately comes first.
	dial := func(want string) net.Conn {
		for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			c, err := net.Dial("unix", path)
			if err != nil {
				continue
			}
			c.SetDeadline(time.Now().Add(soon))
			var got []byte
			for buf := make([]byte, 4096); err == nil && !strings.Contains(string(got), want); {
				var n int
				n, err = c.Read(buf)
				got = append(got, buf[:n]...)
			}
			if err == nil {
				return c
			}
			c.Close()
		}
		s.fail("no client gets to the console")
		return nil
	}
	dial("exit STATUS").Close()
	c := dial("exit STATUS")
	talk(t, s, c, "echo again\n", "\nagain")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		s.fail("others may open the socket: %v %v", info.Mode(), err)
	}
	if _, err := io.WriteString(c, "exit 5\n"); err != nil {
		t.Fatal(err)
	}
	s.wait(5, soon)
	c.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Errorf("the socket %s is left behind", path)
	}
	if s.output() != "" {
		t.Errorf("standard output: %q", s.output())
	}
}

// A pseudo terminal is named on standard error.
func TestConsolePTY(t *testing.T) {
	t.Parallel()
	s := start(t, options{}, "run", "--console", "pty")
	name := regexp.MustCompile(`/dev/pts/\d+`)
	if !s.until(soon, func() bool { return name.Match(s.errOut.Bytes()) }) {
		s.fail("no terminal is named")
	}
	f, err := os.OpenFile(name.FindString(s.stderr()), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.fail("%v", err)
	}
	defer f.Close()
	talk(t, s, f, "echo here\n", "\nhere")
	if _, err := io.WriteString(f, "poweroff\n"); err != nil {
		t.Fatal(err)
	}
	s.wait(0, soon)
}

// Without a console the guest runs all the same.
func TestConsoleNone(t *testing.T) {
	t.Parallel()
	firmware := filepath.Join(t.TempDir(), "firmware")
	writeFile(t, firmware, assemble(t, 0x80000000, strings.Replace(uartFlood, "j    1b", "li t2, 0x100000\n li t3, 0x113333\n sw t3, 0(t2)\n2: j 2b", 1)))
	s := start(t, options{}, "run", "--console", "none", "--firmware", firmware)
	s.wait(0x11, soon)
	if s.output() != "" || s.stderr() != "" {
		t.Errorf("output %q, errors %q", s.output(), s.stderr())
	}
}
