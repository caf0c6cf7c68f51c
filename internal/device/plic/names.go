package plic

import (
	"fmt"

	"doppel/internal/device"
)

var _ device.Registers = (*PLIC)(nil)

// RegisterName implements device.Registers.
func (p *PLIC) RegisterName(off uint64, write bool) string {
	switch {
	case off < pendingBase:
		return fmt.Sprintf("priority[%d]", off/4)
	case off < enableBase:
		return fmt.Sprintf("pending[%d]", (off-pendingBase)/4)
	case off < contextBase:
		off -= enableBase
		return fmt.Sprintf("context %d enable[%d]", off/enableStride, off%enableStride/4)
	}
	off -= contextBase
	switch context := off / contextStride; off % contextStride {
	case regThreshold:
		return fmt.Sprintf("context %d threshold", context)
	case regClaim:
		if write {
			return fmt.Sprintf("context %d complete", context)
		}
		return fmt.Sprintf("context %d claim", context)
	}
	return ""
}
