//go:build linux && (amd64 || arm64)

package engines

import (
	"io"
	"os"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"doppel/test/differential/repeat"
)

// TestSignals: signals of the kinds that Go sends itself, to stop goroutines
// and to profile, change nothing when they hit generated code, however many
// there are.
func TestSignals(t *testing.T) {
	need(t)
	seed := repeat.Seed(t)
	// A profile in progress (go test -cpuprofile) serves as well.
	if pprof.StartCPUProfile(io.Discard) == nil {
		defer pprof.StopCPUProfile()
	}
	var sent atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Microsecond):
			}
			threads, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range threads {
				tid, _ := strconv.Atoi(e.Name())
				for _, s := range []unix.Signal{unix.SIGURG, unix.SIGPROF} {
					// A thread that has just ended is none to signal.
					if err := unix.Tgkill(unix.Getpid(), tid, s); err != nil && err != unix.ESRCH {
						t.Error(err)
						return
					}
					sent.Add(1)
				}
			}
		}
	}()
	all := sets(t)
	for i := range repeat.Count(t, 100, 40) {
		check(t, all[i%len(all)], newProgram(seed+uint64(i)), seed+uint64(i), length)
	}
	close(stop)
	<-stopped
	if sent.Load() < 1000 {
		t.Errorf("only %d signals: this test shows nothing", sent.Load())
	}
	t.Logf("%d signals", sent.Load())
}
