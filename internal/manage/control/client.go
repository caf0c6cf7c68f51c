package control

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"doppel/internal/platform"
)

// ErrGone says that nobody listens at a socket.
var ErrGone = errors.New("nobody listens there: the machine has ended")

// Ask asks the machine at a socket for its figures.
func Ask(path string) (*Stats, error) { return ask(path, request{Op: opStats}) }

// SetBalloon asks the machine at a socket for a balloon of size bytes, and
// returns its figures after that.
func SetBalloon(path string, size uint64) (*Stats, error) {
	return ask(path, request{Op: opBalloon, Size: size})
}

// Stop asks the process of the machine at a socket to end all its machines in
// order, within a time, and returns before it has.
func Stop(path string, within time.Duration) (*Stats, error) {
	return ask(path, request{Op: opStop, Seconds: uint64(within / time.Second)})
}

func ask(path string, req request) (*Stats, error) {
	c, err := net.DialTimeout("unix", path, ioLimit)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("control socket %s: %w", path, ErrGone)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("control socket %s: there is no such file", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("control socket %s: permission denied: the machine is another user's", path)
	case err != nil:
		return nil, fmt.Errorf("control socket %s: %w", path, reason(err))
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(ioLimit))
	json.NewEncoder(c).Encode(req) // the answer shows whether it came
	var resp response
	switch err := json.NewDecoder(io.LimitReader(c, maxResponse)).Decode(&resp); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("control socket %s: no answer within %v", path, ioLimit)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return nil, fmt.Errorf("control socket %s: no answer: the machine has just ended, or is another user's", path)
	case err != nil || resp.Error == "" && resp.Stats == nil:
		return nil, fmt.Errorf("control socket %s: the answer is not a machine's: another program listens there", path)
	case resp.Error != "":
		return nil, fmt.Errorf("control socket %s: the machine says: %s", path, clean(resp.Error))
	}
	resp.Stats.Socket = path
	return resp.Stats, nil
}

// clean is a machine's sentence as it can be printed, and not too long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 400)]
}

// List asks all machines whose sockets are in Dir, in the order of their
// process numbers, and clears away the sockets of those that have crashed. One
// that does not answer does not hide the others: its error is joined to err.
func List() (all []*Stats, err error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, path := range paths {
		pid := pidOf(path)
		if pid == 0 {
			continue
		}
		st, err := Ask(path)
		switch {
		case err == nil:
			all = append(all, st)
		case errors.Is(err, ErrGone):
			if platform.ProcessGone(pid) {
				os.Remove(path)
			}
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	slices.SortFunc(all, func(a, b *Stats) int {
		return cmp.Or(a.PID-b.PID, len(a.Socket)-len(b.Socket), strings.Compare(a.Socket, b.Socket))
	})
	return all, errors.Join(errs...)
}

// Find asks the machines that have a name or, if it is a number, are of that
// process.
func Find(name string) ([]*Stats, error) {
	all, err := List()
	pid, _ := strconv.Atoi(name)
	var found []*Stats
	for _, s := range all {
		if s.Name == name || pid > 0 && s.PID == pid {
			found = append(found, s)
		}
	}
	if len(found) == 0 && err == nil {
		err = fmt.Errorf("no machine %q is running; doppel stats lists those that are", name)
	}
	return found, err
}
