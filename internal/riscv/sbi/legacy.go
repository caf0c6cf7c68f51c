package sbi

import (
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// legacy serves the calls of SBI 0.1 (sbi §5), which return in a0 alone.
func (s *SBI) legacy(h *hart.Hart, ext uint64) Action {
	a := [4]uint64(h.X[10:14])
	value := uint64(0)
	switch ext {
	case extSetTimer:
		h.SetStimecmp(a[0])
	case extPutchar:
		if s.platform.WriteConsole([]byte{byte(a[0])}) == 0 {
			return Retry // sbi §5.2: it blocks
		}
	case extGetchar:
		value = s.getchar()
	case extClearIPI:
		if h.ClearIPI() {
			value = 1
		}
	case extSendIPI, extRemoteFenceI, extRemoteFence, extRemoteFenceASID:
		mask, cause, va := s.legacyMask(h, a[0])
		if cause != 0 {
			h.Trap(cause, va) // sbi §5: the fault is the supervisor's, at the ecall
			return Continue
		}
		value = uint64(s.legacyTargets(h, ext, mask, a).err)
	case extShutdown:
		return s.systemReset(Shutdown, NoReason).action
	}
	h.PC += 4
	h.X[10] = value
	return Continue
}

func (s *SBI) getchar() uint64 {
	var b [1]byte
	if s.platform.ReadConsole(b[:]) == 0 {
		return ^uint64(0)
	}
	return uint64(b[0])
}

// legacyTargets sends an IPI or a fence to the harts of mask.
func (s *SBI) legacyTargets(h *hart.Hart, ext, mask uint64, a [4]uint64) ret {
	switch ext {
	case extSendIPI:
		return s.sendIPI(mask, 0)
	case extRemoteFenceI:
		return s.remoteFence(h, 0, [5]uint64{mask})
	case extRemoteFence:
		return s.remoteFence(h, 1, [5]uint64{mask, 0, a[1], a[2]})
	}
	return s.remoteFence(h, 2, [5]uint64{mask, 0, a[1], a[2], a[3]})
}

// legacyMask reads the mask at a virtual address; none means all harts. A mask
// has one word for each 64 harts: those above the first word cannot be named.
// A fault is returned as its cause and address.
func (s *SBI) legacyMask(h *hart.Hart, va uint64) (mask uint64, cause riscv.Cause, at uint64) {
	all := uint64(1)<<min(len(s.harts), 64) - 1 // a shift by 64 gives 0, so all bits
	if va == 0 {
		return all, 0, 0
	}
	for i := uint64(0); i < 8; i++ {
		m, cause, valid := h.Translate(va+i, 1, hart.Load)
		if !valid {
			return 0, cause, va + i
		}
		var b [1]byte
		if err := h.Memory().ReadAt(b[:], m.GPA); err != nil {
			return 0, riscv.LoadAccessFault, va + i
		}
		mask |= uint64(b[0]) << (8 * i)
	}
	return mask & all, 0, 0
}
