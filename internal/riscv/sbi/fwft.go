package sbi

import (
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// Firmware features (sbi §18).
const (
	featureMisalignedDeleg = 0
	featureLandingPad      = 1
	featureShadowStack     = 2
	featureDoubleTrap      = 3
	featureADUpdating      = 4
	featurePointerMasking  = 5

	flagLock = 1
)

// firmwareFeatures serves extension FWFT.
//
// Deviates: sbi §18: PTE_AD_HW_UPDATING is 1 after reset, because the device
// tree names Svadu without Svade, which by its binding means switched on.
func (s *SBI) firmwareFeatures(h *hart.Hart, fn uint64, a [5]uint64) ret {
	feature := uint32(a[0])
	if fn > 1 {
		return fail(ErrNotSupported)
	}
	switch feature {
	case featureMisalignedDeleg, featureADUpdating:
	case featureLandingPad, featureShadowStack, featureDoubleTrap, featurePointerMasking:
		return fail(ErrNotSupported)
	default:
		return fail(ErrDenied)
	}
	if fn == 1 {
		return ok(getFeature(h, feature))
	}
	return s.setFeature(h, feature, a[1], a[2])
}

func getFeature(h *hart.Hart, feature uint32) uint64 {
	if feature == featureADUpdating && h.CSR.Menvcfg&riscv.MenvcfgADUE == 0 {
		return 0
	}
	return 1 // misaligned exceptions always go to the supervisor
}

func (s *SBI) setFeature(h *hart.Hart, feature uint32, value, flags uint64) ret {
	if value > 1 || flags&^flagLock != 0 {
		return fail(ErrInvalidParam)
	}
	locks := &s.hsm[h.ID()].locks
	if *locks>>feature&1 != 0 {
		return fail(ErrDenied)
	}
	switch {
	case feature == featureADUpdating:
		h.SetMenvcfg(h.CSR.Menvcfg&^riscv.MenvcfgADUE | value*riscv.MenvcfgADUE)
	case value == 0:
		return fail(ErrDenied) // nobody else would handle them
	}
	*locks |= uint8(flags&flagLock) << feature
	return ok(0)
}
