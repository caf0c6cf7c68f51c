package doppel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"doppel"
	"doppel/internal/guest"
)

func newHost(t *testing.T, cfg doppel.HostConfig) *doppel.Host {
	t.Helper()
	h, err := doppel.NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Machines of a host have names of their own, run side by side and leave it
// when they are closed.
func TestHost(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	var out [3]strings.Builder
	var wg sync.WaitGroup
	for i := range out {
		m, err := h.New(doppel.Config{Memory: 16 << 20, Console: doppel.Stream(strings.NewReader("poweroff\n"), &out[i])})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if r, err := m.Run(context.Background()); err != nil || r.Reason != doppel.PowerOff {
				t.Errorf("%s: %v, %v", m.Name(), r, err)
			}
		})
	}
	wg.Wait()
	var names []string
	for _, m := range h.Machines() {
		names = append(names, m.Name())
	}
	if got := strings.Join(names, " "); got != "machine-1 machine-2 machine-3" {
		t.Errorf("machines %q", got)
	}
	h.Machines()[1].Close()
	if all := h.Machines(); len(all) != 2 || all[1].Name() != "machine-3" {
		t.Errorf("%d machines after one was closed", len(all))
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if len(h.Machines()) != 0 {
		t.Error("a closed host has machines")
	}
	if _, err := h.New(doppel.Config{}); !errors.Is(err, doppel.ErrHostClosed) {
		t.Errorf("a closed host: %v", err)
	}
}

// A name is one machine's, and free again when that is closed.
func TestHostNames(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	small := doppel.Config{Name: "a", Memory: 16 << 20}
	m, err := h.New(small)
	if err != nil {
		t.Fatal(err)
	}
	var bad *doppel.ConfigError
	if _, err := h.New(small); !errors.As(err, &bad) || bad.Field != "Name" || bad.Value != "a" {
		t.Errorf("the same name twice: %v", err)
	}
	for _, name := range []string{"a b", "a\n", "\xff", strings.Repeat("x", 200), "a,b"} {
		if _, err := h.New(doppel.Config{Name: name}); !errors.As(err, &bad) || bad.Field != "Name" {
			t.Errorf("name %q: %v", name, err)
		}
	}
	m.Close()
	if _, err := h.New(small); err != nil {
		t.Error(err)
	}
}

// What several machines boot is in memory once, until it is changed.
func TestHostHoldsFilesOnce(t *testing.T) {
	kernel, initrd := filepath.Join(t.TempDir(), "kernel"), filepath.Join(t.TempDir(), "initrd")
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(kernel, guest.Image())
	write(initrd, make([]byte, 8<<20))
	h := newHost(t, doppel.HostConfig{})
	const machines = 8
	heap := func() uint64 {
		var ms runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&ms)
		return ms.HeapAlloc
	}
	boot := func() {
		t.Helper()
		var out strings.Builder
		m, err := h.New(doppel.Config{Memory: 64 << 20, Kernel: kernel, Initrd: initrd, Console: doppel.Stream(strings.NewReader("poweroff\n"), &out)})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := m.Run(context.Background()); err != nil || r.Reason != doppel.PowerOff {
			t.Errorf("%v, %v: %s", r, err, out.String())
		}
	}
	boot()
	one := heap()
	for range machines - 1 {
		boot()
	}
	if grown := heap() - min(heap(), one); grown > (machines-1)*6<<20 {
		t.Errorf("%d machines more take %d MiB more of the heap", machines-1, grown>>20)
	}
	write(kernel, []byte("something else by the same name"))
	var bad *doppel.ConfigError
	if _, err := h.New(doppel.Config{Memory: 64 << 20, Kernel: kernel}); !errors.As(err, &bad) || bad.Field != "Kernel" {
		t.Errorf("a kernel that has changed: %v", err)
	}
}

// What a reset needs again must be what it was, and a file that somebody cuts
// short ends one machine with a sentence.
func TestFileChangesUnderMachine(t *testing.T) {
	kernel := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(kernel, guest.Image(), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	m, err := newHost(t, doppel.HostConfig{}).New(doppel.Config{Memory: 64 << 20, Kernel: kernel, Console: doppel.Stream(strings.NewReader("reboot\n"), &out)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(kernel, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r, err := m.Run(ctx); err == nil || !strings.Contains(err.Error(), kernel+" has changed") {
		t.Errorf("%v, %v: %s", r, err, out.String())
	}
}

// TestLeavesNothing: a host holds on to no machine that was closed, whether or
// not others are left.
func TestLeavesNothing(t *testing.T) {
	h := newHost(t, doppel.HostConfig{MemoryLimit: 512 << 20, Networks: []doppel.Network{{Name: "lan"}}})
	var gone []weak.Pointer[doppel.Machine]
	for n := range 4 {
		m, err := h.New(doppel.Config{Memory: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			continue // stays
		}
		if n == 2 {
			h.MergeMemory() // has looked at it
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, weak.Make(m))
	}
	var state []byte
	for range 3 {
		var p weak.Pointer[doppel.Machine]
		p, state = liveAndLeave(t, h, state)
		gone = append(gone, p)
	}
	for n, p := range gone {
		for deadline := time.Now().Add(20 * time.Second); p.Value() != nil; runtime.GC() {
			if time.Now().After(deadline) {
				t.Fatalf("closed machine %d is still referred to", n)
			}
		}
	}
}

// liveAndLeave lets a machine run from a state, if there is one, and closes it.
func liveAndLeave(t *testing.T, h *doppel.Host, state []byte) (weak.Pointer[doppel.Machine], []byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r, w := io.Pipe()
	defer w.Close()
	m, err := h.New(doppel.Config{Memory: 16 << 20, CPUs: 2, CPUCap: "90%", Console: doppel.Stream(r, io.Discard), NICs: []doppel.NIC{{Switch: "lan"}}})
	must(err)
	if state != nil {
		must(m.Restore(bytes.NewReader(state)))
	}
	ended := make(chan error, 1)
	go func() {
		_, err := m.Run(context.Background())
		ended <- err
	}()
	executes := func() {
		t.Helper()
		n := m.Stats().Instructions()
		for deadline := time.Now().Add(20 * time.Second); m.Stats().Instructions() == n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the machine does not run")
			}
			go fmt.Fprintln(w, "help")
		}
	}
	executes()
	must(m.Reset())
	executes()
	must(m.Pause())
	var saved bytes.Buffer
	must(m.Save(&saved))
	must(m.Resume())
	h.MergeMemory()
	h.Memory()
	must(m.Close())
	must(<-ended)
	return weak.Make(m), saved.Bytes()
}
