// Package arm64 runs the tests of the translator on arm64: on other hosts
// cross-compiled, under QEMU's user mode.
//
// What that does not show is the order of memory accesses: QEMU runs them in
// the order of its own host, which hides what a weaker one would do.
package arm64

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"doppel/test/oracle"
)

// limit is far more than a test needs on a busy host.
const limit = 30 * time.Minute

// TestTranslator runs what is quick of the translator's own tests, and of those
// that all engines pass.
func TestTranslator(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this takes a minute")
	}
	const regions = `[1-9]\d* regions|regions:[^\n]* regions:[1-9]`
	for _, c := range []struct {
		name, dir string
		run       string
		cpu       string // an Armv8.0 that has no atomic instructions, or the host's best
		shows     string // a regular expression of what the tests must log
	}{
		{"Engine", "internal/cpu/jit", "^(TestLayout|TestRandomBlocks|TestEngineChange|TestSystem|TestFPOff|TestAcross|TestOverlappingBlocks|TestUnderflow|TestPoison|TestReturns|TestManyCalls|TestEnterFrame|TestCallStack)", "max", ""},
		{"Regions", "internal/cpu/jit", "^(TestRandomLoops|TestFarLinks|TestRegionFollowsProcesses)$", "max", regions},
		{"Contract", "internal/cpu/jit", "^TestContract$/^(Squeezed|Regions)$", "max", ""},
		{"Baseline", "internal/cpu/jit", "^TestContract$/^Eager$/^(Atomics|Reservations|Parallel(AMO|LRSC|CAS|Fence))$", "cortex-a53", ""},
		{"BaselineBlocks", "internal/cpu/jit", "^TestRandomBlocks$", "cortex-a53", ""},
		{"BaselineRegions", "internal/cpu/jit", "^TestRandomLoops$", "cortex-a53", regions},
		{"Slicing", "internal/cpu/jit", "^TestContract$/^Regions$/^Slicing$", "max", ""},
		{"Programs", "test/differential/engines", "^TestPrograms$", "max", regions},
		{"Conformance", "test/conformance", "^TestInstructions$", "max", ""},
		{"Litmus", "test/litmus", "", "max", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := filepath.Abs(filepath.Join("../..", c.dir))
			if err != nil {
				t.Fatal(err)
			}
			if os.Getenv("DOPPEL_PROGRAMS") == "" {
				t.Setenv("DOPPEL_PROGRAMS", "150")
			}
			args := []string{"-test.short", "-test.v", "-test.run=" + c.run}
			if c.name != "Slicing" {
				args = append(args, "-test.skip=//^(Slicing|SaveRestore|HostileState)$")
			}
			out := run(t, dir, c.cpu, args...)
			if !regexp.MustCompile(c.shows).MatchString(out) {
				t.Errorf("no test logs %q:\n%s", c.shows, out)
			}
		})
	}
}

// TestCanFail: a test that fails there fails here.
func TestCanFail(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this compiles for arm64")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module x\ngo 1.26\n",
		"x_test.go": "package x\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Fatal(\"as it should\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := start(t, dir, "max")
	if _, ok := err.(*exec.ExitError); !ok || !strings.Contains(out, "as it should") {
		t.Errorf("%v\n%s", err, out)
	}
}

// run returns what the tests print.
func run(t *testing.T, dir, cpu string, args ...string) string {
	t.Helper()
	out, err := start(t, dir, cpu, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	passed := strings.Count(out, "--- PASS: ")
	if passed == 0 {
		t.Errorf("no test has run:\n%s", out)
	}
	t.Logf("%d passed, %d skipped", passed, strings.Count(out, "--- SKIP: "))
	return out
}

// start compiles the tests of dir for arm64 and runs them there.
func start(t *testing.T, dir, cpu string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	bin := filepath.Join(t.TempDir(), "arm64.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", bin, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go test -c in %s: %v\n%s", dir, err, out)
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	if runtime.GOARCH != "arm64" {
		q := emulator(t)
		c := q.Command(append([]string{"-cpu", cpu, bin}, args...)...)
		cmd = exec.CommandContext(ctx, c.Path, c.Args[1:]...)
		cmd.Env = c.Env
	}
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// emulator finds a QEMU that notices code that is written through another
// mapping, by the instructions for the instruction cache.
func emulator(t *testing.T) *oracle.QEMU {
	t.Helper()
	q, err := oracle.ARM64()
	if err != nil {
		t.Skip(err)
	}
	if !q.AtLeast(8, 1) {
		t.Skipf("qemu-aarch64 is %v, which does not know of written code: run `go run ./tools/oracle` for a newer one", q)
	}
	return q
}
