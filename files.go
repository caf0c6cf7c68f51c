package doppel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"doppel/internal/platform"
)

// heldFile is a file whose contents machines hold, for their resets. They are
// mapped where the host can do that, so that they take no memory of ours.
type heldFile struct {
	f      *os.File    // of a mapping, else nil
	info   fs.FileInfo // as it was opened
	data   []byte
	owners atomic.Int64
}

// held lists the files that machines hold; the lock is held.
func (h *Host) held() (all []*heldFile) {
	for _, m := range h.machines {
		all = append(all, m.held...)
	}
	return all
}

// release gives a file up.
func (h *heldFile) release() error {
	if h.owners.Add(-1) != 0 || h.f == nil {
		return nil
	}
	return errors.Join(platform.UnmapFile(h.data), h.f.Close())
}

// releaseAll gives files up.
func releaseAll(files []*heldFile) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.release())
	}
	return errors.Join(errs...)
}

func unchanged(a, b fs.FileInfo) bool {
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// checkAll tells whether the contents are still those that were opened.
func checkAll(files []*heldFile) error {
	for _, h := range files {
		if h.f == nil {
			continue
		}
		info, err := h.f.Stat()
		if err != nil {
			return err
		}
		if !unchanged(info, h.info) {
			return fmt.Errorf("%s has changed since the machine was made, and is needed again: start the machine anew", h.f.Name())
		}
	}
	return nil
}

// readFile opens a kernel, an initrd or a firmware: no more than the guest
// has memory for. One that is known, and has not changed since, is not opened
// again.
func readFile(path string, memory uint64, known []*heldFile) (*heldFile, error) {
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
	file := &heldFile{}
	file.owners.Store(1)
	defer func() {
		if file.f == nil {
			f.Close()
		}
	}()
	if file.info, err = f.Stat(); err != nil {
		return nil, err
	}
	for _, k := range known {
		if os.SameFile(k.info, file.info) && unchanged(k.info, file.info) && uint64(len(k.data)) <= memory {
			k.owners.Add(1)
			return k, nil
		}
	}
	if size := file.info.Size(); size > 0 && uint64(size) <= memory {
		if file.data, err = platform.MapFile(f, int(size)); err == nil {
			file.f = f
			return file, nil
		}
	}
	file.data, err = readAtMost(f, memory+1)
	switch {
	case err != nil:
		return nil, err
	case len(file.data) == 0:
		return nil, errors.New("is empty")
	case uint64(len(file.data)) > memory:
		return nil, fmt.Errorf("is larger than the machine's memory of %d MiB: give the machine more memory", memory>>20)
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
