package loader

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"doppel/internal/memory"
)

// Linux, Documentation/arch/riscv/boot-image-header.rst.
const (
	imageHeaderSize   = 64
	imageTextOffset   = 8
	imageSizeOffset   = 16
	imageMagic2Offset = 56

	defaultTextOffset = 2 << 20
)

func isImage(b []byte) bool {
	return len(b) >= imageHeaderSize && string(b[imageMagic2Offset:imageMagic2Offset+4]) == "RSC\x05"
}

func parseImage(b []byte, ramBase memory.GPA) (*Program, error) {
	text := binary.LittleEndian.Uint64(b[imageTextOffset:])
	size := binary.LittleEndian.Uint64(b[imageSizeOffset:])
	if text == 0 {
		text = defaultTextOffset
	}
	const limit = 1 << 40 // keeps the sums below from wrapping
	if text > limit || size > limit || text%memory.PageSize != 0 {
		return nil, fmt.Errorf("has a damaged Image header: text offset %#x, size %#x", text, size)
	}
	// image_size counts the bss too; the file has up to _edata.
	if size != 0 && uint64(len(b)) > size {
		return nil, fmt.Errorf("has a damaged Image header: size %d for a file of %d bytes", size, len(b))
	}
	at := ramBase + memory.GPA(text)
	if pe := peSize(b); pe > uint64(len(b)) {
		return nil, fmt.Errorf("is truncated: %d bytes, but its sections end at %d", len(b), pe)
	}
	return &Program{Kind: KindImage, Entry: at, Segments: []Segment{{at, b, max(size, uint64(len(b)))}}}, nil
}

// peSize is where the file's PE sections end, 0 if it has no sound PE header.
// An Image with EFI support carries one; it is the only sign of truncation.
func peSize(b []byte) uint64 {
	off := uint64(binary.LittleEndian.Uint32(b[60:]))
	if off < imageHeaderSize || off+24 > uint64(len(b)) || string(b[off:off+4]) != "PE\x00\x00" {
		return 0
	}
	sections := uint64(binary.LittleEndian.Uint16(b[off+6:]))
	table := off + 24 + uint64(binary.LittleEndian.Uint16(b[off+20:]))
	var end uint64
	for i := range sections {
		h := table + 40*i
		if h+40 > uint64(len(b)) {
			return end
		}
		size, ptr := binary.LittleEndian.Uint32(b[h+16:]), binary.LittleEndian.Uint32(b[h+20:])
		end = max(end, uint64(size)+uint64(ptr))
	}
	return end
}

// foreign names a well-known format that is not for this machine, "" if none.
func foreign(b []byte) string {
	has := func(off int, magic string) bool {
		return len(b) >= off+len(magic) && string(b[off:off+len(magic)]) == magic
	}
	switch {
	case has(56, "ARM\x64"):
		return "an arm64 Linux Image"
	case has(0x1fe, "\x55\xaa") && has(0x202, "HdrS"):
		return "an x86 Linux bzImage"
	case has(0x24, "\x18\x28\x6f\x01"):
		return "a 32-bit ARM Linux zImage"
	case has(0, "\x27\x05\x19\x56"):
		return "a U-Boot legacy image (extract it with dumpimage)"
	case has(0, "MZ"):
		return "a PE program of another kind"
	case bytes.HasPrefix(b, []byte("#!")):
		return "a script"
	case has(0x438, "\x53\xef"):
		return "an ext file system (a disk image, not a kernel)"
	case has(0, "QFI\xfb"):
		return "a qcow2 disk image, not a kernel"
	}
	return ""
}
