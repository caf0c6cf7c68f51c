package loader

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"doppel/internal/memory"
)

// ELF-64 object file format, with the RISC-V ELF psABI's e_machine.
const (
	elfHeaderSize  = 64
	elfClass64     = 2
	elfData2LSB    = 1
	elfTypeExec    = 2
	elfTypeDyn     = 3
	elfMachineRISC = 243
	elfLoad        = 1
	elfSymtab      = 2

	programHeaderSize = 56
	sectionHeaderSize = 64
	symbolSize        = 24

	maxSegments = 128
	maxSections = 4096
)

func isELF(b []byte) bool { return bytes.HasPrefix(b, []byte("\x7fELF")) }

var le = binary.LittleEndian

// within returns the n bytes at off, nil if they are not all there.
func within(b []byte, off, n uint64) []byte {
	if off > uint64(len(b)) || n > uint64(len(b))-off {
		return nil
	}
	return b[off : off+n]
}

func parseELF(b []byte, opt Options) (*Program, error) {
	if len(b) < elfHeaderSize {
		return nil, fmt.Errorf("is a truncated ELF file of %d bytes", len(b))
	}
	if b[4] != elfClass64 || b[5] != elfData2LSB {
		return nil, fmt.Errorf("is not a 64-bit little-endian ELF file; the machine is RV64")
	}
	if m := le.Uint16(b[18:]); m != elfMachineRISC {
		return nil, fmt.Errorf("is an ELF file for %s, not for RISC-V", machineName(m))
	}
	if t := le.Uint16(b[16:]); t != elfTypeExec && t != elfTypeDyn {
		return nil, fmt.Errorf("is an ELF file of type %d, not an executable: link it first", t)
	}
	p := &Program{Kind: KindELF}
	if err := p.loadSegments(b); err != nil {
		return nil, err
	}
	p.Entry = p.physical(b, le.Uint64(b[24:]))
	p.findSymbols(b)
	if le.Uint16(b[16:]) == elfTypeDyn && !p.inRAM(opt) {
		p.moveTo(opt.RawAt)
	}
	return p, nil
}

// inRAM tells whether the place that the file was linked for is the machine's.
func (p *Program) inRAM(opt Options) bool {
	for _, s := range p.Segments {
		if s.Addr < opt.RAMBase || uint64(s.Addr-opt.RAMBase) >= opt.RAMSize {
			return false
		}
	}
	return true
}

// moveTo moves the program so that its lowest segment is at an address. A
// position-independent one, such as OpenSBI's, relocates itself. Sums that wrap
// are for place to refuse.
func (p *Program) moveTo(at memory.GPA) {
	lowest := p.Segments[0].Addr
	for _, s := range p.Segments {
		lowest = min(lowest, s.Addr)
	}
	slide := at - lowest
	for i := range p.Segments {
		p.Segments[i].Addr += slide
	}
	p.Entry += slide
	if p.ToHost != 0 {
		p.ToHost += slide
	}
	if p.FromHost != 0 {
		p.FromHost += slide
	}
}

// programHeader returns the i-th program header, nil if the file has it not.
func programHeader(b []byte, i int) []byte {
	off := le.Uint64(b[32:])
	if le.Uint16(b[54:]) != programHeaderSize || off > math.MaxUint64/2 {
		return nil
	}
	return within(b, off+uint64(i)*programHeaderSize, programHeaderSize)
}

func (p *Program) loadSegments(b []byte) error {
	n := int(le.Uint16(b[56:]))
	if n > maxSegments {
		return fmt.Errorf("has %d ELF program headers, over the limit of %d", n, maxSegments)
	}
	for i := range n {
		h := programHeader(b, i)
		if h == nil {
			return fmt.Errorf("is a truncated or damaged ELF file: program header %d is outside the file", i)
		}
		if le.Uint32(h) != elfLoad || le.Uint64(h[40:]) == 0 {
			continue
		}
		fileSize, memSize := le.Uint64(h[32:]), le.Uint64(h[40:])
		data := within(b, le.Uint64(h[8:]), fileSize)
		if data == nil || fileSize > memSize {
			return fmt.Errorf("is a truncated or damaged ELF file: segment %d wants %d bytes at %d of a file of %d", i, fileSize, le.Uint64(h[8:]), len(b))
		}
		p.Segments = append(p.Segments, Segment{memory.GPA(le.Uint64(h[24:])), data, memSize})
	}
	if len(p.Segments) == 0 {
		return fmt.Errorf("is an ELF file without anything to load")
	}
	return nil
}

// physical turns a linked (virtual) address into the physical address where
// its segment is loaded; other addresses stay as they are.
func (p *Program) physical(b []byte, va uint64) memory.GPA {
	for i := range int(le.Uint16(b[56:])) {
		h := programHeader(b, i)
		if h == nil || le.Uint32(h) != elfLoad {
			continue
		}
		if off := va - le.Uint64(h[16:]); va >= le.Uint64(h[16:]) && off < le.Uint64(h[40:]) {
			return memory.GPA(le.Uint64(h[24:]) + off)
		}
	}
	return memory.GPA(va)
}

// findSymbols looks for tohost and fromhost. A damaged symbol table has none.
func (p *Program) findSymbols(b []byte) {
	off, n := le.Uint64(b[40:]), int(le.Uint16(b[60:]))
	if le.Uint16(b[58:]) != sectionHeaderSize || n > maxSections || off > math.MaxUint64/2 {
		return
	}
	section := func(i uint64) []byte {
		if i >= uint64(n) {
			return nil
		}
		return within(b, off+i*sectionHeaderSize, sectionHeaderSize)
	}
	for i := range uint64(n) {
		h := section(i)
		if h == nil || le.Uint32(h[4:]) != elfSymtab {
			continue
		}
		names := section(uint64(le.Uint32(h[40:])))
		if names == nil {
			return
		}
		p.scanSymbols(b, within(b, le.Uint64(h[24:]), le.Uint64(h[32:])), within(b, le.Uint64(names[24:]), le.Uint64(names[32:])))
	}
}

func (p *Program) scanSymbols(b, symbols, names []byte) {
	for ; len(symbols) >= symbolSize; symbols = symbols[symbolSize:] {
		at := uint64(le.Uint32(symbols))
		if at >= uint64(len(names)) {
			continue
		}
		switch rest := names[at:]; {
		case bytes.HasPrefix(rest, []byte("tohost\x00")):
			p.ToHost = p.physical(b, le.Uint64(symbols[8:]))
		case bytes.HasPrefix(rest, []byte("fromhost\x00")):
			p.FromHost = p.physical(b, le.Uint64(symbols[8:]))
		}
	}
}

func machineName(m uint16) string {
	names := map[uint16]string{3: "x86 (i386)", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "s390", 40: "ARM", 62: "x86-64", 183: "arm64", 258: "LoongArch"}
	if n, ok := names[m]; ok {
		return n
	}
	return fmt.Sprintf("machine number %d", m)
}
