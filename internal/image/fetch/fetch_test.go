package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel/internal/image/fetch"
)

var body = bytes.Repeat([]byte("0123456789"), 20000)

func sum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// server answers with handle and tells what was asked for.
func server(t *testing.T, handle func(n int, w http.ResponseWriter, r *http.Request)) (fetch.File, *[]string) {
	var mu sync.Mutex
	ranges := &[]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*ranges = append(*ranges, r.Header.Get("Range"))
		n := len(*ranges)
		mu.Unlock()
		handle(n, w, r)
	}))
	t.Cleanup(srv.Close)
	return fetch.File{URL: srv.URL + "/f", Size: int64(len(body)), SHA256: sum(body)}, ranges
}

func whole(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func cache(t *testing.T) *fetch.Cache {
	c, err := fetch.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGet(t *testing.T) {
	f, asked := server(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	c := cache(t)
	var got int64
	for range 2 {
		path, err := c.Get(context.Background(), f, func(n int64) { got += n })
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(path); !bytes.Equal(data, body) {
			t.Error("contents differ")
		}
	}
	if len(*asked) != 1 || got != 2*f.Size {
		t.Errorf("asked %d times, progress %d", len(*asked), got)
	}
}

// TestResume cuts the first answers off; the rest is asked for from where they ended, also by a later process.
func TestResume(t *testing.T) {
	const cut = 70000
	f, asked := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:cut])
			return
		}
		whole(w, r)
	})
	var got int64
	if _, err := cache(t).Get(context.Background(), f, func(n int64) { got += n }); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("bytes=%d-", cut); len(*asked) != 2 || (*asked)[1] != want || got != f.Size {
		t.Errorf("asked %q, progress %d", *asked, got)
	}
}

func TestCancelKeepsPartial(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f, asked := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:70000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		whole(w, r)
	})
	c := cache(t)
	var have int64
	_, err := c.Get(ctx, f, func(n int64) {
		if have += n; have >= 70000 {
			cancel()
		}
	})
	if err != context.Canceled {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(c.Path(f.SHA256)); err == nil {
		t.Fatal("an incomplete file has its final name")
	}
	if _, err := c.Get(context.Background(), f, nil); err != nil {
		t.Fatal(err)
	}
	if len(*asked) != 2 || (*asked)[1] != "bytes=70000-" {
		t.Errorf("asked %q", *asked)
	}
}

func TestBadAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		handle func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"wrong":   {func(w http.ResponseWriter, r *http.Request) { w.Write(bytes.Repeat([]byte("x"), len(body))) }, "not what its index says"},
		"long":    {func(w http.ResponseWriter, r *http.Request) { w.Write(append(body[:len(body):len(body)], 'x')) }, "not what its index says"},
		"short":   {func(w http.ResponseWriter, r *http.Request) { w.Write(body[:10]) }, "ended after"},
		"missing": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "answers 404"},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := server(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") != "" && name == "short" {
					w.Header().Set("Content-Length", "0")
					return
				}
				c.handle(w, r)
			})
			ch := cache(t)
			_, err := ch.Get(context.Background(), f, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(ch.Path(f.SHA256)); err == nil {
				t.Error("the file has its final name")
			}
		})
	}
	if _, err := cache(t).Get(context.Background(), fetch.File{SHA256: "../../etc/passwd"}, nil); err == nil {
		t.Error("a hash that is a path was taken")
	}
}

func TestConcurrent(t *testing.T) {
	f, asked := server(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	c := cache(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.Get(context.Background(), f, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(*asked) != 1 {
		t.Errorf("asked %d times", len(*asked))
	}
}

func TestPut(t *testing.T) {
	c := cache(t)
	open := func(b []byte) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	}
	if _, err := c.Put(context.Background(), sum(body), int64(len(body)), open(body[1:]), func(int64) {}); err == nil {
		t.Error("wrong contents were taken")
	}
	path, err := c.Put(context.Background(), sum(body), int64(len(body)), open(body), func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); !bytes.Equal(data, body) {
		t.Error("contents differ")
	}
}
