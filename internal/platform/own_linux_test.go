package platform

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCreateOwn: a file that is new, or ours, is emptied and private; what may
// be somebody's trap is refused and left alone.
func TestCreateOwn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("victim"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(string) error{
		"link":     func(p string) error { return os.Symlink(at("victim"), p) },
		"dangling": func(p string) error { return os.Symlink(at("nothing"), p) },
		"hard":     func(p string) error { return os.Link(at("victim"), p) },
		"pipe":     func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"folder":   func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		if err := make(at(name)); err != nil {
			t.Fatal(err)
		}
		f, err := CreateOwn(at(name))
		if err == nil {
			f.Close()
			t.Errorf("%s: was accepted", name)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q is not one sentence", name, err)
		}
	}
	if b, err := os.ReadFile(at("victim")); string(b) != "precious" || err != nil {
		t.Errorf("the victim holds %q, %v", b, err)
	}
	if _, err := os.Lstat(at("nothing")); err == nil {
		t.Error("a dangling link was followed")
	}
	if err := os.WriteFile(at("old"), []byte("of an earlier process"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "old"} {
		f, err := CreateOwn(at(name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if info, err := os.Stat(at(name)); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
