package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// doppelOutput runs the program to its end.
func doppelOutput(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("doppel %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// Each step of the lesson runs from the command line, with its page.
func TestLab(t *testing.T) {
	t.Parallel()
	list := doppelOutput(t, "lab")
	for n, step := range map[string]string{
		"1": `guest prints: "500000500000"`, "2": `guest prints: "tick"`, "3": `guest prints: "hello from user mode"`,
		"4": `guest prints: "thread B runs"`, "5": `guest prints: "running"`, "6": "as much processor time", "7": `guest prints: "4000 increments"`,
	} {
		if !strings.Contains(list, "\n"+n+"  ") && !strings.HasPrefix(list, n+"  ") {
			t.Errorf("step %s is not in the list:\n%s", n, list)
		}
		out := doppelOutput(t, "lab", n)
		for _, want := range []string{"# Step " + n + ": ", "## Questions", "what the VMM did", step} {
			if !strings.Contains(out, want) {
				t.Errorf("step %s lacks %q:\n%s", n, want, out)
			}
		}
	}
}

// A reader prints a guest, changes it and runs it.
func TestLabSource(t *testing.T) {
	t.Parallel()
	source := doppelOutput(t, "lab", "2", "--print-source")
	path := filepath.Join(t.TempDir(), "my.s")
	writeFile(t, path, []byte(strings.Replace(source, `"tick\n"`, `"tock\n"`, 1)))
	out := doppelOutput(t, "lab", "2", "--source", path, "--brief", "--no-trace", "--set", "ticks=2", "--set", "period=1ms")
	if n := strings.Count(out, `guest prints: "tock"`); n != 2 || strings.Contains(out, "what the VMM did") || strings.Contains(out, "# Step") {
		t.Errorf("%s", out)
	}
}

// The answer to the lesson's last question is a measurement.
func TestLabBomb(t *testing.T) {
	t.Parallel()
	out := doppelOutput(t, "lab", "4", "--bomb")
	for _, want := range []string{"beside the bomb", "The bomb leaves it ", "the bomb's machine has "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q:\n%s", want, out)
		}
	}
}

func TestLabBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken, empty, large := filepath.Join(dir, "broken.s"), filepath.Join(dir, "empty.s"), filepath.Join(dir, "large.s")
	writeFile(t, broken, []byte("start:\n\tadd a0, a1\n"))
	writeFile(t, empty, nil)
	writeFile(t, large, make([]byte, 2<<20))
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"lab", "9"}, []string{"step 9", "1 to 7"}},
		{[]string{"lab", "two"}, []string{`"two"`, "1 to 7"}},
		{[]string{"lab", "1", "2"}, []string{"one step at most"}},
		{[]string{"lab", "--brief"}, []string{"which step"}},
		{[]string{"lab", "2", "--set", "period=1"}, []string{"period=1", "10µs to 1s"}},
		{[]string{"lab", "2", "--set", "period"}, []string{"--set", "NAME=VALUE"}},
		{[]string{"lab", "2", "--set", "nothing=1"}, []string{"nothing", "period, ticks"}},
		{[]string{"lab", "2", "--lines", "-1"}, []string{"--lines -1", "0 or more"}},
		{[]string{"lab", "2", "--bomb"}, []string{"--bomb", "step 4"}},
		{[]string{"lab", "2", "--source", filepath.Join(dir, "missing")}, []string{"--source", "missing", "no such file"}},
		{[]string{"lab", "2", "--source", dir}, []string{"--source", "is a directory"}},
		{[]string{"lab", "2", "--source", broken}, []string{"the guest's source: line 2", "add a0, a1"}},
		{[]string{"lab", "2", "--source", empty}, []string{"empty.s", "is empty"}},
		{[]string{"lab", "2", "--source", large}, []string{"large.s", "longer than"}},
		{[]string{"lab", "2", "--engine", "kvm"}, []string{"--engine", "kvm", "interp"}},
		{[]string{"run", "--trace", "everything"}, []string{"--trace", "everything", "exits=FILE"}},
		{[]string{"run", "--trace", "exits="}, []string{"--trace", "no file"}},
		{[]string{"run", "--trace", "exits=" + dir}, []string{"--trace", "is a directory"}},
		{[]string{"run", "--trace", "exits", "--engine", "jit,check"}, []string{"--engine", "jit,check", "trace with"}},
		{[]string{"top"}, []string{"needs a terminal", "doppel stats --json"}},
		{[]string{"top", "--interval", "1ms"}, []string{"--interval", "1ms", "100ms"}},
		{[]string{"top", "x"}, []string{"no arguments"}},
	} {
		status, stderr := refusal(t, nil, c.args...)
		if status != 2 {
			t.Errorf("doppel %q ends with status %d, want 2", c.args, status)
		}
		sentence(t, c.args, stderr, c.words...)
	}
}

// A trace lists what the guest inside the program does, in a file or among
// what is said of the run.
func TestTraceFlag(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, engine string) {
		path := filepath.Join(t.TempDir(), "trace")
		s := start(t, options{engine: engine}, "run", "--trace", "exits="+path)
		s.match(demoOK, soon)
		s.send("trap\n")
		s.expect("exception 2 at pc", soon)
		s.send("poweroff\n")
		s.wait(0, soon)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`time cpu mode +pc cause`, `uart0\.THR <- 0x54 'T'`, `SBI TIME\.set_timer\(.*stimecmp = now \+`, `supervisor timer interrupt .*injected: S handler`,
			`SBI IPI\.send_ipi`, `plic\.context 1 claim = 0xa`, `illegal instruction +\.4byte 0xffffffff +delivered: S handler`,
			`SBI SRST\.system_reset\(reset_type 0, reset_reason 0\): the machine ends`,
		} {
			if !regexp.MustCompile(want).Match(text) {
				t.Errorf("no line %s", want)
			}
		}
	})
	s := start(t, options{}, "run", "--trace", "exits")
	s.match(demoOK, soon)
	s.send("poweroff\n")
	s.wait(0, soon)
	if !strings.Contains(s.stderr(), "SBI SRST.system_reset") {
		t.Errorf("standard error: %q", s.stderr())
	}
}

// doppel top shows machines that come and go, and leaves the terminal as it
// was.
func TestTop(t *testing.T) {
	t.Parallel()
	env := []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "TERM=xterm-256color"}
	s := start(t, options{env: env, tty: true}, "top", "--interval", "100ms")
	s.expect("running.", soon) // No machine is running.
	m := start(t, options{env: env}, "run", "--name", "a-machine")
	m.match(demoOK, soon)
	s.expect("a-machine", soon)
	s.send("c")
	s.expect("cpu0", soon)
	m.send("poweroff\n")
	m.wait(0, soon)
	s.expect("running.", soon) // No machine is running.
	s.send("q")
	s.wait(0, soon)
}
