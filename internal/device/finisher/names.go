package finisher

import "doppel/internal/device"

var _ device.Registers = (*Device)(nil)

// RegisterName implements device.Registers.
func (*Device) RegisterName(off uint64, _ bool) string {
	if off == 0 {
		return "FINISH"
	}
	return ""
}
