//go:build linux && (amd64 || arm64)

package jit

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/jit/ir"
)

// TestDump: everything that is made, linked, dropped and evicted is in the
// file, and host code is disassembled without a gap.
func TestDump(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dump")
	d, err := CreateDump(path)
	if err != nil {
		t.Fatal(err)
	}
	_, v := machineOf(t, Options{Threshold: -1, CodeBytes: 64 << 10, Dump: d}, rewriting, cputest.Options{})
	run(t, v, 150_000)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	for _, want := range append([]string{
		"== cpu0 routines", "== cpu0 block va 0x80000000 gpa 0x80000000\n", "  auipc s0,", "ir after lowering:\n",
		"\n   1 pc x8,", "host, ", "+0000  ", "link 0 at +", "leads to block gpa 0x8",
		"has changed: its", "code cache full: all",
	}, dumpedCode...) {
		if !strings.Contains(text, want) {
			t.Errorf("the dump lacks %q", want)
		}
	}
	if n := uint64(strings.Count(text, "== cpu0 block")); n != v.stats.Blocks {

		t.Errorf("%d blocks in the dump, %d were made", n, v.stats.Blocks)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, ".byte") || strings.Contains(line, "vex.") {
			t.Errorf("not disassembled: %s", line)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want a file of its owner's only", info, err)
	}
}

// TestDumpFails: a file that cannot be is refused at the start; a disk that
// fills up later is told at the end, and the guest has not noticed.
func TestDumpFails(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "-", dir, filepath.Join(dir, "none", "dump"), pipe} {
		if d, err := CreateDump(path); err == nil {
			d.Close()
			t.Errorf("%q was accepted", path)
		}
	}
	d, err := CreateDump("/dev/full")
	if err != nil {
		t.Skipf("/dev/full is missing: %v", err)
	}
	m, v := machineOf(t, Options{Threshold: -1, Dump: d}, "loop: addi a1, a1, 1\nj loop\n", cputest.Options{})
	run(t, v, 1001)
	if m.Hart().X[11] == 0 {
		t.Error("the guest did not run")
	}
	for range 2 {
		if err := d.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a full disk: %v", err)
		}
	}
}

// TestNoAids: nothing is done without a Dumper and a PerfMap.
func TestNoAids(t *testing.T) {
	var d *Dumper
	r := d.Begin("block", 0, 0, 0)
	r.Guest(0, nil)
	r.Pass("x", &ir.Block{})
	r.Code([]byte{0x90}, 0)
	r.Note("x")
	r.End()
	d.Event(0, "x")
	var p *PerfMap
	p.Add(1, 2, "x")
	if d.Close() != nil || p.Err() != nil {
		t.Error("an aid that is not there fails")
	}
}

// TestPerfMap: the file has the format that perf reads, and what is in it is
// in code memory.
func TestPerfMap(t *testing.T) {
	p, err := OpenPerfMap()
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(PerfMapPath())
	if again, err := OpenPerfMap(); again != p || err != nil {
		t.Errorf("a second map of one process: %v", err)
	}
	_, v := machineOf(t, Options{Threshold: -1, PerfMap: p}, "loop: addi a1, a1, 1\nj loop\n", cputest.Options{})
	run(t, v, 1001)
	f, err := os.Open(PerfMapPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var at, size uintptr
		if n, err := fmt.Sscanf(lines.Text(), "%x %x ", &at, &size); n != 2 {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		if at < v.code.mem.Exec || size == 0 || at+size > v.code.mem.Exec+uintptr(v.code.end) {
			t.Errorf("%q is not in code memory, %#x to %#x", lines.Text(), v.code.mem.Exec, v.code.mem.Exec+uintptr(v.code.end))
		}
		names = append(names, strings.SplitN(lines.Text(), " ", 3)[2])
	}
	if len(names) < 2 || names[0] != "doppel:routines" || names[1] != "guest:block 0x80000000 [gpa 0x80000000]" {
		t.Errorf("names: %q", names)
	}
	if err := p.Err(); err != nil {
		t.Error(err)
	}
}
