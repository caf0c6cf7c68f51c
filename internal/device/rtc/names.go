package rtc

import "doppel/internal/device"

var _ device.Registers = (*RTC)(nil)

// RegisterName implements device.Registers.
func (r *RTC) RegisterName(off uint64, _ bool) string {
	names := [...]string{"TIME_LOW", "TIME_HIGH", "ALARM_LOW", "ALARM_HIGH", "IRQ_ENABLED", "CLEAR_ALARM", "ALARM_STATUS", "CLEAR_INTERRUPT"}
	if n := off / 4; n < uint64(len(names)) {
		return names[n]
	}
	return ""
}
