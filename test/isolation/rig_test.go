package isolation

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"doppel"
	"doppel/internal/image/initramfs"
	"doppel/test/guest"
	"doppel/test/guest/shell"
)

const mib = 1 << 20

// patience is how long a guest may take for anything.
const patience = shell.Patience

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

// vm is a machine of a test.
type vm struct {
	*shell.VM
	t   *testing.T
	out *guest.Output
}

// begin starts a machine, from a state if one is given.
func begin(t *testing.T, h *doppel.Host, cfg doppel.Config, saved []byte) *vm {
	t.Helper()
	var v *shell.VM
	if saved == nil {
		v = shell.Boot(t, h, cfg)
	} else {
		v = shell.Thaw(t, h, cfg, saved)
	}
	return &vm{v, t, &v.Out}
}

func (v *vm) close() {
	v.t.Helper()
	v.Must(v.End())
}

// send types a command.
func (v *vm) send(command string) {
	v.t.Helper()
	v.Send(command)
}

// sh runs a command in the guest and waits for its end, however it ends.
func (v *vm) sh(command string) {
	v.t.Helper()
	v.Try(command)
}

// save pauses the machine, saves and closes it.
func (v *vm) save() []byte {
	v.t.Helper()
	return v.Freeze()
}

func (v *vm) pause() {
	v.t.Helper()
	v.Must(v.Pause())
}

func (v *vm) resume() {
	v.t.Helper()
	v.Must(v.Resume())
}
