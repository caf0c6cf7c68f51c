// Package guest gets what tests boot: Debian's riscv64 kernel, busybox,
// OpenSBI and U-Boot, out of Debian's packages by the same code as images are
// built with, and makes initial RAM disks of them.
//
// The files are taken once and kept in the user's cache; removing their folder
// there gets them anew. Nothing is installed on the host.
//
// Any goroutine and process may call it at once; a lock file keeps them apart.
package guest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"doppel/internal/image"
	"doppel/internal/image/lock"
)

// Suite is the Debian suite that everything is taken from.
const Suite = "trixie"

// Files are the paths of what can be booted.
type Files struct {
	Dir     string `json:"-"`
	Kernel  string // Linux Image, not compressed
	Version string // of the kernel, as uname -r tells it
	Modules []string
	Busybox string // static

	DynamicBin, DynamicELF string // OpenSBI, told by its caller where to go on
	JumpBin, JumpELF       string // OpenSBI, going on at a fixed address
	UBootM, UBootMELF      string // U-Boot for machine mode
	UBootS, UBootSELF      string // U-Boot for supervisor mode
}

// layout is the number of the format below; older folders are not looked at.
const layout = "2"

const fetchLimit = 10 * time.Minute

var once = sync.OnceValues(func() (*Files, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
	defer cancel()
	return load(ctx)
})

// Get returns the files. It skips a test that is asked to be short, and fails
// one that cannot have them.
func Get(tb testing.TB) *Files {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: no kernel is fetched")
	}
	f, err := once()
	if err != nil {
		tb.Fatalf("what guests boot from cannot be had: %v", err)
	}
	return f
}

// CacheDir is the folder of what tests keep between runs.
func CacheDir() (string, error) {
	cache, err := image.CacheDir()
	return filepath.Join(cache, "test"), err
}

const listFile = "files.json"

// load finds the files of an earlier run, or fetches them.
func load(ctx context.Context) (*Files, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	l, err := lock.Wait(ctx, filepath.Join(cache, "guest.lock"))
	if err != nil {
		return nil, err
	}
	defer l.Unlock()
	dir := filepath.Join(cache, "guest-"+Suite+"-"+layout)
	f, err := read(dir)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	work, err := os.MkdirTemp(cache, ".guest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := fetchAll(ctx, work); err != nil {
		return nil, err
	}
	// All of it appears at once.
	if err := os.Rename(work, dir); err != nil {
		return nil, err
	}
	return read(dir)
}

// read makes the paths of a folder's list absolute.
func read(dir string) (*Files, error) {
	data, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil {
		return nil, err
	}
	f := &Files{}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, err
	}
	f.Dir = dir
	for _, p := range f.paths() {
		*p = filepath.Join(dir, *p)
	}
	for i := range f.Modules {
		f.Modules[i] = filepath.Join(dir, f.Modules[i])
	}
	return f, nil
}

// paths are the fields that name one file each.
func (f *Files) paths() []*string {
	return []*string{&f.Kernel, &f.Busybox, &f.DynamicBin, &f.DynamicELF, &f.JumpBin, &f.JumpELF,
		&f.UBootM, &f.UBootMELF, &f.UBootS, &f.UBootSELF}
}
