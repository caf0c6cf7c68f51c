package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"doppel/internal/cpu/jit"
)

// needsTranslator skips on hosts that have none.
func needsTranslator(t *testing.T) {
	t.Helper()
	if !jit.Available() {
		t.Skip("the translator is missing on this host")
	}
}

// A run with a dump and a map for perf is like any other, and both files hold
// what was translated.
func TestTranslatorFiles(t *testing.T) {
	t.Parallel()
	needsTranslator(t)
	dump := filepath.Join(t.TempDir(), "dump")
	s := start(t, options{}, "run", "--jit-dump", dump, "--perf-map")
	names := fmt.Sprintf("/tmp/perf-%d.map", s.cmd.Process.Pid)
	t.Cleanup(func() { os.Remove(names) })
	s.match(demoOK, soon)
	s.send("poweroff\n")
	s.wait(0, soon)
	for path, words := range map[string][]string{
		dump:  {"== cpu0 block va 0x80", "ir after lowering:", "host, "},
		names: {" doppel:routines\n", " guest:block 0x80"},
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		for _, w := range words {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
	}
}

// A dump that fills the disk does not stop the guest, and is told.
func TestDumpDiskFull(t *testing.T) {
	t.Parallel()
	needsTranslator(t)
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("/dev/full is missing")
	}
	s := start(t, options{}, "run", "--jit-dump", "/dev/full")
	s.match(demoOK, soon)
	s.send("poweroff\n")
	s.wait(1, soon)
	sentence(t, s.args, s.stderr(), "dump", "/dev/full", "no space left", "not complete")
}

// The guest inside the program does all that it can while the translator is
// compared with the interpreter.
func TestChecked(t *testing.T) {
	t.Parallel()
	needsTranslator(t)
	embedded(t, "jit,check")
}

// Another command sees what a running machine has done: by name, by process,
// at a socket of its own, and among all; when the machine ends, nothing is
// left.
func TestStats(t *testing.T) {
	t.Parallel()
	run := t.TempDir()
	env := []string{"XDG_RUNTIME_DIR=" + run}
	socket := filepath.Join(t.TempDir(), "socket")
	ask := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program, append([]string{"stats"}, args...)...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("doppel stats %q: %v, %s", args, err, out)
		}
		return string(out)
	}
	if got := ask(); got != "No machine is running.\n" {
		t.Errorf("without a machine: %q", got)
	}
	a := start(t, options{env: env}, "run", "--name", "first", "--stats")
	b := start(t, options{env: env}, "run", "--control", socket)
	for _, s := range []*session{a, b} {
		s.match(demoOK, soon)
	}
	pid := a.cmd.Process.Pid
	for _, args := range [][]string{{}, {"first"}, {fmt.Sprint(pid)}} {
		var all []struct {
			Name, Status, Engine string
			PID                  int
			CPUs                 []struct {
				Instructions uint64
				Exits        map[string]uint64
				Counts       map[string]uint64
			}
		}
		out := ask(append(args, "--json")...)
		if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
			t.Fatalf("doppel stats %q: %v: %s", args, err, out)
		}
		m := all[0]
		if m.Name != "first" || m.PID != pid || m.Status != "running" || m.Engine != engines[0] || len(m.CPUs) != 1 ||
			m.CPUs[0].Instructions == 0 || m.CPUs[0].Exits["mmio"] == 0 || (m.Engine == "jit") != (m.CPUs[0].Counts["TLB misses of loads"] != 0) {
			t.Errorf("doppel stats %q: %s", args, out)
		}
	}
	if got := ask("--control", socket); !regexp.MustCompile(`(?s)^guest, process \d+, running, engine \w+\n.*\n  instructions +[1-9]\d*\n`).MatchString(got) {
		t.Errorf("at a socket: %q", got)
	}
	for _, s := range []*session{a, b} {
		s.send("poweroff\n")
		s.wait(0, soon)
	}
	if got := ask("--json"); got != "[]\n" {
		t.Errorf("after the end: %q", got)
	}
	if !strings.HasPrefix(a.stderr(), "first, process ") || !strings.Contains(a.stderr(), " stopped, ") || !strings.Contains(a.stderr(), "exits, halt") {
		t.Errorf("run --stats: %q", a.stderr())
	}
	if left, err := os.ReadDir(filepath.Join(run, "doppel")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
