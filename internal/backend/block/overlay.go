package block

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// clusterSize is the unit in which an overlay holds what was written.
const clusterSize = 64 << 10

// overlay is copy-on-write over an image opened read-only. What is written
// lives in a sparse, unlinked temporary file, which the host drops with the
// process.
type overlay struct {
	base *raw
	temp *os.File
	size int64

	mu    sync.RWMutex // held to write while clusters become owned
	owned []uint64     // bit a cluster: the temporary file has it
}

func newOverlay(base *raw, dir string) (*overlay, error) {
	temp, err := anonymous(dir)
	if err != nil {
		return nil, fmt.Errorf("disk %s: no temporary file for its changes in %s: %w; set TMPDIR to a folder with space", base.path, dir, err)
	}
	clusters := (base.size + clusterSize - 1) / clusterSize
	return &overlay{base: base, temp: temp, size: base.size, owned: make([]uint64, (clusters+63)/64)}, nil
}

// anonymous makes a file without a name.
func anonymous(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), "overlay"), nil
	}
	f, err := os.CreateTemp(dir, "doppel-overlay-*")
	if err != nil {
		return nil, unwrapPath(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, unwrapPath(err)
	}
	return f, nil
}

func (o *overlay) Size() int64    { return o.size }
func (o *overlay) ReadOnly() bool { return false }

func (o *overlay) has(cluster int64) bool { return o.owned[cluster/64]>>(cluster%64)&1 != 0 }

// run returns how many of the n bytes from off lie in clusters of one kind.
func (o *overlay) run(off, n int64) (length int64, owned bool) {
	owned = o.has(off / clusterSize)
	end := off
	for end < off+n && o.has(end/clusterSize) == owned {
		end = (end/clusterSize + 1) * clusterSize
	}
	return min(end-off, n), owned
}

func (o *overlay) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("ephemeral disk %s: %s: the folder of temporary files is full; free some space or set TMPDIR: %w", o.base.path, op, err)
	}
	return fmt.Errorf("ephemeral disk %s: %s: %w", o.base.path, op, err)
}

func (o *overlay) ReadV(bufs [][]byte, off int64) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	rest := total(bufs)
	for rest > 0 {
		n, owned := o.run(off, rest)
		part, left := split(bufs, n)
		var err error
		if owned {
			err = o.fail("read", o.readTemp(part, off))
		} else {
			err = o.base.ReadV(part, off)
		}
		if err != nil {
			return err
		}
		bufs, off, rest = left, off+n, rest-n
	}
	return nil
}

// readTemp reads from the temporary file. It is as long as its last owned
// cluster, which prepare filled or extended to.
func (o *overlay) readTemp(bufs [][]byte, off int64) error {
	return vectored(unix.Preadv, int(o.temp.Fd()), bufs, off)
}

func (o *overlay) WriteV(bufs [][]byte, off int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := total(bufs)
	if n == 0 {
		return nil
	}
	err := o.prepare(off, n)
	if err == nil {
		err = vectored(unix.Pwritev, int(o.temp.Fd()), bufs, off)
	}
	if err == nil {
		o.own(off, n)
	}
	return o.fail("write", err)
}

// prepare copies what the clusters at the two ends of a range hold outside
// of it, if they are not owned yet.
func (o *overlay) prepare(off, n int64) error {
	first := off / clusterSize * clusterSize
	if err := o.copyUp(first, off); err != nil {
		return err
	}
	end := off + n
	return o.copyUp(end, min((end+clusterSize-1)/clusterSize*clusterSize, o.size))
}

// copyUp copies from to end, which lie in one cluster.
func (o *overlay) copyUp(from, end int64) error {
	if from >= end || o.has(from/clusterSize) {
		return nil
	}
	buf := make([]byte, end-from)
	if err := o.base.ReadV([][]byte{buf}, from); err != nil {
		return err
	}
	return vectored(unix.Pwritev, int(o.temp.Fd()), [][]byte{buf}, from)
}

func (o *overlay) own(off, n int64) {
	for c := off / clusterSize; c <= (off+n-1)/clusterSize; c++ {
		o.owned[c/64] |= 1 << (c % 64)
	}
}

// Flush does nothing: the changes are not meant to outlive the process.
func (o *overlay) Flush() error { return nil }

// Discard makes zeros, which take no space.
func (o *overlay) Discard(off, n int64) error { return o.WriteZeroes(off, n, true) }

func (o *overlay) WriteZeroes(off, n int64, _ bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.prepare(off, n)
	if err == nil {
		err = o.zero(off, n)
	}
	if err == nil {
		o.own(off, n)
	}
	return o.fail("write zeroes", err)
}

// zero punches a hole in the temporary file, having made it long enough to be
// read at the range's end.
func (o *overlay) zero(off, n int64) error {
	fd := int(o.temp.Fd())
	info, err := o.temp.Stat()
	if err != nil {
		return unwrapPath(err)
	}
	if info.Size() < off+n {
		if err := o.temp.Truncate(off + n); err != nil {
			return unwrapPath(err)
		}
	}
	err = retry(func() error {
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return writeZeroes(fd, off, n)
	}
	return err
}

func (o *overlay) Close() error { return errors.Join(o.temp.Close(), o.base.Close()) }

func total(bufs [][]byte) (n int64) {
	for _, b := range bufs {
		n += int64(len(b))
	}
	return n
}

// split divides bufs after n bytes.
func split(bufs [][]byte, n int64) (head, rest [][]byte) {
	for i, b := range bufs {
		if int64(len(b)) >= n {
			head = append(head, b[:n])
			if int64(len(b)) > n {
				rest = append(rest, b[n:])
			}
			return head, append(rest, bufs[i+1:]...)
		}
		head = append(head, b)
		n -= int64(len(b))
	}
	return head, nil
}
