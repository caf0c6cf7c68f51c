// Package fetch downloads files whose SHA-256 is known into a cache addressed by it. A file has its final name only once
// it is verified; a partial one is resumed by the next attempt, also by that of a later process.
//
// It does not decide what to trust: that is the caller's, who brings the hash.
//
// A Cache may be used by many goroutines and processes at once: each file has a lock file of its own.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"doppel/internal/image/lock"
)

// Cache is a folder of verified files.
type Cache struct {
	dir    string
	client *http.Client
}

// attempts bounds how often a broken transfer is taken up again.
const attempts = 4

// Open makes or opens the cache in dir. A nil client is one that honours the proxy environment variables.
func Open(dir string, client *http.Client) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the cache folder: %w; set XDG_CACHE_HOME to a folder you may write", err)
	}
	if client == nil {
		client = NewClient(nil)
	}
	return &Cache{dir, client}, nil
}

// NewClient gives an HTTP client that goes through proxy, or through that of the environment.
func NewClient(proxy func(*http.Request) (*url.URL, error)) *http.Client {
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:                 proxy,
		ResponseHeaderTimeout: 60 * time.Second,
		TLSHandshakeTimeout:   30 * time.Second,
		MaxIdleConnsPerHost:   8,
		DisableCompression:    true, // hashes are of what is sent
	}}
}

// Dir gives the cache's folder.
func (c *Cache) Dir() string { return c.dir }

func validSum(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// File is one file to have.
type File struct {
	URL    string
	Size   int64
	SHA256 string // lower-case hexadecimal
}

// StatusError is an HTTP answer other than success.
type StatusError struct {
	URL  string
	Code int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answers %d %s; check the mirror", e.URL, e.Code, http.StatusText(e.Code))
}

// Path gives the place of a verified file, whether it is there or not.
func (c *Cache) Path(sum string) string { return filepath.Join(c.dir, "sha256", sum[:2], sum) }

// Get gives the path of the verified file, downloading what is missing. progress is called with the bytes gained; it may
// be given a negative number when a bad file is thrown away.
func (c *Cache) Get(ctx context.Context, f File, progress func(n int64)) (string, error) {
	if !validSum(f.SHA256) {
		return "", fmt.Errorf("%s has no valid SHA-256 in its index; choose another mirror", f.URL)
	}
	if progress == nil {
		progress = func(int64) {}
	}
	path := c.Path(f.SHA256)
	if st, err := os.Stat(path); err == nil && st.Size() == f.Size {
		progress(f.Size)
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("cannot make the cache folder: %w; free space or set XDG_CACHE_HOME", err)
	}
	l, err := lock.Wait(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer l.Unlock()
	if st, err := os.Stat(path); err == nil && st.Size() == f.Size { // another process was first
		progress(f.Size)
		return path, nil
	}
	for try := 1; ; try++ {
		err := c.download(ctx, f, path, progress)
		if err == nil {
			os.Remove(path + ".lock") // whoever else holds or makes one finds the file complete
			return path, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		var status *StatusError
		permanent := errors.As(err, &status) && status.Code < 500
		if permanent || try == attempts {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Duration(try*try) * 100 * time.Millisecond):
		}
	}
}

// download takes the partial file up where it ends.
func (c *Cache) download(ctx context.Context, f File, path string, progress func(int64)) (err error) {
	part, err := os.OpenFile(path+".partial", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the cache: %w; free space or set XDG_CACHE_HOME", err)
	}
	defer part.Close()
	sum := sha256.New()
	have, err := io.Copy(sum, io.LimitReader(part, f.Size+1))
	if err != nil {
		return fmt.Errorf("cannot read the cache: %w", err)
	}
	if have > f.Size {
		have = 0
		sum.Reset()
	}
	counted := have
	progress(have)
	defer func() {
		if err != nil {
			progress(-counted)
		}
	}()
	if have < f.Size {
		n, err := c.transfer(ctx, f, part, have, sum, func(n int64) { counted += n; progress(n) })
		if err != nil {
			return err
		}
		have = n
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 || have != f.Size {
		part.Truncate(0)
		return fmt.Errorf("%s is not what its index says (SHA-256 %s, expected %s); try again or choose another mirror",
			f.URL, got, f.SHA256)
	}
	if err := part.Truncate(f.Size); err != nil {
		return fmt.Errorf("cannot write the cache: %w", err)
	}
	if err := part.Sync(); err != nil {
		return fmt.Errorf("cannot write the cache: %w; free space or set XDG_CACHE_HOME", err)
	}
	return os.Rename(path+".partial", path)
}

// transfer asks for the bytes from have on and appends them. It gives the total then held.
func (c *Cache) transfer(ctx context.Context, f File, part *os.File, have int64, sum hash.Hash, progress func(int64)) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return 0, fmt.Errorf("%q is not a URL that can be fetched: %w", f.URL, err)
	}
	if have > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("cannot download: %w; check the network or choose another mirror", err)
	}
	defer resp.Body.Close()
	switch {
	case have > 0 && resp.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case resp.StatusCode == http.StatusOK: // from the start, asked or not
		progress(-have)
		have = 0
		sum.Reset()
	case have > 0 && (resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || resp.StatusCode == http.StatusPartialContent):
		part.Truncate(0)
		return 0, fmt.Errorf("%s does not resume; try again", f.URL)
	default:
		return 0, &StatusError{f.URL, resp.StatusCode}
	}
	if err := part.Truncate(have); err != nil {
		return 0, fmt.Errorf("cannot write the cache: %w", err)
	}
	if _, err := part.Seek(have, io.SeekStart); err != nil {
		return 0, fmt.Errorf("cannot write the cache: %w", err)
	}
	// One byte more than promised shows a file that is too long without reading it to the end.
	n, err := io.Copy(io.MultiWriter(part, sum, counter(progress)), io.LimitReader(resp.Body, f.Size-have+1))
	if err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, fmt.Errorf("the download of %s broke off: %w; try again, it will resume", f.URL, err)
	}
	if have+n < f.Size {
		return 0, fmt.Errorf("the download of %s ended after %d of %d bytes; try again, it will resume", f.URL, have+n, f.Size)
	}
	return have + n, nil
}

type counter func(int64)

func (c counter) Write(p []byte) (int, error) { c(int64(len(p))); return len(p), nil }

// Small downloads a file of at most limit bytes whose hash is not known; the caller verifies it by other means.
func (c *Cache) Small(ctx context.Context, url string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL that can be fetched: %w", url, err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot download: %w; check the network or choose another mirror", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &StatusError{url, resp.StatusCode}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("the download of %s broke off: %w; try again", url, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes; choose another mirror", url, limit)
	}
	return data, nil
}
