package oracle

import (
	"os"
	"path/filepath"
	"testing"
)

// The environment's choice wins, and what it names is asked for its version.
func TestEnvironment(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho qemu-riscv64 version 9.2.1 ok\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(UserEnv, fake)
	t.Setenv(SystemEnv, fake)
	for name, f := range map[string]func() (*QEMU, error){"user": User, "system": System} {
		q, err := f()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if q.Major != 9 || q.Minor != 2 || q.AtLeast(10, 0) || !q.AtLeast(9, 1) || !q.AtLeast(8, 9) {
			t.Errorf("%s: got %v", name, q)
		}
	}
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho something else\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if q, err := User(); err == nil {
		t.Errorf("a program that is no QEMU was taken for %v", q)
	}
}
