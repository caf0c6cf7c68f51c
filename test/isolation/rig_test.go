package isolation

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel"
	"doppel/internal/image/initramfs"
	"doppel/test/guest"
)

const mib = 1 << 20

// patience is how long a guest may take for anything.
const patience = 2 * time.Minute

//go:embed testdata/flood.c
var floodSource []byte

// crossCompiler makes programs for the guest (package gcc-riscv64-linux-gnu).
const crossCompiler = "riscv64-linux-gnu-gcc"

// initrd is busybox with flood.
func initrd(t *testing.T) string {
	t.Helper()
	f := guest.Get(t)
	if _, err := exec.LookPath(crossCompiler); err != nil {
		t.Fatalf("no %s on this host: make deps-test installs it", crossCompiler)
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "flood.c"), filepath.Join(dir, "flood")
	if err := os.WriteFile(source, floodSource, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(crossCompiler, "-O2", "-static", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", crossCompiler, err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return f.WriteInitramfs(t, guest.ShellInit, initramfs.File{Name: "bin/flood", Mode: initramfs.Regular | 0o755, Data: data})
}

// tail is a console of which the end is kept.
type tail struct {
	mu    sync.Mutex
	b     []byte
	total int
}

const tailSize = 8 << 10

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.total += len(p)
	o.b = append(o.b, p[max(0, len(p)-tailSize):]...)
	o.b = o.b[:copy(o.b, o.b[max(0, len(o.b)-tailSize):])]
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}

func (o *tail) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.total
}

// vm is a machine that runs, with a shell on its console.
type vm struct {
	*doppel.Machine
	t     *testing.T
	out   tail
	in    *io.PipeWriter
	ended chan struct{}
	count int
}

// begin starts a machine, from a state if one is given.
func begin(t *testing.T, h *doppel.Host, cfg doppel.Config, saved []byte) *vm {
	t.Helper()
	v := &vm{t: t, ended: make(chan struct{})}
	r, w := io.Pipe()
	v.in = w
	cfg.Kernel, cfg.Append, cfg.Console = guest.Get(t).Kernel, "console=ttyS0 panic=-1 quiet", doppel.Stream(r, &v.out)
	m, err := h.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	v.Machine = m
	if saved != nil {
		if err := m.Restore(bytes.NewReader(saved)); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		defer close(v.ended)
		m.Run(context.Background())
	}()
	t.Cleanup(v.close)
	if saved == nil {
		v.expect("initramfs is up")
	}
	return v
}

func (v *vm) close() {
	if v.Machine == nil {
		return
	}
	v.Close()
	<-v.ended
	v.in.Close()
	v.Machine = nil // with all that it still refers to
}

// expect waits for a text on the console.
func (v *vm) expect(text string) {
	v.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(v.out.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Fatalf("%s: in %v there was no %q:\n%s", v.Name(), patience, text, v.out.String())
		}
	}
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

// save pauses the machine, saves and closes it.
func (v *vm) save() []byte {
	v.t.Helper()
	v.pause()
	var b bytes.Buffer
	if err := v.Save(&b); err != nil {
		v.t.Fatal(err)
	}
	v.close()
	return b.Bytes()
}

func (v *vm) pause() {
	v.t.Helper()
	if err := v.Pause(); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vm) resume() {
	v.t.Helper()
	if err := v.Resume(); err != nil {
		v.t.Fatal(err)
	}
}
