package block

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"doppel/internal/backend"
)

// Mode says what a disk may do to its file.
type Mode uint8

const (
	ReadWrite Mode = iota
	ReadOnly
	Ephemeral // writes go to a temporary file, which ends with the disk
)

func (m Mode) String() string {
	switch m {
	case ReadOnly:
		return "ro"
	case Ephemeral:
		return "ephemeral"
	}
	return "rw"
}

// Open opens a raw image of a multiple of 512 bytes. The image is locked: a
// disk that is written has one user, one that is read has readers only.
func Open(path string, mode Mode) (backend.Disk, error) {
	raw, err := openRaw(path, mode)
	if err != nil || mode != Ephemeral {
		return raw, err
	}
	disk, err := newOverlay(raw, tempDir())
	if err != nil {
		raw.Close()
		return nil, err
	}
	return disk, nil
}

// tempDir is where changes are kept: /tmp may be in memory, /var/tmp is not.
func tempDir() string {
	if os.Getenv("TMPDIR") == "" && unix.Access("/var/tmp", unix.W_OK) == nil {
		return "/var/tmp"
	}
	return os.TempDir()
}

// raw is an image file.
type raw struct {
	path     string
	file     *os.File
	size     int64
	readOnly bool
	noPunch  atomic.Bool // the file system cannot punch holes
	noZero   atomic.Bool // nor zero ranges
}

func openRaw(path string, mode Mode) (*raw, error) {
	flags := os.O_RDWR
	if mode != ReadWrite {
		flags = os.O_RDONLY
	}
	// Not to hang on a named pipe; regular files do not mind.
	f, err := os.OpenFile(path, flags|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, openError(path, mode, err)
	}
	r := &raw{path: path, file: f, readOnly: mode != ReadWrite}
	if err := r.prepare(mode); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func openError(path string, mode Mode, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("disk %s does not exist; create it, for example with: truncate -s 4G %s", path, path)
	case mode == ReadWrite && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)):
		return fmt.Errorf("disk %s cannot be written (%w); make it writable, or add \",ro\" or \",ephemeral\"", path, unwrapPath(err))
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("disk %s is a directory; name an image file", path)
	}
	return fmt.Errorf("disk %s cannot be opened: %w", path, unwrapPath(err))
}

// unwrapPath drops the path, which the sentence around the error has.
func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// prepare checks the open file and locks it.
func (r *raw) prepare(mode Mode) error {
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("disk %s: %w", r.path, unwrapPath(err))
	}
	switch {
	case info.IsDir():
		return fmt.Errorf("disk %s is a directory; name an image file", r.path)
	case info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) != 0:
		return fmt.Errorf("disk %s is not a file or a block device", r.path)
	}
	// Block devices have their size at the end only.
	if r.size, err = r.file.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("disk %s: its size cannot be found: %w", r.path, unwrapPath(err))
	}
	if r.size == 0 || r.size%backend.SectorSize != 0 {
		return fmt.Errorf("disk %s has %d bytes; a raw image has a multiple of %d and at least one sector: extend it with truncate -s %%%d %s, or check that it is a raw image",
			r.path, r.size, backend.SectorSize, backend.SectorSize, r.path)
	}
	return r.lock(mode)
}

func (r *raw) lock(mode Mode) error {
	how := unix.LOCK_EX
	if mode != ReadWrite {
		how = unix.LOCK_SH
	}
	err := unix.Flock(int(r.file.Fd()), how|unix.LOCK_NB)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EWOULDBLOCK) && mode == ReadWrite:
		return fmt.Errorf("disk %s is in use by another machine; stop it, or add \",ephemeral\" to both", r.path)
	case errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("disk %s is being written by another machine; stop it, or use a copy", r.path)
	}
	return fmt.Errorf("disk %s cannot be locked: %w", r.path, err)
}

func (r *raw) Size() int64    { return r.size }
func (r *raw) ReadOnly() bool { return r.readOnly }

// fail names the file in a failure of the host.
func (r *raw) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("disk %s: %s: the host's file system is full; free some space: %w", r.path, op, err)
	}
	return fmt.Errorf("disk %s: %s: %w", r.path, op, err)
}

func (r *raw) ReadV(bufs [][]byte, off int64) error {
	return r.fail("read", vectored(unix.Preadv, int(r.file.Fd()), bufs, off))
}

func (r *raw) WriteV(bufs [][]byte, off int64) error {
	if r.readOnly {
		return r.fail("write", unix.EROFS)
	}
	return r.fail("write", vectored(unix.Pwritev, int(r.file.Fd()), bufs, off))
}

func (r *raw) Flush() error {
	if r.readOnly {
		return nil
	}
	return r.fail("flush", retry(func() error { return unix.Fdatasync(int(r.file.Fd())) }))
}

// Discard gives the space back to the host, where the file system can.
func (r *raw) Discard(off, n int64) error {
	if r.readOnly {
		return r.fail("discard", unix.EROFS)
	}
	_, err := r.allocate(&r.noPunch, unix.FALLOC_FL_PUNCH_HOLE, off, n)
	return r.fail("discard", err) // where it cannot, the content stays: that is allowed
}

func (r *raw) WriteZeroes(off, n int64, mayUnmap bool) error {
	if r.readOnly {
		return r.fail("write zeroes", unix.EROFS)
	}
	var done bool
	var err error
	if mayUnmap {
		done, err = r.allocate(&r.noPunch, unix.FALLOC_FL_PUNCH_HOLE, off, n)
	} else {
		done, err = r.allocate(&r.noZero, unix.FALLOC_FL_ZERO_RANGE, off, n)
	}
	if err == nil && !done {
		err = writeZeroes(int(r.file.Fd()), off, n)
	}
	return r.fail("write zeroes", err)
}

// allocate tells whether the file system did what the mode asks for, and
// remembers if it cannot.
func (r *raw) allocate(cannot *atomic.Bool, mode uint32, off, n int64) (bool, error) {
	if cannot.Load() {
		return false, nil
	}
	err := retry(func() error { return unix.Fallocate(int(r.file.Fd()), mode|unix.FALLOC_FL_KEEP_SIZE, off, n) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENODEV) {
		cannot.Store(true)
		return false, nil
	}
	return err == nil, err
}

// Close releases the lock with the file.
func (r *raw) Close() error { return r.file.Close() }
