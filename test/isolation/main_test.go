package isolation

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"doppel"
	"doppel/internal/platform"
)

// boundEnv is set in the process that has only one processor, to its number.
const boundEnv = "DOPPEL_TEST_PROCESSOR"

// TestMain begins again on one processor, with all threads that there will be.
func TestMain(m *testing.M) {
	if os.Getenv(boundEnv) == "" {
		fmt.Fprintln(os.Stderr, bindAndRestart())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func bindAndRestart() error {
	cpu := doppel.Processors()[0]
	runtime.LockOSThread()
	if err := platform.BindThread([]int{cpu}); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), boundEnv+"="+strconv.Itoa(cpu)))
}
