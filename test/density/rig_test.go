package density

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"doppel"
	"doppel/test/guest"
)

// patience is how long a guest may take for anything: it ends a test that
// hangs, and is no measure of anything.
const patience = 10 * time.Minute

const appendLine = "console=ttyS0 panic=-1 quiet"

// vm is a machine that runs, with a shell on its console.
type vm struct {
	*doppel.Machine
	t     testing.TB
	out   guest.Output
	in    *io.PipeWriter
	ended chan struct{}
	count int
}

// boot starts a Linux on a host; cfg says what is not usual.
func boot(t testing.TB, h *doppel.Host, cfg doppel.Config) *vm {
	t.Helper()
	v := begin(t, h, cfg, nil)
	v.expect("initramfs is up")
	return v
}

// begin starts a machine, after before.
func begin(t testing.TB, h *doppel.Host, cfg doppel.Config, before func(*doppel.Machine)) *vm {
	t.Helper()
	f := guest.Get(t)
	if cfg.Initrd == "" {
		cfg.Initrd = f.WriteInitramfs(t, guest.ShellInit)
	}
	v := &vm{t: t, ended: make(chan struct{})}
	r, w := io.Pipe()
	v.in = w
	cfg.Kernel, cfg.Append, cfg.Console = f.Kernel, appendLine, doppel.Stream(r, &v.out)
	m, err := h.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	v.Machine = m
	if before != nil {
		before(m)
	}
	go func() {
		defer close(v.ended)
		m.Run(context.Background())
	}()
	t.Cleanup(func() {
		m.Close()
		<-v.ended
		if t.Failed() {
			t.Logf("%s:\n%s", m.Name(), v.out.String())
		}
	})
	return v
}

func newHost(t testing.TB, cfg doppel.HostConfig) *doppel.Host {
	t.Helper()
	h, err := doppel.NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// expect waits for a text on the console.
func (v *vm) expect(text string) {
	v.t.Helper()
	v.until("\""+text+"\" on the console", func() bool { return strings.Contains(v.out.String(), text) })
}

// send types a command.
func (v *vm) send(command string) { fmt.Fprintln(v.in, command) }

// sh runs a command in the guest and waits for its end.
func (v *vm) sh(command string) {
	v.t.Helper()
	v.count++
	fmt.Fprintf(v.in, "%s; echo done-$((%d+0))\n", command, v.count)
	v.expect(fmt.Sprintf("done-%d", v.count))
}

// until waits for something to become so.
func (v *vm) until(what string, so func() bool) {
	v.t.Helper()
	wait(v.t, what, so)
}

func wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in %v there was no %s", patience, what)
		}
	}
}

// rss is the process's anonymous memory in bytes: guests' and Go's own.
func rss(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skipf("the host does not tell what a process takes: %v", err)
	}
	var kb int64
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "Anonymous: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatalf("no line Anonymous in smaps_rollup:\n%s", b)
	return 0
}
