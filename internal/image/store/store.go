// Package store keeps images on the host: a folder each, made complete or not at all.
//
// It does not build images and does not look inside disks.
//
// A Store may be used by many goroutines and processes. Lock order: an image's name lock (Create, Remove), then its use
// lock (Use).
package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"doppel/internal/image/lock"
)

// Names of the files of an image.
const (
	DiskFile   = "disk.raw"
	KernelFile = "kernel"
	InitrdFile = "initrd"
	configFile = "config.json"
)

// Config describes an image; it is what config.json holds.
type Config struct {
	Version  int       `json:"version"` // of this format: 1
	Name     string    `json:"name"`
	Arch     string    `json:"arch"`   // Debian's name: riscv64, amd64, arm64
	Source   string    `json:"source"` // where it came from, for people
	Created  time.Time `json:"created"`
	DiskSize int64     `json:"diskSize"`
	Append   string    `json:"append"` // kernel command line
	// Configured is false for a disk whose packages are only unpacked.
	Configured   bool       `json:"configured"`
	Packages     int        `json:"packages,omitempty"`
	PackagesHash string     `json:"packagesHash,omitempty"` // SHA-256 over names, versions and hashes
	Kernel       string     `json:"kernel,omitempty"`       // version
	Container    *Container `json:"container,omitempty"`
}

// Container is what an OCI image's configuration says about its process.
type Container struct {
	Digest       string   `json:"digest,omitempty"`
	Entrypoint   []string `json:"entrypoint,omitempty"`
	Cmd          []string `json:"cmd,omitempty"`
	Env          []string `json:"env,omitempty"`
	WorkingDir   string   `json:"workingDir,omitempty"`
	User         string   `json:"user,omitempty"`
	ExposedPorts []string `json:"exposedPorts,omitempty"` // "80/tcp"
}

const (
	configVersion = 1
	maxConfig     = 4 << 20
)

// Image is one image of the store.
type Image struct {
	Config
	Dir   string
	store *Store
}

// Disk gives the path of the raw disk.
func (i *Image) Disk() string { return filepath.Join(i.Dir, DiskFile) }

// KernelPath gives the path of the kernel, or "" when the image has none.
func (i *Image) KernelPath() string { return i.file(KernelFile) }

// InitrdPath gives the path of the initrd, or "" when the image has none.
func (i *Image) InitrdPath() string { return i.file(InitrdFile) }

func (i *Image) file(name string) string {
	path := filepath.Join(i.Dir, name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// DiskUsed gives the bytes that the disk takes on the host: holes count nothing.
func (i *Image) DiskUsed() int64 {
	var st unix.Stat_t
	if unix.Stat(i.Disk(), &st) != nil {
		return 0
	}
	return st.Blocks * 512
}

// Use locks the image for a machine that writes its disk. It gives lock.ErrHeld, wrapped, when one does already.
func (i *Image) Use() (*lock.Lock, error) {
	l, err := lock.Try(i.store.lockPath(i.Name, "use"))
	if errors.Is(err, lock.ErrHeld) {
		return nil, fmt.Errorf("image %q is in use by another machine: %w; stop that one or use the disk ephemerally", i.Name, err)
	}
	return l, err
}

// Store is a folder of images.
type Store struct{ dir string }

// ErrNotFound says that there is no image of a name.
var ErrNotFound = errors.New("no such image")

// Open makes or opens the store in dir.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, lockDir), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the image folder: %w; set XDG_DATA_HOME to a folder you may write", err)
	}
	return &Store{dir}, nil
}

// Dir gives the store's folder.
func (s *Store) Dir() string { return s.dir }

const (
	lockDir     = ".locks"
	draftPrefix = ".draft-"
)

// CheckName tells whether a name can be an image's: as references are, lower case is not asked for.
func CheckName(name string) error {
	if name == "" || len(name) > 200 || name[0] == '.' || name[0] == '-' ||
		strings.ContainsFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-:/@+", r))
		}) {
		return fmt.Errorf("%q cannot name an image; use letters, digits and . _ - : / @ +", name)
	}
	return nil
}

// folder gives the name of the image's folder: the name with slashes escaped.
func folder(name string) string { return url.QueryEscape(name) }

func (s *Store) lockPath(name, kind string) string {
	return filepath.Join(s.dir, lockDir, folder(name)+"."+kind)
}

// Get gives the image of a name.
func (s *Store) Get(name string) (*Image, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	i, err := s.read(folder(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("image %q: %w in %s; see `doppel image ls`, or make it with `doppel image build`", name, ErrNotFound, s.dir)
	}
	return i, err
}

func (s *Store) read(entry string) (*Image, error) {
	dir := filepath.Join(s.dir, entry)
	path := filepath.Join(dir, configFile)
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxConfig {
		return nil, fmt.Errorf("%s is larger than %d bytes; remove the image and make it again", path, maxConfig)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the image: %w", err)
	}
	i := &Image{Dir: dir, store: s}
	if err := json.Unmarshal(data, &i.Config); err != nil {
		return nil, fmt.Errorf("%s is damaged (%v); remove the image and make it again", path, err)
	}
	if i.Version != configVersion || folder(i.Name) != entry {
		return nil, fmt.Errorf("%s is of format %d for %q, not %d; remove the image and make it again", path, i.Version, i.Name, configVersion)
	}
	return i, nil
}

// List gives all images, sorted by name. Damaged ones are left out; Get tells what is wrong with them.
func (s *Store) List() ([]*Image, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list images: %w", err)
	}
	var out []*Image
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
			continue
		}
		if i, err := s.read(e.Name()); err == nil {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b *Image) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Remove deletes an image, also a damaged one. An image in use is refused.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	l, err := lock.Wait(ctx, s.lockPath(name, "name"))
	if err != nil {
		return err
	}
	defer l.Unlock()
	i := &Image{Config: Config{Name: name}, store: s}
	use, err := i.Use()
	if err != nil {
		return err
	}
	defer use.Unlock()
	// Moved aside first, so that a process killed half-way leaves no half image.
	aside := filepath.Join(s.dir, draftPrefix+"gone-"+folder(name))
	if err := os.Rename(filepath.Join(s.dir, folder(name)), aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("image %q: %w in %s; see `doppel image ls`", name, ErrNotFound, s.dir)
		}
		return fmt.Errorf("cannot remove image %q: %w", name, err)
	}
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("cannot remove image %q: %w; remove that folder by hand", name, err)
	}
	return nil
}
