package aclint

import (
	"fmt"

	"doppel/internal/device"
)

var _ device.Registers = (*ACLINT)(nil)

// RegisterName implements device.Registers.
func (a *ACLINT) RegisterName(off uint64, _ bool) string {
	switch {
	case off < mtimecmpBase:
		return fmt.Sprintf("msip[%d]", off/4)
	case off < mtimeOff:
		return fmt.Sprintf("mtimecmp[%d]", (off-mtimecmpBase)/8)
	}
	return "mtime"
}
