package platform

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// TestCodeMemory: what is written through one mapping shows in the other, and
// no mapping of it is writable and executable. What is executed is what perf
// takes for generated code: anonymous memory.
func TestCodeMemory(t *testing.T) {
	m, err := NewCodeMemory("code", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	copy(m.Bytes[100:], "generated")
	m.Written(100, 9)
	m.Sync()
	if m.stale {
		t.Error("still stale after Sync")
	}
	if got := unsafe.Slice((*byte)(unsafe.Pointer(&m.exec[100])), 9); !bytes.Equal(got, []byte("generated")) {
		t.Errorf("the executable mapping holds %q", got)
	}
	written, executed := uintptr(unsafe.Pointer(&m.Bytes[0])), m.Exec
	for at, want := range map[uintptr]string{written: "rw-s", executed: "r-xs"} {
		if got := mapping(t, at); len(got) < 6 || got[1] != want || got[5] != "/dev/zero" {
			t.Errorf("mapped %q, want %s of /dev/zero", got, want)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for _, at := range []uintptr{written, executed} {
		if got := mapping(t, at); got != nil {
			t.Errorf("still mapped after Close: %q", got)
		}
	}
}

// mapping is the line of /proc/self/maps for an address, or nil.
func mapping(t *testing.T, at uintptr) []string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		if from <= at && at < to {
			return strings.Fields(line)
		}
	}
	return nil
}
