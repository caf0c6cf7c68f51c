//go:build linux && amd64

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
	for _, want := range []string{
		"== cpu0 routines", "== cpu0 block va 0x80000000 gpa 0x80000000\n", "  auipc s0,", "ir after lowering:\n",
		"\n   0 pc x8,", "host, ", "+0000  ", "sub r14, 0x", "js +0", "link 0 at +", "leads to block gpa 0x8",
		"has changed: its", "code cache full: all",
	} {
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
	for _, path := range []string{"", dir, filepath.Join(dir, "none", "dump"), pipe} {
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

// TestVEX: what the disassembler of golang.org/x/arch does not know, as GNU
// objdump shows it, and the length of what nobody knows.
func TestVEX(t *testing.T) {
	for _, c := range []struct {
		code []byte
		want string
	}{
		{[]byte{0xc4, 0xe2, 0xf1, 0xa9, 0xc2}, "vfmadd213sd xmm0, xmm1, xmm2"},
		{[]byte{0xc4, 0xe2, 0x71, 0xaf, 0xc2}, "vfnmsub213ss xmm0, xmm1, xmm2"},
		{[]byte{0xc5, 0xfb, 0x58, 0x47, 0x08}, "vaddsd xmm0, xmm0, [rdi+0x8]"},
		{[]byte{0xc4, 0xc1, 0x7b, 0x11, 0x87, 0x00, 0x01, 0x00, 0x00}, "vmovsd [r15+0x100], xmm0, xmm0"},
		{[]byte{0xc4, 0xe1, 0xf9, 0x6e, 0xc8}, "vmovq xmm1, rax"},
		{[]byte{0xc4, 0xc1, 0xf9, 0x7e, 0xd1}, "vmovq r9, xmm2"},
		{[]byte{0xc4, 0xe3, 0x79, 0x0b, 0xc1, 0x0b}, "vroundsd xmm0, xmm0, xmm1, 0xb"},
		{[]byte{0xc4, 0xe2, 0xe9, 0xf7, 0xc7}, "shlx rax, rdi, rdx"},
		{[]byte{0xc4, 0xe2, 0x70, 0xf2, 0x04, 0x8b}, "andn eax, ecx, [rbx+rcx*4]"},
		{[]byte{0xc5, 0xf1, 0xef, 0xc9}, "vpxor xmm1, xmm1, xmm1"},
		{[]byte{0xc4, 0xe3, 0x79, 0x60, 0xc1, 0x0b}, "vex.1.3.60 xmm0, xmm0, xmm1, 0xb"},
	} {
		if text, n := hostInst(c.code, 0, 0, len(c.code)); text != c.want || n != len(c.code) {
			t.Errorf("% x is %q of %d bytes, want %q", c.code, text, n, c.want)
		}
		for short := range c.code {
			if short > 0 {
				hostInst(c.code[:short], 0, 0, short) // must not read further
			}
		}
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
