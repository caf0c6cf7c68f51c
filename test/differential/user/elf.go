package user

import (
	"bytes"
	"debug/elf"
	"encoding/binary"

	"doppel/test/bare"
)

// elfFile wraps the image in a static executable: one segment, readable,
// writable and executable, at the address where engines have it.
func (im *image) elfFile() []byte {
	const header = 64 + 56
	var b bytes.Buffer
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_RISCV), Version: uint32(elf.EV_CURRENT),
		Entry: im.start, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
		Flags: 0x5, // RVC, double-float ABI
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	h.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	p := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X),
		Off: 0x1000, Vaddr: bare.Base, Paddr: bare.Base, Align: 0x1000,
		Filesz: uint64(len(im.bytes)), Memsz: uint64(len(im.bytes)),
	}
	// Writing plain structs to a buffer cannot fail.
	_ = binary.Write(&b, binary.LittleEndian, h)
	_ = binary.Write(&b, binary.LittleEndian, p)
	b.Write(make([]byte, 0x1000-header))
	b.Write(im.bytes)
	return b.Bytes()
}
