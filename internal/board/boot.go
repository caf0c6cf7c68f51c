package board

import (
	"encoding/binary"
	"fmt"

	"doppel/internal/memory"
)

const (
	// KernelBase is where a supervisor-mode kernel starts: RAM's base plus
	// one large page, which firmware keeps for itself.
	KernelBase = RAMBase + KernelOffset
	// KernelOffset is the alignment that Linux asks for on RV64.
	KernelOffset = 2 << 20

	fdtAlign    = 2 << 20
	initrdAlign = 1 << 12
)

// PlaceFDT is the address of a device tree of n bytes: as high as it goes in
// the RAM below 4 GiB (where 32-bit-minded firmware finds it), so that a
// growing kernel does not meet it.
func PlaceFDT(ramSize uint64, n int) (memory.GPA, error) {
	top := uint64(RAMBase) + min(ramSize, 0x4000_0000)
	at := (top - uint64(n)) &^ (fdtAlign - 1)
	if uint64(n) > ramSize || at < uint64(RAMBase) {
		return 0, fmt.Errorf("memory of %d bytes has no room for a device tree of %d bytes", ramSize, n)
	}
	return memory.GPA(at), nil
}

// PlaceInitrd is the address of an initial RAM disk of n bytes between the
// end of the kernel and the device tree: directly below the tree, out of the
// way of a kernel that takes the memory behind its image. One that is too
// large for that goes behind the tree, to the end of RAM.
func PlaceInitrd(ramSize uint64, kernelEnd, fdtAt memory.GPA, n uint64) (memory.GPA, error) {
	if at, ok := below(uint64(fdtAt), uint64(kernelEnd), n); ok {
		return at, nil
	}
	behind := max(uint64(kernelEnd), uint64(fdtAt)+fdtAlign)
	if at, ok := below(uint64(RAMBase)+ramSize, behind, n); ok {
		return at, nil
	}
	return 0, fmt.Errorf("initrd of %d bytes does not fit in %d MiB of memory beside the kernel, which ends at %#x, and the device tree at %#x", n, ramSize>>20, uint64(kernelEnd), uint64(fdtAt))
}

// below places n bytes as high as they go between floor and top.
func below(top, floor, n uint64) (memory.GPA, bool) {
	if n > top {
		return 0, false
	}
	at := (top - n) &^ (initrdAlign - 1)
	return memory.GPA(at), at >= floor
}

// ResetVector is the boot ROM's contents: it enters firmware at start in
// M-mode with a0 = hart id, a1 = fdt and a2 = OpenSBI's dynamic information,
// which tells where the next stage begins (in S-mode, 0 for none).
func ResetVector(start, fdtAt, next memory.GPA) []byte {
	code := []uint32{
		0x00000297, // auipc t0, 0
		0x02828613, // addi  a2, t0, 40    (the dynamic information)
		0xf1402573, // csrr  a0, mhartid
		0x0202b583, // ld    a1, 32(t0)    (fdt)
		0x0182b283, // ld    t0, 24(t0)    (start)
		0x00028067, // jr    t0
	}
	const (
		fwDynamicMagic   = 0x4942534f // "OSBI"
		fwDynamicVersion = 2
		modeS            = 1
	)
	var b []byte
	for _, w := range code {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	for _, v := range []uint64{uint64(start), uint64(fdtAt),
		fwDynamicMagic, fwDynamicVersion, uint64(next), modeS, 0, 0} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}
