//go:build armbe || arm64be || mips || mips64 || ppc || ppc64 || s390 || s390x || sparc || sparc64

package interp

import "math/bits"

// Guest memory is little-endian, this host is not.

func le16(v uint16) uint16 { return bits.ReverseBytes16(v) }
func le32(v uint32) uint32 { return bits.ReverseBytes32(v) }
func le64(v uint64) uint64 { return bits.ReverseBytes64(v) }
