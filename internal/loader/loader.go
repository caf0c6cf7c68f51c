// Package loader recognises what a guest may be started from by its content
// and lays it out in guest physical memory: Linux Images (raw, compressed, in
// an EFI zboot wrapper), ELF files and, where asked for, raw binaries.
//
// It opens no file and touches no machine. Every byte that it reads may be
// hostile: lengths are checked, output is limited to the machine's RAM.
package loader

import (
	"bytes"
	"fmt"

	"doppel/internal/memory"
)

// Kind is a recognised format.
type Kind uint8

const (
	KindImage Kind = iota // Linux Image with its RISC-V header
	KindELF
	KindRaw
)

func (k Kind) String() string {
	names := [...]string{"Linux Image", "ELF", "raw binary"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Segment is a run of memory to fill. Memory behind Data up to Size is zero.
type Segment struct {
	Addr memory.GPA
	Data []byte
	Size uint64
}

// Program is what a file says is to be in memory.
type Program struct {
	Kind     Kind
	Segments []Segment
	Entry    memory.GPA
	End      memory.GPA // the first address behind all segments

	// The physical addresses of the symbols tohost and fromhost, 0 if absent.
	ToHost, FromHost memory.GPA
}

// Options say where a program may go.
type Options struct {
	RAMBase memory.GPA
	RAMSize uint64
	// AllowRaw accepts anything unknown as a raw binary at RawAt, which is also
	// where position-independent ELF files go that are linked for elsewhere.
	AllowRaw bool
	RawAt    memory.GPA
}

// Parse recognises data. Its errors are sentences without the file's name.
func Parse(data []byte, opt Options) (*Program, error) {
	data, err := unpack(data, opt.RAMSize)
	if err != nil {
		return nil, err
	}
	var p *Program
	switch {
	case isELF(data):
		p, err = parseELF(data, opt)
	case isImage(data):
		p, err = parseImage(data, opt.RAMBase)
	default:
		if name := foreign(data); name != "" {
			return nil, fmt.Errorf("is %s; a RISC-V (riscv64) kernel is needed", name)
		}
		if !opt.AllowRaw {
			return nil, fmt.Errorf("is neither a RISC-V Linux Image (raw, gzip, zstd, xz or EFI zboot) nor a RISC-V ELF file")
		}
		if len(data) == 0 {
			return nil, fmt.Errorf("is empty")
		}
		p = &Program{Kind: KindRaw, Entry: opt.RawAt, Segments: []Segment{{opt.RawAt, data, uint64(len(data))}}}
	}
	if err != nil {
		return nil, err
	}
	return p, p.place(opt)
}

// place checks that all segments lie in RAM and sets End.
func (p *Program) place(opt Options) error {
	for _, s := range p.Segments {
		off := uint64(s.Addr - opt.RAMBase)
		if s.Addr < opt.RAMBase || off > opt.RAMSize || s.Size > opt.RAMSize-off {
			return fmt.Errorf("needs %d bytes at %#x, but memory is %d MiB from %#x: give the machine more memory or link it elsewhere",
				s.Size, uint64(s.Addr), opt.RAMSize>>20, uint64(opt.RAMBase))
		}
		p.End = max(p.End, s.Addr+memory.GPA(s.Size))
	}
	return nil
}

// Load writes the program to memory, which is zero where nothing has been
// written. What is zero in the program is left alone: a quarter of the pages of
// a kernel, which take no memory as long as nobody touches them.
func (p *Program) Load(mem *memory.Space) error {
	for i, s := range p.Segments {
		b, err := mem.Slice(s.Addr, s.Size)
		if err != nil {
			return fmt.Errorf("load %d bytes at %#x: %w", s.Size, uint64(s.Addr), err)
		}
		if overlaps(s, p.Segments[:i]) {
			clear(b[copy(b, s.Data):])
			continue
		}
		copyPages(b, s.Data)
	}
	return nil
}

func overlaps(s Segment, others []Segment) bool {
	for _, o := range others {
		if s.Addr < o.Addr+memory.GPA(o.Size) && o.Addr < s.Addr+memory.GPA(s.Size) {
			return true
		}
	}
	return false
}

// copyPages is copy to memory that is zero.
func copyPages(to, from []byte) {
	var zero [memory.PageSize]byte
	for len(from) > 0 {
		page := from[:min(memory.PageSize, len(from))]
		if !bytes.Equal(page, zero[:len(page)]) {
			copy(to, page)
		}
		to, from = to[len(page):], from[len(page):]
	}
}
