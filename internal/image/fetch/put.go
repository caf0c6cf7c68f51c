package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"doppel/internal/image/lock"
)

// Put gives the path of the file with this SHA-256, taking it from the stream that open gives when it is not there. The
// stream is read once and is not resumed.
func (c *Cache) Put(ctx context.Context, sum string, size int64, open func() (io.ReadCloser, error), progress func(int64)) (string, error) {
	if !validSum(sum) {
		return "", fmt.Errorf("%q is not a SHA-256", sum)
	}
	path := c.Path(sum)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("cannot make the cache folder: %w; free space or set XDG_CACHE_HOME", err)
	}
	l, err := lock.Wait(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer l.Unlock()
	if st, err := os.Stat(path); err == nil && st.Size() == size {
		progress(size)
		return path, nil
	}
	r, err := open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", fmt.Errorf("cannot write the cache: %w; free space or set XDG_CACHE_HOME", err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, h, counter(progress)), io.LimitReader(r, size+1))
	if err != nil {
		return "", fmt.Errorf("the download broke off: %w; try again", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != size || got != sum {
		return "", fmt.Errorf("the download of %s gave %d bytes with SHA-256 %s, not the %d expected; try again", sum, n, got, size)
	}
	if err := tmp.Sync(); err != nil {
		return "", fmt.Errorf("cannot write the cache: %w; free space or set XDG_CACHE_HOME", err)
	}
	return path, os.Rename(tmp.Name(), path)
}
