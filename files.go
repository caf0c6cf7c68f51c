package doppel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// readFile reads a kernel, an initrd or a firmware: no more than the guest
// has memory for.
func readFile(path string, memory uint64) ([]byte, error) {
	// First, for to open a named pipe may take for ever.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("permission to read it is denied")
	case err != nil:
		return nil, err
	}
	defer f.Close()
	data, err := readAtMost(f, memory+1)
	switch {
	case err != nil:
		return nil, err
	case len(data) == 0:
		return nil, errors.New("is empty")
	case uint64(len(data)) > memory:
		return nil, fmt.Errorf("is larger than the machine's memory of %d MiB: give the machine more memory", memory>>20)
	}
	return data, nil
}

// readAtMost reads a file that may be growing, into memory of its size: what
// grows step by step costs far more than reading.
func readAtMost(f *os.File, limit uint64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(make([]byte, 0, min(uint64(info.Size()), limit)+bytes.MinRead))
	_, err = b.ReadFrom(io.LimitReader(f, int64(limit)))
	return b.Bytes(), err
}
