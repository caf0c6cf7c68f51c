//go:build !(armbe || arm64be || mips || mips64 || ppc || ppc64 || s390 || s390x || sparc || sparc64)

package interp

// Guest memory is little-endian, as this host is.

func le16(v uint16) uint16 { return v }
func le32(v uint32) uint32 { return v }
func le64(v uint64) uint64 { return v }
