package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"doppel/test/guest"
)

// project is a folder with a doppel.yaml, and a place for control sockets of
// its own.
type project struct {
	t   *testing.T
	dir string
	env []string
}

func newProject(t *testing.T, file string) *project {
	t.Helper()
	run, err := os.MkdirTemp("", "up-") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	p := &project{t: t, dir: t.TempDir(), env: []string{"XDG_RUNTIME_DIR=" + run}}
	p.write("doppel.yaml", file)
	return p
}

func (p *project) write(name, content string) string {
	path := filepath.Join(p.dir, name)
	writeFile(p.t, path, []byte(content))
	return path
}

// run runs the program in the folder, to its end.
func (p *project) run(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), kernelUp)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env...)
	var out, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &e
	err := cmd.Run()
	if ctx.Err() != nil || err != nil && cmd.ProcessState == nil {
		p.t.Fatalf("doppel %q: %v\n%s\n%s", args, err, out.String(), e.String())
	}
	return out.String(), e.String(), cmd.ProcessState.ExitCode()
}

// must runs the program, which has to succeed.
func (p *project) must(args ...string) string {
	p.t.Helper()
	out, e, status := p.run(args...)
	if status != 0 {
		p.t.Fatalf("doppel %q: status %d\n%s\n%s", args, status, out, e)
	}
	return out
}

// machine is what doppel ps tells of one.
type machine struct {
	Name, Status, File, Console string
	PID, CPUs                   int
	Memory                      uint64
	Addresses, Published        []string
}

func (p *project) ps() []machine {
	p.t.Helper()
	var all []machine
	if err := json.Unmarshal([]byte(p.must("ps", "--json")), &all); err != nil {
		p.t.Fatal(err)
	}
	return all
}

// Machines of a file run, are listed with their addresses, have consoles, are
// not started twice, and end.
func TestUpDown(t *testing.T) {
	t.Parallel()
	enter(maxMachines)
	defer leave(maxMachines)
	port := freePort(t)
	p := newProject(t, fmt.Sprintf(`name: demo
networks:
  lan0:
  apart: {uplink: none}
defaults:
  memory: 32M
machines:
  web:
    count: 2
    net: switch=lan0
  db:
    cpus: 2
    net: [{switch: lan0, vlan: 7, rate: 10M}, switch=apart]
    publish: "%d:80"
`, port))
	t.Cleanup(func() { p.run("down", "--timeout", "0s") })
	if got := p.must("up", "--detach"); got != "web-1 is up\nweb-2 is up\ndb is up\n" {
		t.Errorf("up: %q", got)
	}
	all := p.ps()
	var got []string
	for _, m := range all {
		got = append(got, fmt.Sprintf("%s %s %d %d %s", m.Name, m.Status, m.CPUs, m.Memory>>20, m.Addresses))
		if m.File != filepath.Join(p.dir, "doppel.yaml") || m.PID != all[0].PID || !strings.HasPrefix(m.Console, "unix:") {
			t.Errorf("%+v", m)
		}
	}
	if want := "web-1 running 1 32 [10.0.2.15], web-2 running 1 32 [10.0.2.16], db running 2 32 [10.0.2.17]"; strings.Join(got, ", ") != want {
		t.Errorf("ps: %q, want %q", got, want)
	}
	if text := p.must("ps"); !regexp.MustCompile(`(?m)^NAME +PROCESS .*\nweb-1 +\d+ +running +1 +32 MiB +10\.0\.2\.15 +- +/`).MatchString(text) {
		t.Errorf("ps: %q", text)
	}
	if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		l.Close()
		t.Error("the port is not published")
	}
	if _, e, status := p.run("up", "-d"); status != 2 || !strings.Contains(e, "is up already") {
		t.Errorf("up again: %d, %q", status, e)
	}
	if out := p.must("stats", "db"); !strings.Contains(out, "db, process") {
		t.Errorf("stats: %q", out)
	}
	// A console is there for who comes.
	s := start(t, options{env: p.env, tty: true, places: -1}, "console", "web-2")
	s.expect("> ", soon)
	s.send("echo from afar\r")
	s.expect("\r\nfrom afar", soon)
	s.send("\x01x")
	s.wait(0, soon)

	// The guests switch themselves off, long before they would be switched off.
	const limit = 5 * time.Minute
	began := time.Now()
	if got := p.must("down", "--timeout", limit.String()); got != "web-1 is down\nweb-2 is down\ndb is down\n" {
		t.Errorf("down: %q", got)
	}
	if d := time.Since(began); d >= limit {
		t.Errorf("down took %v: the guests do not obey", d)
	}
	if all := p.ps(); len(all) != 0 {
		t.Errorf("after the end: %+v", all)
	}
	if got := p.must("down"); !strings.HasPrefix(got, "Nothing") {
		t.Errorf("down again: %q", got)
	}
	left, _ := filepath.Glob(strings.TrimPrefix(p.env[0], "XDG_RUNTIME_DIR=") + "/doppel/*.[sc]*")
	if len(left) > 0 {
		t.Errorf("sockets are left: %v", left)
	}
}

