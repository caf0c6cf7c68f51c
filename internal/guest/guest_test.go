package guest

import (
	"encoding/binary"
	"testing"
)

// TestHeader checks the fields of the Image header that loaders rely on.
func TestHeader(t *testing.T) {
	b := Image()
	if got := string(b[48:60]); got != "RISCV\x00\x00\x00RSC\x05" {
		t.Errorf("magic %q", got)
	}
	if got := binary.LittleEndian.Uint64(b[8:]); got != Base-0x80000000 {
		t.Errorf("load offset %#x, want %#x", got, Base-0x80000000)
	}
	if got := binary.LittleEndian.Uint64(b[16:]); got != uint64(len(b)) {
		t.Errorf("image size %d, file has %d bytes", got, len(b))
	}
}
