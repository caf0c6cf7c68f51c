package platform

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestMappedFile: a file that somebody cuts short while it is read is an error.
func TestMappedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 3*os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := MapFile(f, 3*os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	to := make([]byte, len(b))
	read := func() error {
		copy(to, b)
		return nil
	}
	if err := ReadMapped(read); err != nil {
		t.Errorf("a whole file: %v", err)
	}
	if err := os.Truncate(path, 1); err != nil {
		t.Fatal(err)
	}
	if err := ReadMapped(read); !errors.Is(err, ErrMappedFile) {
		t.Errorf("a file that was cut short: %v", err)
	}
	func() {
		defer func() {
			if p := recover(); p != "other" {
				t.Errorf("another panic became %v", p)
			}
		}()
		ReadMapped(func() error { panic("other") })
	}()
	if err := UnmapFile(b); err != nil {
		t.Error(err)
	}
}