// In the foreground, each line has its machine's name, and what is piped in
// goes to all.
func TestUpForeground(t *testing.T) {
	t.Parallel()
	p := newProject(t, "machines:\n  one: {memory: 16M}\n  three: {memory: 16M}\n")
	s := start(t, options{env: p.env}, "up", "--file", filepath.Join(p.dir, "doppel.yaml"))
	s.expect("help info", soon)
	s.expect("help info", soon)
	s.send("exit 5\n")
	s.wait(5, soon)
	out := s.output()
	for _, want := range []string{"one   | [one has ended: status 5]\n", "three | [three has ended: status 5]\n", "three | processor    hart 0"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "one   | ") && !strings.HasPrefix(line, "three | ") {
			t.Errorf("a line of nobody: %q", line)
		}
	}
}

// On a terminal, keys choose the machine that is typed to.
func TestCountKeys(t *testing.T) {
	t.Parallel()
	s := start(t, options{tty: true}, "run", "--count", "2", "--memory", "16M", "--name", "m")
	s.expect("m-1 | ", soon)
	waitPrompts(s, 2)
	s.send("echo to the first\r")
	s.match(regexp.MustCompile(`m-1 \| \x1b\[0mto the first`), soon)
	s.send("\x01n")
	s.expect("[input goes to m-2]", soon)
	s.send("poweroff\r")
	s.expect("[m-2 has ended: power-off]", soon)
	s.send("\x01n")
	s.expect("[input goes to m-1]", soon)
	s.send("poweroff\r")
	s.wait(0, soon)
	if strings.Contains(s.output(), "m-2 | \x1b[0mto the first") {
		t.Error("the second machine got what was for the first")
	}
}

// waitPrompts waits until so many guests have shown their commands.
func waitPrompts(s *session, n int) {
	s.t.Helper()
	if !s.until(soon, func() bool { return strings.Count(string(s.out), "help info") >= n }) {
		s.fail("no %d prompts", n)
	}
}

// doppel down lets Linux write out what it holds and switch itself off.
func TestDownLinux(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	enter(maxMachines)
	defer leave(maxMachines)
	initrd := f.WriteInitramfs(t, strings.Replace(guest.ShellInit, `echo "initramfs is up"`,
		`echo 1 > /proc/sys/kernel/sysrq; for i in $(seq 100); do test -b /dev/vda && break; usleep 50000; done; exec 9<>/dev/vda; echo kept >&9; echo "initramfs is up"`, 1))
	p := newProject(t, fmt.Sprintf("machines:\n  one:\n    kernel: %s\n    initrd: %s\n    append: console=ttyS0 panic=-1\n    disk: disk.raw\n    memory: 256M\n    net: none\n", f.Kernel, initrd))
	disk := filepath.Join(p.dir, "disk.raw")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 32<<20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.run("down", "--timeout", "0s") })
	p.must("up", "-d")
	s := start(t, options{env: p.env, tty: true, places: -1}, "console", "one")
	s.expect("initramfs is up", 30*time.Second)
	begin := time.Now()
	p.must("down", "--timeout", "60s")
	// The guest has ended by itself: long before it would have been switched off.
	s.expect("sysrq: Power Off", soon)
	if d := time.Since(begin); d > 55*time.Second {
		t.Errorf("down took %v", d)
	}
	s.wait(0, soon)
	// What was in the guest's memory only is on the disk.
	if b := readFile(t, disk); !bytes.HasPrefix(b, []byte("kept\n")) {
		t.Errorf("the disk holds %q", b[:8])
	}
}
