package platform

import (
	"errors"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// MapFile maps the first size bytes of a file, to be read within ReadMapped.
// They take no memory but the host's cache of the file.
func MapFile(f *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_PRIVATE)
}

// UnmapFile undoes MapFile.
func UnmapFile(b []byte) error { return unix.Munmap(b) }

// ErrMappedFile is what became of a mapped file that has been cut short, or
// that the host cannot read.
var ErrMappedFile = errors.New("a file that was to be read has become shorter, or cannot be read any more")

// ReadMapped calls f, which may read what MapFile has mapped, on this
// goroutine only.
func ReadMapped(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface {
			error
			Addr() uintptr
		}: // as debug.SetPanicOnFault says
			err = ErrMappedFile
		default:
			panic(p)
		}
	}()
	return f()
}
