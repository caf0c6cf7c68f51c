package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func sample() Stats {
	return Stats{Name: "x", PID: 7, Status: "running", Engine: "jit", CPUs: []CPU{{
		Instructions: 1 << 60, Exits: map[string]uint64{"mmio": 3}, Counts: map[string]uint64{"blocks": 5}}}}
}

// setBalloon knows a machine of 100 bytes.
func setBalloon(size uint64) error {
	if size > 100 {
		return errors.New("too\nlarge")
	}
	return nil
}

// TestSetBalloon: the machine's answer comes back, a refusal as a sentence.
func TestSetBalloon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	serve(t, path)
	if s, err := SetBalloon(path, 100); err != nil || s.Name != "x" || s.Socket != path {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := SetBalloon(path, 101); err == nil || !strings.Contains(err.Error(), "too?large") {
		t.Errorf("refused: %v", err)
	}
}

func serve(t *testing.T, path string) *Server {
	t.Helper()
	s, err := Serve(path, Machine{Stats: sample, SetBalloon: setBalloon, Stop: func(time.Duration) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestAsk: many at once get what the machine tells, and the socket is its
// owner's only and goes when the server ends.
func TestAsk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	s := serve(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	want := sample()
	want.Socket = path
	var wg sync.WaitGroup
	for range 4 * maxClients {
		wg.Go(func() {
			if got, err := Ask(path); err != nil || !reflect.DeepEqual(*got, want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

// TestBadRequests: whatever a client sends, it gets a sentence or nothing, and
// the next client is served.
func TestBadRequests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	serve(t, path)
	for request, want := range map[string]string{
		"\n":                               "not JSON",
		"hello\n":                          "not JSON",
		`{"op":"reboot"}` + "\n":           "unknown op",
		`{"op":7}` + "\n":                  "not JSON",
		strings.Repeat("x", maxRequest+99): "one line",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, request)
		line, err := bufio.NewReader(c).ReadBytes('\n')
		var resp response
		if json.Unmarshal(line, &resp) != nil || !strings.Contains(resp.Error, want) || resp.Stats != nil {
			t.Errorf("%.20q: %s, %v; want %q", request, line, err, want)
		}
		c.Close()
	}
	silent, err := net.Dial("unix", path) // takes a place for a while only
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := Ask(path); err != nil {
		t.Error(err)
	}
}

// TestWrongSockets: a sentence for each thing that can be wrong with a path.
func TestWrongSockets(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	o, err := net.Listen("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	go func() {
		for {
			c, err := o.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 mail\n")
			c.Close()
		}
	}()
	for path, want := range map[string]string{
		stale: "has ended", file: "has ended", other: "another program", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := Ask(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("ask %s: %v, want %q", path, err, want)
		}
	}
	for path, want := range map[string]string{
		file: "not a socket", other: "another program", filepath.Join(dir, "none", "socket"): "folder",
		filepath.Join(dir, strings.Repeat("x", 120)): "107",
	} {
		if s, err := Serve(path, Machine{Stats: sample, SetBalloon: setBalloon, Stop: func(time.Duration) {}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("serve %s: %v, want %q", path, err, want)
			if err == nil {
				s.Close()
			}
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "keep" {
		t.Error("a file was replaced")
	}
	serve(t, stale) // what a crash has left is replaced
}

// TestFind: machines are listed and found by name and number; sockets that a
// crash has left go, others' files stay.
func TestFind(t *testing.T) {
	run := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	if all, err := List(); len(all) != 0 || err != nil {
		t.Errorf("no machines: %v, %v", all, err)
	}
	dir := filepath.Join(run, "doppel")
	serve(t, filepath.Join(dir, "7.sock"))
	dead := filepath.Join(dir, "999999999.sock") // above the largest process number
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	notes := filepath.Join(dir, "notes.sock")
	if err := os.WriteFile(notes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x", "7"} {
		if found, err := Find(name); len(found) != 1 || err != nil || found[0].PID != 7 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if _, err := Find("y"); err == nil || !strings.Contains(err.Error(), `"y"`) {
		t.Errorf("no such machine: %v", err)
	}
	if _, err := os.Lstat(dead); err == nil {
		t.Error("the socket of a machine that is gone is still there")
	}
	if _, err := os.Lstat(notes); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := List(); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("a folder that others can enter: %v", err)
	}
}

// FuzzAnswer: no request does more than be answered.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"op":"stats"}`))
	f.Add([]byte(`{"op":"balloon","size":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		s := &Server{machine: Machine{Stats: sample, SetBalloon: setBalloon, Stop: func(time.Duration) {}}}
		if r := s.answer(line); (r.Error == "") == (r.Stats == nil) {
			t.Errorf("%q: %+v", line, r)
		}
	})
}
