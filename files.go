package doppel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// heldFile is a file whose contents a machine holds, for its resets.
type heldFile struct {
	info fs.FileInfo // as it was opened
	data []byte
}

// held lists the files that machines hold; the lock is held.
func (h *Host) held() (all []heldFile) {
	for _, m := range h.machines {
		all = append(all, m.held...)
	}
	return all
}

// readFile reads a kernel, an initrd or a firmware: no more than the guest
// has memory for. One that is known, and has not changed since, is not read
// into memory again.
func readFile(path string, memory uint64, known []heldFile) (heldFile, error) {
	file := heldFile{}
	// First, for to open a named pipe may take for ever.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return file, errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file, errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return file, errors.New("permission to read it is denied")
	case err != nil:
		return file, err
	}
	defer f.Close()
	if file.info, err = f.Stat(); err != nil {
		return file, err
	}
	for _, k := range known {
		if os.SameFile(k.info, file.info) && k.info.ModTime().Equal(file.info.ModTime()) && k.info.Size() == file.info.Size() && uint64(len(k.data)) <= memory {
			return k, nil
		}
	}
	file.data, err = readAtMost(f, memory+1)
	switch {
	case err != nil:
		return file, err
	case len(file.data) == 0:
		return file, errors.New("is empty")
	case uint64(len(file.data)) > memory:
		return file, fmt.Errorf("is larger than the machine's memory of %d MiB: give the machine more memory", memory>>20)
	}
	return file, nil
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
