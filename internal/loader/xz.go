package loader

import (
	"fmt"
)

// checkXZ refuses an xz stream whose dictionary is larger than the machine's
// memory (but always allows 64 MiB, what xz -9 uses): the decompressor would
// allocate it before the first byte comes out.
func checkXZ(b []byte, limit uint64) error {
	const (
		streamHeader = 12
		filterLZMA2  = 0x21
		always       = 64 << 20
	)
	// xz file format §3.1: block header size, flags, then optional sizes.
	h := b
	if len(h) < streamHeader+2 {
		return fmt.Errorf("is truncated: the xz data ends early")
	}
	h = h[streamHeader:]
	flags, h := h[1], h[2:]
	for bit := range 2 { // compressed and uncompressed size
		if flags&(0x40<<bit) != 0 {
			var ok bool
			if h, ok = skipVarint(h); !ok {
				return fmt.Errorf("cannot be unpacked as xz: damaged block header")
			}
		}
	}
	for range flags&3 + 1 {
		if len(h) < 3 {
			return fmt.Errorf("is truncated: the xz data ends early")
		}
		id, size := h[0], int(h[1])
		if id == filterLZMA2 {
			bits := uint64(h[2] & 0x3f)
			if dict := (2 | bits&1) << (bits/2 + 11); bits > 40 || dict > max(limit, always) {
				return fmt.Errorf("unpacks to more than the machine's memory of %d MiB", limit>>20)
			}
			return nil
		}
		if size > len(h)-2 {
			return fmt.Errorf("is truncated: the xz data ends early")
		}
		h = h[2+size:]
	}
	return nil
}

func skipVarint(b []byte) ([]byte, bool) {
	for i := 0; i < 9 && i < len(b); i++ {
		if b[i]&0x80 == 0 {
			return b[i+1:], true
		}
	}
	return nil, false
}
