package e2e

import (
	"fmt"
	"os"
	"path/filepath"
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
