package block

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// maxVector is the most buffers the host takes in one call (IOV_MAX).
const maxVector = 1024

// vectored moves all of bufs with call, which may move less at a time.
func vectored(call func(fd int, iovs [][]byte, off int64) (int, error), fd int, bufs [][]byte, off int64) error {
	for {
		bufs = skipEmpty(bufs)
		if len(bufs) == 0 {
			return nil
		}
		n, err := call(fd, bufs[:min(len(bufs), maxVector)], off)
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return err
		case n <= 0:
			return io.ErrUnexpectedEOF // the file became shorter
		}
		off += int64(n)
		bufs = advance(bufs, n)
	}
}

func skipEmpty(bufs [][]byte) [][]byte {
	for len(bufs) > 0 && len(bufs[0]) == 0 {
		bufs = bufs[1:]
	}
	return bufs
}

// advance returns what is left of bufs after n bytes, leaving the caller's
// slice as it was.
func advance(bufs [][]byte, n int) [][]byte {
	for n >= len(bufs[0]) {
		n -= len(bufs[0])
		if bufs = bufs[1:]; len(bufs) == 0 {
			return nil
		}
	}
	if n == 0 {
		return bufs
	}
	rest := append([][]byte(nil), bufs...)
	rest[0] = rest[0][n:]
	return rest
}

func retry(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

var zeroes [64 << 10]byte // never written

func writeZeroes(fd int, off, n int64) error {
	for n > 0 {
		part := min(n, int64(len(zeroes)))
		if err := vectored(unix.Pwritev, fd, [][]byte{zeroes[:part]}, off); err != nil {
			return err
		}
		off += part
		n -= part
	}
	return nil
}
