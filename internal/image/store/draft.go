package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"doppel/internal/image/lock"
)

// Draft is an image under construction: a folder in the store that nobody else sees. It ends by Commit or Discard.
type Draft struct {
	Dir      string
	name     string
	store    *Store
	nameLock *lock.Lock // of the image's name
	held     *lock.Lock // of the folder: tells it from one that a killed process left
}

// Create begins an image. It waits while another process makes one of the same name.
func (s *Store) Create(ctx context.Context, name string) (*Draft, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	nameLock, err := lock.Wait(ctx, s.lockPath(name, "name"))
	if err != nil {
		return nil, err
	}
	s.sweep()
	dir, err := os.MkdirTemp(s.dir, draftPrefix)
	if err != nil {
		nameLock.Unlock()
		return nil, fmt.Errorf("cannot make a folder for the image: %w; free space or set XDG_DATA_HOME", err)
	}
	held, err := lock.Try(filepath.Join(dir, ".lock"))
	if err != nil {
		os.RemoveAll(dir)
		nameLock.Unlock()
		return nil, err
	}
	return &Draft{Dir: dir, name: name, store: s, nameLock: nameLock, held: held}, nil
}

// sweepAge spares a draft that is being made this moment: its lock comes a little after its folder.
const sweepAge = time.Minute

// sweep removes drafts that killed processes left.
func (s *Store) sweep() {
	entries, _ := os.ReadDir(s.dir)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), draftPrefix) || time.Since(info.ModTime()) < sweepAge {
			continue
		}
		dir := filepath.Join(s.dir, e.Name())
		l, err := lock.Try(filepath.Join(dir, ".lock"))
		if err != nil {
			continue
		}
		os.RemoveAll(dir)
		l.Unlock()
	}
}

// Path gives the path of a file of the draft.
func (d *Draft) Path(file string) string { return filepath.Join(d.Dir, file) }

// Discard throws the draft away. After Commit it does nothing, so that it can be deferred.
func (d *Draft) Discard() {
	if d.held == nil {
		return
	}
	os.RemoveAll(d.Dir)
	d.release()
}

func (d *Draft) release() {
	d.held.Unlock()
	d.nameLock.Unlock()
	d.held = nil
}

// Commit writes the configuration, makes all of it durable and gives the image its name, in place of an older one.
func (d *Draft) Commit(c Config) (*Image, error) {
	c.Version, c.Name = configVersion, d.name
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.Path(configFile), append(data, '\n'), 0o644); err != nil {
		return nil, fmt.Errorf("cannot write the image: %w; free space", err)
	}
	if err := os.Chmod(d.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot write the image: %w", err)
	}
	for _, file := range []string{DiskFile, KernelFile, InitrdFile, configFile, "."} {
		if err := syncPath(d.Path(file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("cannot make the image durable: %w; free space", err)
		}
	}
	os.Remove(d.Path(".lock"))
	if err := d.rename(); err != nil {
		return nil, fmt.Errorf("cannot put the image in its place: %w", err)
	}
	if err := syncPath(d.store.dir); err != nil {
		return nil, fmt.Errorf("cannot make the image durable: %w", err)
	}
	d.release()
	return d.store.Get(d.name)
}

// rename puts the draft in the image's place. An older image is exchanged in one step and then removed; it must not be in
// use.
func (d *Draft) rename() error {
	final := filepath.Join(d.store.dir, folder(d.name))
	if err := unix.Renameat2(unix.AT_FDCWD, d.Dir, unix.AT_FDCWD, final, unix.RENAME_NOREPLACE); err == nil {
		return nil
	} else if !errors.Is(err, unix.EEXIST) {
		return err
	}
	i := &Image{Config: Config{Name: d.name}, store: d.store}
	use, err := i.Use()
	if err != nil {
		return err
	}
	defer use.Unlock()
	if err := unix.Renameat2(unix.AT_FDCWD, d.Dir, unix.AT_FDCWD, final, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	return os.RemoveAll(d.Dir) // now the older image
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
