package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"doppel/internal/cpu/jit"
)

// program is the program under test.
var program string

const binaryEnv = "DOPPEL_TEST_BINARY"

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if program = os.Getenv(binaryEnv); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "doppel-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "doppel")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "doppel/cmd/doppel")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
		return 1
	}
	return m.Run()
}

// engines lists those that this host has. Most tests leave the choice to the
// program, which takes the first; a few run on all.
var engines = func() []string {
	if jit.Available() {
		return []string{"jit", "interp"}
	}
	return []string{"interp"}
}()

// onEngines runs a test on each engine.
func onEngines(t *testing.T, test func(t *testing.T, engine string)) {
	for _, e := range engines {
		t.Run(e, func(t *testing.T) { test(t, e) })
	}
}
