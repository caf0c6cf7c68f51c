package guest

import (
	"bytes"
	"debug/elf"
	"os"
	"testing"
)

// The files are there, and are what their names say.
func TestGet(t *testing.T) {
	f := Get(t)
	for _, p := range f.paths() {
		if info, err := os.Stat(*p); err != nil || info.Size() < 64<<10 {
			t.Errorf("%s: %v, %v", *p, info, err)
		}
	}
	kernel := f.read(t, f.Kernel)
	if !bytes.Equal(kernel[56:60], []byte("RSC\x05")) {
		t.Errorf("%s is no RISC-V Image", f.Kernel)
	}
	for _, path := range []string{f.DynamicELF, f.JumpELF, f.UBootMELF, f.UBootSELF, f.Busybox, f.Modules[0]} {
		e, err := elf.Open(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if e.Machine != elf.EM_RISCV {
			t.Errorf("%s is for %v", path, e.Machine)
		}
		e.Close()
	}
}
