package jit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"

	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// Dumper writes what translators make to a file for people to read: guest
// code, what each pass makes of it, and host code, of all VCPUs that share the
// Dumper. Its methods may be called from any goroutine, and on a nil Dumper,
// which does nothing.
//
// Each translation is written when it is complete, in one piece: the last one
// in the file is the last before a crash. When a write fails (the disk is full)
// nothing more is written, the guest goes on, and Close tells.
type Dumper struct {
	path string
	mu   sync.Mutex
	f    *os.File
	err  error
}

// CreateDump creates or empties the file that is written to. It must be a
// regular file, or a device such as /dev/stderr.
func CreateDump(path string) (*Dumper, error) {
	if path == "-" { // standard output is the guest's console
		return nil, errors.New("is no file's name; use ./- if you mean one")
	}
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		return nil, errors.New("is a pipe, which may block the guest; want a file")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // it holds guest code
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	return &Dumper{path: path, f: f}, nil
}

// Close closes the file and returns the first failure.
func (d *Dumper) Close() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.f == nil {
		return d.err
	}
	if err := d.f.Close(); d.err == nil {
		d.err = err
	}
	d.f = nil
	return d.err
}

func (d *Dumper) write(p []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.f == nil || d.err != nil {
		return
	}
	if _, err := d.f.Write(p); err != nil {
		d.err = fmt.Errorf("dump of translations: %w; it is not complete", err)
	}
}

// Event writes a line about something other than a translation: a link, an
// eviction.
func (d *Dumper) Event(hart int, format string, args ...any) {
	if d != nil {
		d.write(fmt.Appendf(nil, "-- cpu%d "+format+"\n", append([]any{hart}, args...)...))
	}
}

// Dump is the record of one translation, by one goroutine: Begin, what the
// passes made in their order, Code, End. A nil Dump does nothing.
type Dump struct {
	d *Dumper
	b bytes.Buffer
}

// Begin starts the record of a translation of some kind (block, region) of the
// code at the addresses va and gpa.
func (d *Dumper) Begin(kind string, hart int, va uint64, gpa memory.GPA) *Dump {
	if d == nil {
		return nil
	}
	r := &Dump{d: d}
	fmt.Fprintf(&r.b, "== cpu%d %s va %#x gpa %#x\n", hart, kind, va, uint64(gpa))
	return r
}

// Guest adds guest code from the address va on.
func (r *Dump) Guest(va uint64, insts []riscv.Inst) {
	if r == nil {
		return
	}
	r.b.WriteString("guest:\n")
	for _, in := range insts {
		fmt.Fprintf(&r.b, "  %#016x  %-8s  %s\n", va, fmt.Sprintf("%0*x", 2*in.Len, in.Raw), in.Disassemble(va))
		va += uint64(in.Len)
	}
}

// Pass adds what the pass of that name has made.
func (r *Dump) Pass(name string, code fmt.Stringer) {
	if r == nil {
		return
	}
	fmt.Fprintf(&r.b, "ir after %s:\n", name)
	for line := range bytes.Lines([]byte(code.String())) {
		fmt.Fprintf(&r.b, "  %s", line)
	}
}

// Code adds the host code that lies at an address.
func (r *Dump) Code(code []byte, at uintptr) {
	if r == nil {
		return
	}
	fmt.Fprintf(&r.b, "host, %d bytes at %#x:\n", len(code), at)
	for off := 0; off < len(code); {
		text, n := hostInst(code[off:], uint64(at)+uint64(off), uint64(at), len(code))
		fmt.Fprintf(&r.b, "  +%04x  %-30s  %s\n", off, fmt.Sprintf("% x", code[off:off+n]), text)
		off += n
	}
}

// Note adds a line.
func (r *Dump) Note(format string, args ...any) {
	if r != nil {
		fmt.Fprintf(&r.b, format+"\n", args...)
	}
}

// End writes the record.
func (r *Dump) End() {
	if r != nil {
		r.b.WriteByte('\n')
		r.d.write(r.b.Bytes())
	}
}
