package hart

import "doppel/internal/riscv"

// What the writable bits of each register are, and how a value becomes legal
// (WARL). The same functions serve guest writes and Restore, so that no saved
// state can hold what no guest could write.

const (
	// mstatusFixed are the read-only fields: UXL and SXL are 64 bits (priv §3.1.6.3).
	mstatusFixed = riscv.XL64<<riscv.MstatusUXLShift | riscv.XL64<<riscv.MstatusSXLShift

	sstatusWritable = riscv.MstatusSIE | riscv.MstatusSPIE | riscv.MstatusSPP | riscv.MstatusFS |
		riscv.MstatusSUM | riscv.MstatusMXR
	sstatusReadable = sstatusWritable | riscv.MstatusUXL
	mstatusWritable = sstatusWritable | riscv.MstatusMIE | riscv.MstatusMPIE | riscv.MstatusMPP |
		riscv.MstatusMPRV | riscv.MstatusTVM | riscv.MstatusTW | riscv.MstatusTSR

	// mstatusContext selects among translations.
	mstatusContext = riscv.MstatusMPRV | riscv.MstatusMPP | riscv.MstatusSUM | riscv.MstatusMXR

	supervisorInterrupts = riscv.MipSSIP | riscv.MipSTIP | riscv.MipSEIP | riscv.MipLCOFIP
	machineInterrupts    = riscv.MipMSIP | riscv.MipMTIP | riscv.MipMEIP
	allInterrupts        = supervisorInterrupts | machineInterrupts

	// medelegMask are the exceptions that can be delegated: those that this
	// hart raises, without ecall from M (priv §3.1.8).
	medelegMask = 1<<riscv.InstructionAddressMisaligned | 1<<riscv.InstructionAccessFault |
		1<<riscv.IllegalInstruction | 1<<riscv.Breakpoint |
		1<<riscv.LoadAddressMisaligned | 1<<riscv.LoadAccessFault |
		1<<riscv.StoreAddressMisaligned | 1<<riscv.StoreAccessFault |
		1<<riscv.EnvironmentCallFromU | 1<<riscv.EnvironmentCallFromS |
		1<<riscv.InstructionPageFault | 1<<riscv.LoadPageFault | 1<<riscv.StorePageFault
	midelegMask = supervisorInterrupts

	counterenMask    = 1<<32 - 1
	countinhibitMask = counterenMask &^ riscv.CounterTM // priv §3.1.12: time cannot be held

	senvcfgMask = riscv.EnvcfgFIOM | riscv.EnvcfgCBIE | riscv.EnvcfgCBCFE | riscv.EnvcfgCBZE
	menvcfgMask = senvcfgMask | riscv.MenvcfgADUE | riscv.MenvcfgPBMTE | riscv.MenvcfgSTCE
	mseccfgMask = riscv.MseccfgUSEED | riscv.MseccfgSSEED

	// mstateen0Mask: of what Smstateen governs only senvcfg and sstateen are
	// here. mstateen1 to 3 have SE alone.
	mstateen0Mask = riscv.Stateen0ENVCFG | riscv.Stateen0SE
	mstateenMask  = riscv.Stateen0SE

	// mhpmeventMask: the event number has 8 bits; there is no hypervisor, so
	// VSINH and VUINH are read-only 0 (Sscofpmf).
	mhpmeventMask = riscv.MhpmeventOF | riscv.MhpmeventMINH | riscv.MhpmeventSINH | riscv.MhpmeventUINH | eventMask

	pmpAddrMask = 1<<54 - 1 // priv §3.7.1: bits 55 to 2 of an address

	// misa is read-only: RV64 A B C D F I M S U.
	misa = riscv.XL64<<riscv.MisaMXLShift | 1<<0 | 1<<('B'-'A') | 1<<('C'-'A') | 1<<('D'-'A') |
		1<<('F'-'A') | 1<<('I'-'A') | 1<<('M'-'A') | 1<<('S'-'A') | 1<<('U'-'A')
)

// merge replaces the bits of old that mask selects.
func merge(old, v, mask uint64) uint64 { return old&^mask | v&mask }

// legalMstatus is the value of mstatus, without SD, after v is written.
func legalMstatus(old, v uint64) uint64 {
	if v&riscv.MstatusMPP == 2<<riscv.MstatusMPPShift {
		v = merge(v, old, riscv.MstatusMPP) // priv §3.1.6.1: MPP holds only modes that are there
	}
	return v&mstatusWritable | mstatusFixed
}

// legalTvec: modes 2 and 3 are reserved (priv §3.1.7).
func legalTvec(v uint64) uint64 { return v &^ 2 }

// legalEpc: bit 0 is always 0 (priv §3.1.14).
func legalEpc(v uint64) uint64 { return v &^ 1 }

// legalSatp: a write with a MODE that is not there has no effect (priv §12.1.11).
func legalSatp(old, v uint64) uint64 {
	switch v >> riscv.SatpModeShift {
	case riscv.SatpBare, riscv.SatpSv39, riscv.SatpSv48, riscv.SatpSv57:
		return v
	}
	return old
}

// legalEnvcfg: the value 2 of CBIE is reserved (priv §3.1.18).
func legalEnvcfg(old, v, mask uint64) uint64 {
	if v&riscv.EnvcfgCBIE == 2<<riscv.EnvcfgCBIEShift {
		v = merge(v, old, riscv.EnvcfgCBIE)
	}
	return v & mask
}

// legalPmpCfg: W without R is reserved (priv §3.7.1).
func legalPmpCfg(v uint8) uint8 {
	if v&(riscv.PMPR|riscv.PMPW) == riscv.PMPW {
		v &^= riscv.PMPW
	}
	return v & (riscv.PMPR | riscv.PMPW | riscv.PMPX | riscv.PMPA | riscv.PMPL)
}

// superviseReset sets what firmware would have set before it starts a
// supervisor (sbi §9.1).
func (c *CSRs) superviseReset() {
	c.supervise()
	c.Menvcfg |= riscv.MenvcfgADUE
	c.Scounteren = riscv.CounterCY | riscv.CounterTM | riscv.CounterIR
	c.Mcountinhibit = countinhibitMask &^ (riscv.CounterCY | riscv.CounterIR)
}

// supervise sets the machine-level registers that nothing changes while the
// VMM is the SBI, of a hart whose registers are legal.
func (c *CSRs) supervise() {
	c.Mstatus = c.Mstatus&sstatusWritable | mstatusFixed
	c.Mtvec, c.Mscratch, c.Mepc, c.Mcause, c.Mtval = 0, 0, 0, 0, 0
	c.Medeleg, c.Mideleg = medelegMask, midelegMask
	c.Mie &= supervisorInterrupts
	c.Mip &= riscv.MipSSIP | riscv.MipLCOFIP
	c.Mcounteren = counterenMask
	c.Menvcfg = c.Menvcfg&riscv.MenvcfgADUE | riscv.EnvcfgCBIE | riscv.EnvcfgCBCFE | riscv.EnvcfgCBZE |
		riscv.MenvcfgPBMTE | riscv.MenvcfgSTCE
	c.Mseccfg = riscv.MseccfgSSEED
	c.Mstateen = [4]uint64{mstateen0Mask, mstateenMask, mstateenMask, mstateenMask}
	c.PmpCfg = [16]uint8{riscv.PMPNAPOT<<riscv.PMPAShift | riscv.PMPR | riscv.PMPW | riscv.PMPX}
	c.PmpAddr = [16]uint64{pmpAddrMask}
}
