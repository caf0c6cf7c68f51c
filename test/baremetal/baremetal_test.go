// Package baremetal runs ELF programs that the cross compiler makes, in the
// style of public test suites and small kernels, through the public library:
// machine mode from the start of RAM with tohost, supervisor mode on the SBI.
package baremetal

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"doppel"
)

const compiler = "riscv64-unknown-elf-gcc"

// build compiles sources to an ELF file.
func build(t *testing.T, linker string, flags []string, sources ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("no %s here: install gcc-riscv64-unknown-elf", compiler)
	}
	out := filepath.Join(t.TempDir(), "program.elf")
	args := append([]string{"-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-nostdlib", "-nostartfiles", "-static",
		"-ffreestanding", "-fno-builtin", "-O2", "-Wall", "-T", filepath.Join("testdata", linker), "-o", out}, flags...)
	for _, s := range sources {
		args = append(args, filepath.Join("testdata", s))
	}
	if text, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", compiler, args, err, text)
	}
	return out
}

// screen is a console that keeps what is printed.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func run(t *testing.T, elf string, cpus int, engine string) (doppel.Result, string) {
	t.Helper()
	var out screen
	m, err := doppel.New(doppel.Config{Kernel: elf, Memory: 64 << 20, CPUs: cpus, Engine: engine, Console: doppel.WriteOnly(&out)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	r, err := m.Run(ctx)
	if err != nil {
		t.Fatalf("%v; printed %q", err, out.String())
	}
	return r, out.String()
}

func TestPrograms(t *testing.T) {
	for _, c := range []struct {
		name    string
		linker  string
		flags   []string
		sources []string
		cpus    int
		want    doppel.Result
		prints  string
	}{
		{"physical", "physical.ld", nil, []string{"physical.S"}, 1, doppel.Result{Reason: doppel.Finished}, ""},
		{"physical/4 harts", "physical.ld", nil, []string{"physical.S"}, 4, doppel.Result{Reason: doppel.Finished}, ""},
		{"physical/fails", "physical.ld", []string{"-DFAIL"}, []string{"physical.S"}, 1,
			doppel.Result{Reason: doppel.Finished, Code: 5}, ""},
		{"virtual", "physical.ld", nil, []string{"virtual.S", "virtual.c"}, 1,
			doppel.Result{Reason: doppel.Finished}, "starting\nuser program done\n"},
		{"kernel", "kernel.ld", nil, []string{"kernel.S"}, 1, doppel.Result{Reason: doppel.PowerOff}, "kernel speaks\n"},
		{"kernel/fails", "kernel.ld", []string{"-DFAIL"}, []string{"kernel.S"}, 1, doppel.Result{Reason: doppel.Finished, Code: 1}, "kernel speaks\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			elf := build(t, c.linker, c.flags, c.sources...)
			for _, engine := range []string{"auto", "interp"} {
				got, printed := run(t, elf, c.cpus, engine)
				if got != c.want || printed != c.prints {
					t.Errorf("%s: ended with %v, want %v; printed %q, want %q", engine, show(got), show(c.want), printed, c.prints)
				}
			}
		})
	}
}

func show(r doppel.Result) string { return fmt.Sprintf("%v %d", r.Reason, r.Code) }
