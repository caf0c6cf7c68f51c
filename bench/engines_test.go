package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"doppel/internal/cpu/jit"
	"doppel/test/guest"
)

// guests boots machines with the programs, which it compiles once.
type guests struct {
	boot Boot
	host native
}

// TestGuests: the programs give in guests what they give on the host.
func TestGuests(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no kernel is booted")
	}
	for _, cc := range []string{compilers.guest, compilers.host} {
		if _, err := exec.LookPath(cc); err != nil {
			t.Skipf("no %s here", cc)
		}
	}
	ctx, dir := t.Context(), t.TempDir()
	guestBench, err := compile(ctx, compilers.guest, dir)
	if err != nil {
		t.Fatal(err)
	}
	hostBench, err := compile(ctx, compilers.host, dir)
	if err != nil {
		t.Fatal(err)
	}
	files := guest.Get(t)
	data, err := archive(files, guestBench)
	if err != nil {
		t.Fatal(err)
	}
	g := guests{Boot{Kernel: files.Kernel, Initrd: filepath.Join(dir, "initrd"), Append: commandLine}, native{path: hostBench}}
	if err := os.WriteFile(g.boot.Initrd, data, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Run("interp", g.testInterpreted)
	ok := t.Run("jit", func(t *testing.T) {
		if !jit.Available() {
			t.Skip("no translator on this host")
		}
		g.testTranslated(t, dir)
	})
	if ok { // for it may use the translator in this process
		t.Run("measured", g.testMeasured)
	}
}

func (g *guests) start(t *testing.T, engine string) *counter {
	t.Helper()
	m, err := startCounter(context.Background(), g.boot, engine)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testMeasured: one program is measured, and its instructions are counted.
func (g *guests) testMeasured(t *testing.T) {
	ctx, machine := t.Context(), g.start(t, "auto")
	defer machine.Close()
	row, err := measure(ctx, Program{Name: "list"}, []Target{g.host, machine}, plan{1, time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		n, err := machine.perIteration(ctx, "list", 10*time.Millisecond)
		// Some 20 for each of a thousand nodes on each of ten levels of the sort,
		// and little more in all.
		if err != nil || n < 100e3 || n > 500e3 {
			t.Errorf("%v instructions an iteration, %v", n, err)
		}
		t.Logf("%.0f instructions an iteration", n)
	}
	t.Logf("%v on the host, %v on the machine", duration(row.time(0)), duration(row.time(1)))
	if _, err := machine.Run(ctx, "nonsense", 1); err == nil {
		t.Error("a program that does not exist ran")
	}
}

// own calls f for each program that needs nothing but this repository, with the
// checksum that it has on the host.
func (g *guests) own(t *testing.T, f func(program, checksum string)) {
	t.Helper()
	for _, p := range programs {
		if p.Group == Application {
			continue // of Debian's packages
		}
		r, err := g.host.Run(t.Context(), p.Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		f(p.Name, r.Checksum)
	}
}

// testInterpreted: each program gives on the interpreter what it gives on the host.
func (g *guests) testInterpreted(t *testing.T) {
	m := g.start(t, "interp")
	defer m.Close()
	g.own(t, func(program, checksum string) {
		r, err := m.Run(t.Context(), program, 1)
		if err != nil {
			t.Fatal(err)
		}
		if r.Checksum != checksum {
			t.Errorf("%s: checksum %s, on the host %s", program, r.Checksum, checksum)
		}
	})
}

// hot is for how long the translator runs each program in one go: that makes regions of its
// hot loops, and makes them again, knowing where their time goes. A slower host does
// less in it, and finds less.
const hot = 100 * time.Millisecond

// testTranslated: each program gives on the translator what it gives on the host,
// also after it has run for long. These are loops as people and compilers make
// them, which random programs are not. The machine is a process of its own: one whose
// translator is at fault can then be ended.
func (g *guests) testTranslated(t *testing.T, dir string) {
	program := filepath.Join(dir, "doppel")
	if out, err := exec.Command("go", "build", "-o", program, "doppel/cmd/doppel").CombinedOutput(); err != nil {
		t.Fatalf("build doppel: %v: %s", err, out)
	}
	m, _, err := bootTo(t.Context(), doppelEmulator(program, "jit"), g.boot, readyText)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	g.own(t, func(program, checksum string) {
		for count := uint64(1); ; count *= 8 {
			r, err := m.Run(t.Context(), program, count)
			if err != nil {
				t.Fatalf("%d times: %v", count, err)
			}
			if r.Checksum != checksum {
				t.Errorf("%s, %d times: checksum %s, on the host %s", program, count, r.Checksum, checksum)
			}
			if r.Time >= hot {
				t.Logf("%s, %d times: %v", program, count, r.Time)
				return
			}
		}
	})
}
