package platform

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// TestCodeMemory: what is written through one mapping shows in the other, and
// no mapping of it is writable and executable.
func TestCodeMemory(t *testing.T) {
	const name = "code-memory-test"
	m, err := NewCodeMemory(name, 1<<16)
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
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	var rights []string
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, name) {
			rights = append(rights, strings.Fields(line)[1])
		}
	}
	if got := strings.Join(rights, " "); got != "rw-s r-xs" && got != "r-xs rw-s" {
		t.Errorf("mapped %q, want once rw-s and once r-xs", got)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if maps, _ = os.ReadFile("/proc/self/maps"); strings.Contains(string(maps), name) {
		t.Error("still mapped after Close")
	}
}
