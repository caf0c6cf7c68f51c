package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// CreateOwn creates or empties a file in a folder that others may write to,
// such as /tmp. What another user may have put there in its place is refused
// and stays as it is: a link, a pipe, a file of theirs, or a second name of one
// of ours. Only its owner can read or write the file.
func CreateOwn(path string) (*os.File, error) {
	// Not blocking, for a pipe may be there.
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	switch err {
	case nil:
	case unix.ELOOP, unix.ENXIO:
		return nil, fmt.Errorf("%s: not a regular file; remove it", path)
	default:
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := checkOwn(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w; remove it", path, err)
	}
	if err := f.Chmod(0o600); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkOwn(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular() || !ok:
		return fmt.Errorf("not a regular file")
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to another user")
	case st.Nlink != 1:
		return fmt.Errorf("has another name, by a hard link")
	}
	return nil
}

// PrivateFolder makes a folder that only its owner can enter, or checks that
// the one that is there is such. In a folder for all, somebody else may have
// been first.
func PrivateFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s must be a folder that belongs to you and that nobody else can enter", path)
	}
	return nil
}

// ProcessGone tells whether there is no process of that number.
func ProcessGone(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }
