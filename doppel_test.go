package doppel

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"doppel/internal/device/virtio/blk"
)

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBadConfig: each mistake is a ConfigError that names its field and says
// what to do.
func TestBadConfig(t *testing.T) {
	disk := file(t, "disk", make([]byte, 1<<20))
	odd := file(t, "odd", make([]byte, 1000))
	text := file(t, "text", []byte("this is no kernel"))
	empty := file(t, "empty", nil)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg         Config
		field, want string
	}{
		"kernel is a pipe":  {Config{Kernel: pipe}, "Kernel", "not a regular file"},
		"no such kernel":    {Config{Kernel: "/nonexistent/Image"}, "Kernel", "no such file"},
		"kernel is text":    {Config{Kernel: text}, "Kernel", "neither"},
		"kernel is empty":   {Config{Kernel: empty}, "Kernel", "is empty"},
		"kernel is folder":  {Config{Kernel: t.TempDir()}, "Kernel", "not a regular file"},
		"no such firmware":  {Config{Firmware: "/nonexistent/fw"}, "Firmware", "no such file"},
		"no such initrd":    {Config{Kernel: text, Initrd: "/nonexistent/initrd"}, "Initrd", "no such file"},
		"kernel is too big": {Config{Kernel: file(t, "big", make([]byte, 5<<20)), Memory: 4 << 20}, "Kernel", "more memory"},
		"disk alone":        {Config{Disks: []Disk{{Path: disk}}}, "Kernel", "needed"},
		"no such disk":      {Config{Firmware: text, Disks: []Disk{{Path: "/nonexistent/disk"}}}, "Disk", "does not exist"},
		"odd disk":          {Config{Firmware: text, Disks: []Disk{{Path: odd}}}, "Disk", "512"},
		"disk twice":        {Config{Firmware: text, Disks: []Disk{{Path: disk}, {Path: disk}}}, "Disk", "use"},
		"many disks":        {Config{Firmware: text, Net: "user", Disks: make([]Disk, 7)}, "Disks", "at most 6"},
		"network":           {Config{Net: "bridge"}, "Net", "user or none"},
		"publish alone":     {Config{Publish: []Publish{{Host: 1, Guest: 2}}}, "Publish", "user network"},
		"engine":            {Config{Engine: "warp"}, "Engine", "auto, interp, jit or jit,check"},
		"memory":            {Config{Memory: 1 << 20}, "Memory", "4 MiB"},
		"weight":            {Config{CPUWeight: -1}, "CPUWeight", "1 to 10000"},
		"large weight":      {Config{CPUWeight: 10001}, "CPUWeight", "1 to 10000"},
		"cap":               {Config{CPUCap: "much"}, "CPUCap", "such as 50%"},
		"cap above CPUs":    {Config{CPUCap: "150%"}, "CPUCap", "1% to 100%"},
		"small cap":         {Config{CPUCap: "0.1%"}, "CPUCap", "1%"},
		"affinity":          {Config{CPUAffinity: "first"}, "CPUAffinity", "such as 0,1"},
		"no such processor": {Config{CPUAffinity: "8000"}, "CPUAffinity", "no processor 8000"},
		"bare alone":        {Config{Firmware: "none"}, "Kernel", "needed"},
	} {
		m, err := New(c.cfg)
		if err == nil {
			m.Close()
		}
		var e *ConfigError
		if !errors.As(err, &e) || e.Field != c.field || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want a ConfigError for %s with %q", name, err, c.field, c.want)
		}
	}
	// What failed has left nothing open: the disk can be used.
	m, err := New(Config{Firmware: text, Disks: []Disk{{Path: disk}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestDiskFailure: what the host could not do for a disk is told at the end,
// whatever the guest made of it.
func TestDiskFailure(t *testing.T) {
	in, out := strings.NewReader("poweroff\n"), &bytes.Buffer{}
	m, err := New(Config{Console: Stream(in, out)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	full := errors.New("disk x: write: the host's file system is full")
	m.disks.set(blk.OpOut, full)
	m.disks.set(blk.OpFlush, errors.New("a later one"))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r, err := m.Run(ctx); r.Reason != PowerOff || err == nil || err.Error() != full.Error() {
		t.Errorf("got %+v, %v; want a power-off and the first failure", r, err)
	}
}

// TestPortInUse: a published port that is taken is told in one sentence, and
// the next machine can have it once it is free.
func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	cfg := Config{Memory: 16 << 20, Net: "user", Publish: []Publish{{Host: port, Guest: 80}}}
	m, err := New(cfg)
	if err == nil {
		m.Close()
	}
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(int(port))) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a port in use: %v", err)
	}
	t.Log(err)
	l.Close()
	if m, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestSaveRestoreGuest moves the embedded guest between two commands.
func TestSaveRestoreGuest(t *testing.T) {
	first := &recorder{lines: make(chan string, 1000)}
	cfg := Config{Memory: 16 << 20, Console: first}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := m.Run(context.Background()); ended <- err }()
	first.wait(t, "\n> ")
	if err := m.Pause(); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := m.Save(&saved); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	cfg.Console = Stream(strings.NewReader("echo moved\npoweroff\n"), &out)
	if m, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Restore(&saved); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := m.Run(ctx)
	if err != nil || r.Reason != PowerOff || !strings.Contains(out.String(), "\nmoved") {
		t.Errorf("%+v, %v, console %q", r, err, out.String())
	}
	if strings.Contains(out.String(), "small guest") {
		t.Error("the restored guest began anew")
	}
}

// recorder collects output for a test that waits for some of it.
type recorder struct {
	stream
	lines chan string
	text  strings.Builder
}

func (c *recorder) Write(p []byte) (int, error) {
	c.lines <- string(p)
	return len(p), nil
}

func (c *recorder) wait(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !strings.Contains(c.text.String(), text) {
		select {
		case s := <-c.lines:
			c.text.WriteString(s)
		case <-deadline:
			t.Fatalf("%q did not come; console: %q", text, c.text.String())
		}
	}
}

// TestKeys: the embedded guest takes the keys that Linux takes, behind a break.
func TestKeys(t *testing.T) {
	out := &recorder{lines: make(chan string, 1000)}
	m, err := New(Config{Memory: 16 << 20, Console: out})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	type end struct {
		r   Result
		err error
	}
	ended := make(chan end, 1)
	go func() {
		r, err := m.Run(context.Background())
		ended <- end{r, err}
	}()
	for _, key := range []byte{'b', 's', 'o'} { // again, nothing, off
		if key != 's' {
			out.wait(t, "\n> ")
			out.text.Reset()
		}
		for !m.SysRq(key) { // it has not read the last one yet
			if s := m.Status(); s != Running {
				t.Fatalf("before key %c it is %v", key, s)
			}
			time.Sleep(time.Millisecond)
		}
	}
	if e := <-ended; e.err != nil || e.r.Reason != PowerOff {
		t.Errorf("%+v, %v", e.r, e.err)
	}
}
