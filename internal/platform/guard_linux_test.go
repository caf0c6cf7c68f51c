package platform

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// rights lists the mappings that touch the addresses from lo to hi.
func rights(t *testing.T, lo, hi uintptr) (all []string) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		var flags string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &flags); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if from < hi && lo < to {
			all = append(all, flags)
		}
	}
	return all
}

// TestGuards: nothing can be read or written for guardBytes on both sides of
// guest memory and of both mappings of code, and nothing is left after Close.
func TestGuards(t *testing.T) {
	const size = 1 << 16
	ram, err := NewMemory("ram", size)
	if err != nil {
		t.Fatal(err)
	}
	code, err := NewCodeMemory("code", size)
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		name string
		at   uintptr
	}
	places := []place{{"memory", uintptr(unsafe.Pointer(&ram.Bytes[0]))}, {"code, to be written", uintptr(unsafe.Pointer(&code.Bytes[0]))},
		{"code, to be executed", code.Exec}}
	for _, p := range places {
		for side, got := range map[string][]string{"before": rights(t, p.at-guardBytes, p.at), "behind": rights(t, p.at+size, p.at+size+guardBytes)} {
			// Neighbours that the kernel has joined still show as one.
			if len(got) == 0 || strings.Trim(strings.Join(got, ""), "-p") != "" {
				t.Errorf("%s: %s it, memory is mapped %q, want ---p", p.name, side, got)
			}
		}
		if got := rights(t, p.at, p.at+size); len(got) != 1 || got[0] == "---p" {
			t.Errorf("%s is mapped %q", p.name, got)
		}
	}
	if err := ram.Close(); err != nil {
		t.Error(err)
	}
	if err := code.Close(); err != nil {
		t.Error(err)
	}
}
