package uart

import "doppel/internal/device"

var _ device.Registers = (*UART)(nil)

// RegisterName implements device.Registers.
func (u *UART) RegisterName(off uint64, write bool) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	latch := u.lcr&lcrDLAB != 0
	switch {
	case latch && off == regDLL:
		return "DLL"
	case latch && off == regDLM:
		return "DLM"
	case write && off == regTHR:
		return "THR"
	case write && off == regFCR:
		return "FCR"
	case off <= regSCR:
		return [...]string{"RBR", "IER", "IIR", "LCR", "MCR", "LSR", "MSR", "SCR"}[off]
	}
	return ""
}
