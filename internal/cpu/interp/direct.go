package interp

import (
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// What a translator may do without asking, as bits of VCPU.direct. They hold
// for every mode but M that the hart may go to without them being derived
// again, which refresh does.
const (
	// DirectZero << n: cbo.zero is legal in the privilege mode n.
	DirectZero uint8 = 1 << iota
	_
	// DirectSupervisor: in S-mode, writes of sstatus change no more than the
	// registers and, by SUM, the context, and sret is legal and loses nothing.
	DirectSupervisor
	_
	// DirectCall: an ecall from U goes to S, loses nothing, and nobody wants to
	// see it.
	DirectCall
)

// direct derives VCPU.direct. pmuSync wants to see changes of mode; MPRV and
// MXR are left to setContext; TVM and TSR make things illegal in S-mode.
func direct(h *hart.Hart) (d uint8) {
	for _, p := range []hart.Priv{hart.U, hart.S} {
		if h.CBOAllowedIn(p, riscv.CBO_ZERO) {
			d |= DirectZero << p
		}
	}
	const odd = riscv.MstatusMPRV | riscv.MstatusMXR | riscv.MstatusTVM | riscv.MstatusTSR
	if h.CSR.Mstatus&odd == 0 && !h.Counting() {
		d |= DirectSupervisor
		if !h.Observed() && (h.Supervisor() || h.CSR.Medeleg>>riscv.EnvironmentCallFromU&1 != 0) {
			d |= DirectCall
		}
	}
	return d
}
