package sbi

import (
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// ssip is the interrupt input that an IPI asserts.
const ssip = uint(riscv.SupervisorSoftwareInterrupt & 63)

// selectHarts returns the harts of a hart mask (sbi §3.1).
func (s *SBI) selectHarts(mask, base uint64) ([]*hart.Hart, bool) {
	if base == ^uint64(0) {
		return s.harts, true
	}
	var out []*hart.Hart
	for i := uint64(0); i < 64; i++ {
		if mask>>i&1 == 0 {
			continue
		}
		id := base + i
		if base >= uint64(len(s.harts)) || id >= uint64(len(s.harts)) {
			return nil, false
		}
		out = append(out, s.harts[id])
	}
	return out, true
}

func (s *SBI) sendIPI(mask, base uint64) ret {
	targets, valid := s.selectHarts(mask, base)
	if !valid {
		return fail(ErrInvalidParam)
	}
	for _, t := range targets {
		t.SetInterrupt(ssip, true)
	}
	return ok(0)
}

// remoteFence serves extension RFENCE (sbi §8). There is no hypervisor
// extension, so its fences are not supported.
func (s *SBI) remoteFence(h *hart.Hart, fn uint64, a [5]uint64) ret {
	var f hart.Fence
	switch fn {
	case 0:
		f.Code = true
	case 1:
		f = fenceRange(a[2], a[3])
	case 2:
		f = fenceRange(a[2], a[3])
		f.HasASID, f.ASID = true, uint16(a[4])
	default:
		return fail(ErrNotSupported)
	}
	targets, valid := s.selectHarts(a[0], a[1])
	if !valid {
		return fail(ErrInvalidParam)
	}
	hart.Shootdown(h, targets, f)
	return ok(0)
}

// fenceRange covers size bytes from start, or all addresses (sbi §8).
func fenceRange(start, size uint64) hart.Fence {
	end := start + size
	if size == ^uint64(0) || start == 0 && size == 0 || end < start {
		return hart.Fence{}
	}
	const page = 4096
	first := start &^ (page - 1)
	// Without overflow: end-first is at least size's whole pages.
	length := max(end-first, 1)
	if length > ^uint64(0)-page {
		return hart.Fence{}
	}
	return hart.Fence{HasVA: true, VA: first, Size: (length + page - 1) &^ (page - 1)}
}
