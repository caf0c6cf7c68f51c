// Package lock keeps processes apart by locks on files (flock(2)). A lock ends with the process that holds it, so a killed
// process leaves none behind. Lock files themselves stay: removing one would let two holders in.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Lock is a held lock.
type Lock struct{ f *os.File }

// ErrHeld says that another process holds the lock.
var ErrHeld = errors.New("another doppel process is using it")

// Try takes the lock on the file at path, or gives ErrHeld.
func Try(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock file: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			break
		}
	}
	if err == nil {
		return &Lock{f}, nil
	}
	f.Close()
	if err == unix.EWOULDBLOCK {
		return nil, ErrHeld
	}
	return nil, fmt.Errorf("cannot lock %s: %w; choose a folder on a local file system", path, err)
}

// Wait takes the lock on the file at path, waiting for another holder until ctx ends.
func Wait(ctx context.Context, path string) (*Lock, error) {
	delay := 5 * time.Millisecond
	for {
		l, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(delay):
		}
		delay = min(2*delay, 500*time.Millisecond)
	}
}

// Unlock gives the lock back.
func (l *Lock) Unlock() { l.f.Close() }
