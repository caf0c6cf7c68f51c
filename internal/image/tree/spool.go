package tree

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
)

// Content is the place of a file's bytes in the spool.
type Content struct{ Off, Size int64 }

// Spool is one unnamed temporary file that holds the contents of many.
type Spool struct {
	f     *os.File
	limit int64

	mu   sync.Mutex
	next int64
}

// NewSpool makes a spool in dir that refuses to hold more than limit bytes. The file has no name once made, so a killed
// process leaves nothing.
func NewSpool(dir string, limit int64) (*Spool, error) {
	f, err := os.CreateTemp(dir, ".spool-*")
	if err != nil {
		return nil, fmt.Errorf("cannot make a temporary file in %s: %w; free space or choose another folder", dir, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot unlink the temporary file %s: %w", f.Name(), err)
	}
	return &Spool{f: f, limit: limit}, nil
}

// Close frees the spool's space.
func (s *Spool) Close() error { return s.f.Close() }

// Used gives the number of bytes held.
func (s *Spool) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

func (s *Spool) alloc(size int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size < 0 || size > s.limit-s.next {
		return 0, fmt.Errorf("the contents exceed the limit of %d MiB; give a larger --size", s.limit>>20)
	}
	off := s.next
	s.next += size
	return off, nil
}

// Append stores bytes.
func (s *Spool) Append(data []byte) (Content, error) {
	off, err := s.alloc(int64(len(data)))
	if err != nil {
		return Content{}, err
	}
	if _, err := s.f.WriteAt(data, off); err != nil {
		return Content{}, fmt.Errorf("cannot write the temporary file: %w; free space in its folder", err)
	}
	return Content{off, int64(len(data))}, nil
}

// AppendFrom stores exactly size bytes of r. All-zero pages become holes.
func (s *Spool) AppendFrom(r io.Reader, size int64) (Content, error) {
	off, err := s.alloc(size)
	if err != nil {
		return Content{}, err
	}
	buf := bufPool.Get().(*[]byte)
	defer bufPool.Put(buf)
	for done := int64(0); done < size; {
		b := (*buf)[:min(int64(len(*buf)), size-done)]
		if _, err := io.ReadFull(r, b); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return Content{}, err
		}
		if !IsZero(b) {
			if _, err := s.f.WriteAt(b, off+done); err != nil {
				return Content{}, fmt.Errorf("cannot write the temporary file: %w; free space in its folder", err)
			}
		}
		done += int64(len(b))
	}
	return Content{off, size}, nil
}

var bufPool = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// Reader reads one content. What a hole at the spool's end does not hold reads as zero.
func (s *Spool) Reader(c Content) *io.SectionReader {
	return io.NewSectionReader(zeroTail{s.f}, c.Off, c.Size)
}

// zeroTail extends a file with zeros: a hole written last leaves the file shorter than what was allocated.
type zeroTail struct{ f *os.File }

func (z zeroTail) ReadAt(p []byte, off int64) (int, error) {
	n, err := z.f.ReadAt(p, off)
	if err == io.EOF {
		clear(p[n:])
		return len(p), nil
	}
	return n, err
}

var zeroPage [4096]byte

// IsZero tells whether all bytes are zero.
func IsZero(b []byte) bool {
	for len(b) > len(zeroPage) {
		if !bytes.Equal(b[:len(zeroPage)], zeroPage[:]) {
			return false
		}
		b = b[len(zeroPage):]
	}
	return bytes.Equal(b, zeroPage[:len(b)])
}
