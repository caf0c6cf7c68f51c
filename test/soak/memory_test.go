package soak

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

const (
	// mostLive is by how much what is live of Go's memory may have grown when all
	// machines are gone. Of a single one much more would be left.
	mostLive = 3 * mib
	// mostBeside is the same for what the process has of the host beside that: a
	// guest's memory, or the code of a few translators.
	mostBeside = 8 * mib
)

// own is what the process has of the host's memory beside files, while it has no
// guests.
type own struct {
	live int64 // of Go's memory
	// beside is what is in mappings of our own, less what Go has asked for and
	// not used: it may be below 0.
	beside int64
}

func (o own) String() string { return fmt.Sprintf("%d KiB live, %d beside", o.live>>10, o.beside>>10) }

// checkMemory waits until the process has little more than it had: garbage may
// not be known as such at once, and is given back by goroutines of Go's.
func checkMemory(t *testing.T, before own) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for looks := 1; ; looks++ {
		after := ownMemory(t)
		if after.live <= before.live+mostLive && after.beside <= before.beside+mostBeside {
			t.Logf("own memory: %v; afterwards %v, at look %d", before, after, looks)
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("own memory has grown from %v to %v", before, after)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// ownMemory is the present one, without garbage. The books that Go keeps of its
// memory count as what they are at most: they only grow, with the most garbage
// that there ever was.
func ownMemory(t *testing.T) (o own) {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("the host does not tell what a process takes: %v", err)
	}
	seen := 0
	for line := range strings.Lines(string(b)) {
		var kind string
		var kb int64
		if _, err := fmt.Sscanf(line, "%s %d kB", &kind, &kb); err == nil && (kind == "RssAnon:" || kind == "RssShmem:") {
			o.beside += kb << 10
			seen++
		}
	}
	if seen != 2 {
		t.Fatal("no lines RssAnon and RssShmem in /proc/self/status")
	}
	o.live = int64(m.HeapAlloc)
	o.beside -= int64(m.Sys - m.HeapReleased)
	return o
}
