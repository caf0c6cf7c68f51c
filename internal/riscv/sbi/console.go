package sbi

import (
	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
)

// maxConsole bounds what one call moves: a guest calls again for the rest
// (sbi §12.1 and §12.2 allow partial transfers).
const maxConsole = 4096

// debugConsole serves extension DBCN (sbi §12).
func (s *SBI) debugConsole(h *hart.Hart, fn uint64, a [5]uint64) ret {
	switch fn {
	case 0:
		return s.consoleWrite(h.Memory(), a[0], a[1], a[2])
	case 1:
		return s.consoleRead(h.Memory(), a[0], a[1], a[2])
	case 2:
		if s.platform.WriteConsole([]byte{byte(a[0])}) == 0 {
			return ret{action: Retry} // sbi §12.3: this one waits
		}
		return ok(0)
	}
	return fail(ErrNotSupported)
}

func (s *SBI) consoleWrite(mem *memory.Space, n, lo, hi uint64) ret {
	r := mem.Find(memory.GPA(lo), n)
	if hi != 0 || r == nil || !r.Readable() {
		return fail(ErrInvalidParam)
	}
	buf := make([]byte, min(n, maxConsole))
	if err := mem.ReadAt(buf, memory.GPA(lo)); err != nil {
		return fail(ErrInvalidParam) // a flash that has just changed its mode
	}
	if len(buf) == 0 {
		return ok(0)
	}
	return ok(uint64(s.platform.WriteConsole(buf)))
}

func (s *SBI) consoleRead(mem *memory.Space, n, lo, hi uint64) ret {
	r := mem.Find(memory.GPA(lo), n)
	if hi != 0 || r == nil || !r.Writable() {
		return fail(ErrInvalidParam)
	}
	buf := make([]byte, min(n, maxConsole))
	if len(buf) == 0 {
		return ok(0)
	}
	buf = buf[:s.platform.ReadConsole(buf)]
	if err := mem.WriteAt(buf, memory.GPA(lo)); err != nil {
		return fail(ErrInvalidParam)
	}
	return ok(uint64(len(buf)))
}
