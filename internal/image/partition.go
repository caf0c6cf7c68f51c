package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// GUID partition types, as the bytes on disk: "Linux root (riscv64)" of the Discoverable Partitions Specification, and
// "Linux filesystem data".
var (
	guidRootRISCV64 = [16]byte{0x70, 0xec, 0xa7, 0x72, 0x74, 0xcf, 0xe6, 0x40, 0xbd, 0x49, 0x4b, 0xda, 0x08, 0xe8, 0xf2, 0x24}
	guidLinuxData   = [16]byte{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}
)

const (
	sectorSize       = 512
	mbrLinux         = 0x83
	mbrProtective    = 0xee
	maxGPTPartitions = 128
)

var errNoRoot = errors.New("the disk has no Linux partition and no ext file system; boot it with --disk and a kernel of your own instead")

// rootDevice gives the device name of a raw disk's root: the whole disk, or its Linux root partition, or else its largest
// Linux partition.
func rootDevice(r io.ReaderAt, size int64) (string, error) {
	head := make([]byte, 2048)
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return "", fmt.Errorf("cannot read the disk: %w", err)
	}
	if isExt(head) {
		return "/dev/vda", nil
	}
	best, bestSize := 0, uint64(0)
	for i := range 4 { // the primary partitions of the MBR
		e := head[446+16*i:]
		sectors := uint64(binary.LittleEndian.Uint32(e[12:]))
		switch {
		case e[4] == mbrProtective:
			return gptRoot(r, size)
		case e[4] == mbrLinux && sectors > bestSize:
			best, bestSize = i+1, sectors
		}
	}
	if best == 0 {
		return "", errNoRoot
	}
	return fmt.Sprintf("/dev/vda%d", best), nil
}

// gptRoot reads a GUID partition table (UEFI §5.3).
func gptRoot(r io.ReaderAt, size int64) (string, error) {
	damaged := errors.New("the disk's partition table is damaged; repair it with sgdisk")
	h := make([]byte, sectorSize)
	if _, err := r.ReadAt(h, sectorSize); err != nil || string(h[:8]) != "EFI PART" {
		return "", damaged
	}
	le := binary.LittleEndian
	lba, count, entry := le.Uint64(h[72:]), le.Uint32(h[80:]), le.Uint32(h[84:])
	if entry < 128 || entry > 4096 || lba >= uint64(size)/sectorSize {
		return "", damaged
	}
	best, bestSize := 0, uint64(0)
	e := make([]byte, 128)
	for i := range min(count, maxGPTPartitions) {
		if _, err := r.ReadAt(e, int64(lba)*sectorSize+int64(i)*int64(entry)); err != nil {
			return "", damaged
		}
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if last < first {
			continue
		}
		switch [16]byte(e[:16]) {
		case guidRootRISCV64:
			return fmt.Sprintf("/dev/vda%d", i+1), nil
		case guidLinuxData:
			if last-first+1 > bestSize {
				best, bestSize = int(i)+1, last-first+1
			}
		}
	}
	if best == 0 {
		return "", errNoRoot
	}
	return fmt.Sprintf("/dev/vda%d", best), nil
}
