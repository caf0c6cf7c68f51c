package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doppel/internal/image/lock"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func commit(t *testing.T, s *Store, name, content string) *Image {
	t.Helper()
	d, err := s.Create(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if err := os.WriteFile(d.Path(DiskFile), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	i, err := d.Commit(Config{Arch: "riscv64", Append: "x"})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestLife(t *testing.T) {
	s := open(t)
	commit(t, s, "reg.io/a/b:1", "one")
	commit(t, s, "debian:trixie", "two")
	i := commit(t, s, "debian:trixie", "three") // replaces
	if data, _ := os.ReadFile(i.Disk()); string(data) != "three" || i.Name != "debian:trixie" || i.KernelPath() != "" {
		t.Errorf("disk %q of %q", data, i.Name)
	}
	list, err := s.List()
	if err != nil || len(list) != 2 || list[0].Name != "debian:trixie" || list[1].Name != "reg.io/a/b:1" {
		t.Errorf("%v %v", list, err)
	}
	if err := s.Remove(context.Background(), "reg.io/a/b:1"); err != nil {
		t.Error(err)
	}
	if _, err := s.Get("reg.io/a/b:1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := s.Remove(context.Background(), "reg.io/a/b:1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if left := visible(t, s); len(left) != 1 {
		t.Errorf("left over: %q", left)
	}
}

// visible gives all in the store's folder but the locks.
func visible(t *testing.T, s *Store) []string {
	entries, err := os.ReadDir(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.Name() != lockDir {
			out = append(out, e.Name())
		}
	}
	return out
}

func TestNames(t *testing.T) {
	s := open(t)
	for _, bad := range []string{"", ".", "..", "../x", "-x", "a b", "a\x00", "a\n", "ü", strings.Repeat("x", 201)} {
		if _, err := s.Create(context.Background(), bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
		if _, err := s.Get(bad); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%q: got %v", bad, err)
		}
		if err := s.Remove(context.Background(), bad); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	commit(t, s, "a/../../x", "1") // one folder, whatever it looks like
	if got := visible(t, s); len(got) != 1 || strings.Contains(got[0], "/") {
		t.Errorf("%q", got)
	}
}

func TestDiscardAndSweep(t *testing.T) {
	s := open(t)
	d, err := s.Create(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	d.Discard()
	d.Discard()
	if got := visible(t, s); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
	// What a killed process left: no lock is held on it.
	dead := filepath.Join(s.Dir(), draftPrefix+"dead")
	os.MkdirAll(filepath.Join(dead, "x"), 0o700)
	old := time.Now().Add(-time.Hour)
	os.Chtimes(dead, old, old)
	live, err := s.Create(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Discard()
	os.Chtimes(live.Dir, old, old)
	s.sweep()
	if _, err := os.Stat(dead); err == nil {
		t.Error("a dead draft stayed")
	}
	if _, err := os.Stat(live.Dir); err != nil {
		t.Error("a live draft was removed")
	}
}

func TestLocks(t *testing.T) {
	s := open(t)
	d, err := s.Create(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Create(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second draft: %v", err)
	}
	d.Discard()
	i := commit(t, s, "a", "1")
	use, err := i.Use()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Use(); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("got %v", err)
	}
	if err := s.Remove(context.Background(), "a"); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("got %v", err)
	}
	use.Unlock()
	if err := s.Remove(context.Background(), "a"); err != nil {
		t.Error(err)
	}
}

func TestDamaged(t *testing.T) {
	s := open(t)
	for name, data := range map[string]string{"a": "{", "b": `{"version":2,"name":"b"}`, "c": `{"version":1,"name":"other"}`, "d": strings.Repeat(" ", maxConfig+1)} {
		os.MkdirAll(filepath.Join(s.Dir(), name), 0o755)
		os.WriteFile(filepath.Join(s.Dir(), name, configFile), []byte(data), 0o644)
		if _, err := s.Get(name); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := s.Remove(context.Background(), name); err != nil {
			t.Errorf("%s cannot be removed: %v", name, err)
		}
	}
}
