package e2e

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"doppel/internal/image/apt"
)

// mirror passes requests on to the host's own mirror, until a test makes it
// misbehave.
type mirror struct {
	*httptest.Server
	// damage changes an answer's body; nil leaves all as they are.
	damage func(path string, body []byte) []byte

	mu       sync.Mutex
	stall    bool // packages never end
	stalled  chan struct{}
	closing  chan struct{} // closed when the test ends
	requests []string      // paths of packages, with the range asked for
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no mirror is asked")
	}
	src, err := apt.HostMirror("/")
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(src.URI)
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{stalled: make(chan struct{}, 1000), closing: make(chan struct{})}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if proxy := apt.HostProxy(); proxy != nil {
		transport.Proxy = proxy
	}
	p := &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0), // clients that go away are what the tests are about
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Accept-Encoding", "identity")
		},
		ModifyResponse: m.answer,
		FlushInterval:  -1, // half of a small package is less than a buffer
	}
	m.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		close(m.closing)
		m.CloseClientConnections()
		m.Close()
	})
	return m
}

func (m *mirror) answer(r *http.Response) error {
	path := r.Request.URL.Path
	if m.damage != nil && r.StatusCode == http.StatusOK {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body = m.damage(path, body)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	}
	if !strings.HasSuffix(path, ".deb") {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, path+" "+r.Request.Header.Get("Range"))
	if m.stall {
		r.Body = &stalling{ReadCloser: r.Body, left: r.ContentLength / 2, m: m}
	}
	return nil
}

// stalling is a body of which half comes.
type stalling struct {
	io.ReadCloser
	left int64
	m    *mirror
}

func (s *stalling) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.m.stalled <- struct{}{}
		<-s.m.closing
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// What a mirror sends is believed only with a signature and hashes.
func TestMirrorIsNotTrusted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, path string
		change     func([]byte) []byte
		words      []string
	}{
		{"text under the signature", "InRelease", func(b []byte) []byte { return bytes.Replace(b, []byte("riscv64"), []byte("riscv46"), 1) }, []string{"InRelease", "signature"}},
		{"no signature", "InRelease", func(b []byte) []byte {
			return []byte("Origin: Debian\nSuite: stable\nCodename: trixie\nArchitectures: riscv64\n")
		}, []string{"InRelease", "sign"}},
		{"half an InRelease", "InRelease", func(b []byte) []byte { return b[:len(b)/2] }, []string{"InRelease"}},
		{"damaged index", "binary-riscv64", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, []string{"SHA-256"}},
		{"a page instead of an answer", "", func(b []byte) []byte { return []byte("<html>Sign in to use this network</html>") }, []string{"InRelease"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMirror(t)
			m.damage = func(path string, body []byte) []byte {
				if strings.Contains(path, c.path) {
					return c.change(body)
				}
				return body
			}
			home := t.TempDir()
			args := []string{"image", "build", debian, "--mirror", m.URL}
			status, stderr := refusal(t, []string{"XDG_DATA_HOME=" + home, "XDG_CACHE_HOME=" + home}, args...)
			if status != 1 {
				t.Errorf("status %d, want 1", status)
			}
			sentence(t, args, stderr, c.words...)
			if left := leftovers(t, home); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
	t.Run("no such suite", func(t *testing.T) {
		m := newMirror(t)
		home := t.TempDir()
		args := []string{"image", "build", "debian:nonesuch", "--mirror", m.URL}
		status, stderr := refusal(t, []string{"XDG_DATA_HOME=" + home, "XDG_CACHE_HOME=" + home}, args...)
		if status != 1 {
			t.Errorf("status %d, want 1", status)
		}
		sentence(t, args, stderr, "nonesuch", "suite")
	})
}

// A build that is interrupted or killed in the middle of downloads shows no
// image; the next one goes on where it was.
func TestInterruptedBuild(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	home := t.TempDir()
	env := []string{"XDG_DATA_HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache")}
	m.stall = true
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL, syscall.SIGTERM} {
		s := start(t, options{env: env}, "image", "build", debian, "--mirror", m.URL)
		select {
		case <-m.stalled:
		case <-time.After(kernelUp):
			s.fail("no package is asked for")
		}
		for deadline := time.Now().Add(soon); !partial(t, filepath.Join(home, "cache")); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				s.fail("nothing of half a package is in the cache")
			}
		}
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if !s.until(soon, func() bool { return s.ended }) {
			s.fail("does not end after %v", sig)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%v: took %v to end", sig, took)
		}
		if code := s.cmd.ProcessState.ExitCode(); sig != syscall.SIGKILL && code == 0 {
			t.Errorf("%v: status 0 of an interrupted build", sig)
		}
		if sig == syscall.SIGINT {
			if left := leftovers(t, filepath.Join(home, "doppel")); len(left) > 0 {
				t.Errorf("after %v the data folder holds %q", sig, left)
			}
		}
		ls := exec.Command(program, "image", "ls")
		ls.Env = append(os.Environ(), env...)
		if out, err := ls.Output(); err != nil || bytes.Contains(out, []byte("debian")) {
			t.Errorf("image ls after %v: %v\n%s", sig, err, out)
		}
		for len(m.stalled) > 0 {
			<-m.stalled
		}
	}
	// The half that came is not asked for again.
	m.mu.Lock()
	defer m.mu.Unlock()
	resumed := 0
	for _, r := range m.requests {
		if strings.Contains(r, "bytes=") {
			resumed++
		}
	}
	if resumed == 0 {
		t.Errorf("no download went on where it was: %q", m.requests)
	}
}

// fullDisk mounts a small file system where nobody else sees it, makes an
// image there, and lists what is left.
const fullDisk = `mount -t tmpfs -o size=3m tmpfs "$1" || exit 99
"$2" image import "$3" --size 64M
echo "status $?"
cd "$1" && find . -name '.draft*' -o -type f -size +0`

// A file system without room: a sentence, and nothing half made.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	big := filepath.Join(t.TempDir(), "big.tar")
	writeFile(t, big, tarFile(t, map[string]string{"file": strings.Repeat("0123456789abcdef", 1<<20/2)}))
	cmd := exec.Command("sh", "-c", fullDisk, "sh", home, program, big)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+home)
	cmd.SysProcAttr = newMountNamespace()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Skipf("no file system can be mounted here: %v: %s", err, stderr.String())
	}
	if stdout.String() != "status 1\n" {
		t.Errorf("want status 1 and nothing left behind, got %s", stdout.String())
	}
	sentence(t, []string{"image", "import", big}, stderr.String(), "space")
}

// partial says whether a part of some download lies in the cache.
func partial(t *testing.T, cache string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".partial") {
			return err
		}
		info, err := d.Info()
		found = found || err == nil && info.Size() > 0
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // files come and go
		t.Fatal(err)
	}
	return found
}
