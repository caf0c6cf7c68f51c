package hart

import "doppel/internal/riscv"

// CSROp is what a CSR instruction does with the old value.
type CSROp uint8

const (
	CSRSwap  CSROp = iota // csrrw
	CSRSet                // csrrs
	CSRClear              // csrrc
)

func (op CSROp) String() string {
	switch op {
	case CSRSwap:
		return "swap"
	case CSRSet:
		return "set"
	}
	return "clear"
}

func (op CSROp) apply(old, operand uint64) uint64 {
	switch op {
	case CSRSwap:
		return operand
	case CSRSet:
		return old | operand
	}
	return old &^ operand
}

// ReadCSR reads a register as an instruction in the current mode does. !ok
// means illegal instruction: no such register, not for this mode, or switched
// off. The register seed can only be read together with a write.
func (h *Hart) ReadCSR(n uint16) (v uint64, ok bool) {
	return h.AccessCSR(n, CSRSet, 0, false, true)
}

// WriteCSR writes a register as csrrw x0 in the current mode does.
func (h *Hart) WriteCSR(n uint16, v uint64) (ok bool) {
	_, ok = h.AccessCSR(n, CSRSwap, v, true, false)
	return ok
}

// AccessCSR performs a CSR instruction as one step (unpriv §6.1). write and
// read tell whether it writes and reads: csrrs and csrrc with x0 do not write,
// csrrw to x0 does not read. !ok means illegal instruction, and no effect.
func (h *Hart) AccessCSR(n uint16, op CSROp, operand uint64, write, read bool) (old uint64, ok bool) {
	c := riscv.CSR(n & 0xfff)
	// priv §2.1: bits 11:10 tell read-only registers, bits 9:8 the lowest mode.
	if c.MinPrivilege() > h.Priv || write && c.ReadOnly() {
		return 0, false
	}
	if c == riscv.CSRSeed {
		return h.accessSeed(write)
	}
	old, ok = h.readCSR(c)
	if !ok || !write {
		return old, ok
	}
	base := old
	if c == riscv.CSRMip && op != CSRSwap {
		// priv §3.1.9: read-modify-write of SEIP uses the writable bit alone,
		// not the level of the interrupt controller.
		base = old&^riscv.MipSEIP | h.CSR.Mip&riscv.MipSEIP
	}
	h.writeCSR(c, op.apply(base, operand))
	return old, true
}

// readCSR reads a register that the mode may access by its number.
func (h *Hart) readCSR(c riscv.CSR) (v uint64, ok bool) {
	r := &h.CSR
	switch c {
	case riscv.CSRFflags:
		return uint64(h.FFlags), h.FPEnabled()
	case riscv.CSRFrm:
		return uint64(h.FRM), h.FPEnabled()
	case riscv.CSRFcsr:
		return uint64(h.FRM)<<riscv.FcsrFRMShift | uint64(h.FFlags), h.FPEnabled()
	case riscv.CSRCycle:
		return h.cycle(), h.counterEnabled(riscv.CounterCY)
	case riscv.CSRTime:
		return h.Time(), h.counterEnabled(riscv.CounterTM)
	case riscv.CSRInstret:
		return h.instret(), h.counterEnabled(riscv.CounterIR)

	case riscv.CSRSstatus:
		return h.mstatus() & (sstatusReadable | riscv.MstatusSD), true
	case riscv.CSRSie:
		return r.Mie & r.Mideleg, true
	case riscv.CSRSip:
		return h.mip() & r.Mideleg, true
	case riscv.CSRStvec:
		return r.Stvec, true
	case riscv.CSRSscratch:
		return r.Sscratch, true
	case riscv.CSRSepc:
		return r.Sepc, true
	case riscv.CSRScause:
		return r.Scause, true
	case riscv.CSRStval:
		return r.Stval, true
	case riscv.CSRSatp:
		return r.Satp, !h.trapsVM()
	case riscv.CSRScounteren:
		return r.Scounteren, true
	case riscv.CSRSenvcfg:
		return r.Senvcfg, h.Priv == M || r.Mstateen[0]&riscv.Stateen0ENVCFG != 0
	case riscv.CSRSstateen0, riscv.CSRSstateen1, riscv.CSRSstateen2, riscv.CSRSstateen3:
		// Smstateen: nothing that sstateen governs is here, so all are 0.
		return 0, h.Priv == M || r.Mstateen[c-riscv.CSRSstateen0]&riscv.Stateen0SE != 0
	case riscv.CSRStimecmp:
		return r.Stimecmp, h.stimecmpEnabled()
	case riscv.CSRScountovf:
		return h.scountovf(), true

	case riscv.CSRMvendorid, riscv.CSRMarchid, riscv.CSRMimpid, riscv.CSRMconfigptr:
		return 0, true // priv §3.1.2 to §3.1.4, §3.1.17: 0 is "not implemented"
	case riscv.CSRMhartid:
		return uint64(h.cfg.ID), true
	case riscv.CSRMstatus:
		return h.mstatus(), true
	case riscv.CSRMisa:
		return misa, true
	case riscv.CSRMedeleg:
		return r.Medeleg, true
	case riscv.CSRMideleg:
		return r.Mideleg, true
	case riscv.CSRMie:
		return r.Mie, true
	case riscv.CSRMip:
		return h.mip(), true
	case riscv.CSRMtvec:
		return r.Mtvec, true
	case riscv.CSRMscratch:
		return r.Mscratch, true
	case riscv.CSRMepc:
		return r.Mepc, true
	case riscv.CSRMcause:
		return r.Mcause, true
	case riscv.CSRMtval:
		return r.Mtval, true
	case riscv.CSRMcounteren:
		return r.Mcounteren, true
	case riscv.CSRMcountinhibit:
		return r.Mcountinhibit, true
	case riscv.CSRMenvcfg:
		return r.Menvcfg, true
	case riscv.CSRMseccfg:
		return r.Mseccfg, true
	case riscv.CSRMstateen0, riscv.CSRMstateen1, riscv.CSRMstateen2, riscv.CSRMstateen3:
		return r.Mstateen[c-riscv.CSRMstateen0], true
	case riscv.CSRMcycle:
		return h.cycle(), true
	case riscv.CSRMinstret:
		return h.instret(), true
	case riscv.CSRTselect, riscv.CSRTdata1, riscv.CSRTdata2, riscv.CSRTdata3:
		return 0, true // Sdtrig: one trigger number, at which there is no trigger
	case riscv.CSRTinfo:
		return 1, true
	}
	return h.readIndexedCSR(c)
}

// readIndexedCSR reads the registers that come in rows.
func (h *Hart) readIndexedCSR(c riscv.CSR) (v uint64, ok bool) {
	r := &h.CSR
	switch {
	case c >= riscv.CSRHpmcounter3 && c <= riscv.CSRHpmcounter31:
		return h.hpmcounter(c - riscv.CSRHpmcounter3), h.counterEnabled(1 << (c & 31))
	case c >= riscv.CSRMhpmcounter3 && c <= riscv.CSRMhpmcounter31:
		return h.hpmcounter(c - riscv.CSRMhpmcounter3), true
	case c >= riscv.CSRMhpmevent3 && c <= riscv.CSRMhpmevent31:
		h.pmuSync() // it may set OF
		return r.Mhpmevent[c-riscv.CSRMhpmevent3], true
	case c >= riscv.CSRPmpcfg0 && c <= riscv.CSRPmpcfg14 && c&1 == 0:
		return h.pmpcfg(c - riscv.CSRPmpcfg0), true
	case c >= riscv.CSRPmpaddr0 && c <= riscv.CSRPmpaddr15:
		return r.PmpAddr[c-riscv.CSRPmpaddr0], true
	case c > riscv.CSRPmpaddr15 && c <= riscv.CSRPmpaddr63:
		return 0, true // priv §3.7.1: entries that are not there read as 0
	}
	return 0, false
}

// writeCSR writes a register that readCSR has just found accessible.
func (h *Hart) writeCSR(c riscv.CSR, v uint64) {
	r := &h.CSR
	switch c {
	case riscv.CSRFflags:
		h.FFlags = uint32(v & riscv.Fflags)
		h.SetFPDirty()
	case riscv.CSRFrm:
		h.FRM = uint8(v & 7)
		h.SetFPDirty()
	case riscv.CSRFcsr:
		h.FFlags, h.FRM = uint32(v&riscv.Fflags), uint8(v>>riscv.FcsrFRMShift&7)
		h.SetFPDirty()

	case riscv.CSRSstatus:
		h.setMstatus(merge(r.Mstatus, v, sstatusWritable))
	case riscv.CSRSie:
		r.Mie = merge(r.Mie, v, r.Mideleg&allInterrupts)
		h.checkInterrupts()
	case riscv.CSRSip:
		// priv §12.1.3: of the delegated bits, software owns SSIP; LCOFIP: Sscofpmf.
		h.setMip(v, r.Mideleg&(riscv.MipSSIP|riscv.MipLCOFIP))
	case riscv.CSRStvec:
		r.Stvec = legalTvec(v)
	case riscv.CSRSscratch:
		r.Sscratch = v
	case riscv.CSRSepc:
		r.Sepc = legalEpc(v)
	case riscv.CSRScause:
		r.Scause = v
	case riscv.CSRStval:
		r.Stval = v
	case riscv.CSRSatp:
		h.setSatp(v)
	case riscv.CSRScounteren:
		r.Scounteren = v & counterenMask
	case riscv.CSRSenvcfg:
		r.Senvcfg = legalEnvcfg(r.Senvcfg, v, senvcfgMask)
	case riscv.CSRStimecmp:
		h.SetStimecmp(v)

	case riscv.CSRMstatus:
		h.setMstatus(v)
	case riscv.CSRMedeleg:
		r.Medeleg = v & medelegMask
	case riscv.CSRMideleg:
		r.Mideleg = v & midelegMask
		h.checkInterrupts()
	case riscv.CSRMie:
		r.Mie = v & allInterrupts
		h.checkInterrupts()
	case riscv.CSRMip:
		h.setMip(v, h.mipWritable())
	case riscv.CSRMtvec:
		r.Mtvec = legalTvec(v)
	case riscv.CSRMscratch:
		r.Mscratch = v
	case riscv.CSRMepc:
		r.Mepc = legalEpc(v)
	case riscv.CSRMcause:
		r.Mcause = v
	case riscv.CSRMtval:
		r.Mtval = v
	case riscv.CSRMcounteren:
		r.Mcounteren = v & counterenMask
	case riscv.CSRMcountinhibit:
		h.setCountinhibit(v)
	case riscv.CSRMenvcfg:
		h.SetMenvcfg(v)
	case riscv.CSRMseccfg:
		r.Mseccfg = v & mseccfgMask
	case riscv.CSRMstateen0:
		r.Mstateen[0] = v & mstateen0Mask
	case riscv.CSRMstateen1, riscv.CSRMstateen2, riscv.CSRMstateen3:
		r.Mstateen[c-riscv.CSRMstateen0] = v & mstateenMask
	case riscv.CSRMcycle:
		h.setCycle(v)
	case riscv.CSRMinstret:
		h.setInstret(v)
	default:
		h.writeIndexedCSR(c, v)
	}
}

// writeIndexedCSR writes the registers that come in rows. The others that
// are left (misa, triggers, sstateen) are read-only in all their bits.
func (h *Hart) writeIndexedCSR(c riscv.CSR, v uint64) {
	switch {
	case c >= riscv.CSRMhpmcounter3 && c <= riscv.CSRMhpmcounter31:
		h.SetHpmcounter(int(c&31), v)
	case c >= riscv.CSRMhpmevent3 && c <= riscv.CSRMhpmevent31:
		h.SetHpmevent(int(c&31), v)
	case c >= riscv.CSRPmpcfg0 && c <= riscv.CSRPmpcfg2 && c&1 == 0:
		h.setPmpcfg(c-riscv.CSRPmpcfg0, v)
	case c >= riscv.CSRPmpaddr0 && c <= riscv.CSRPmpaddr15:
		h.setPmpaddr(c-riscv.CSRPmpaddr0, v)
	}
}

// accessSeed is Zkr's entropy source (unpriv §31.4.1): every access must
// write, and modes below M need leave.
func (h *Hart) accessSeed(write bool) (v uint64, ok bool) {
	allowed := h.Priv == M ||
		h.Priv == S && h.CSR.Mseccfg&riscv.MseccfgSSEED != 0 ||
		h.Priv == U && h.CSR.Mseccfg&riscv.MseccfgUSEED != 0
	if !write || !allowed {
		return 0, false
	}
	const es16 = 2 << 30 // OPST: 16 bits of entropy follow
	var b [2]byte
	h.cfg.Entropy.Fill(b[:])
	return es16 | uint64(b[0]) | uint64(b[1])<<8, true
}

// mstatus adds the derived bit SD (priv §3.1.6.7).
func (h *Hart) mstatus() uint64 {
	v := h.CSR.Mstatus
	if v&riscv.MstatusFS == riscv.MstatusFS {
		v |= riscv.MstatusSD
	}
	return v
}

func (h *Hart) setMstatus(v uint64) {
	old := h.CSR.Mstatus
	h.CSR.Mstatus = legalMstatus(old, v)
	if (old^h.CSR.Mstatus)&mstatusContext != 0 {
		h.engine.FlushTLB(Fence{Context: true})
	}
	h.checkInterrupts()
}

// trapsVM tells whether satp and fences are illegal here (priv §3.1.6.6, TVM).
func (h *Hart) trapsVM() bool {
	return h.Priv == S && h.CSR.Mstatus&riscv.MstatusTVM != 0
}

func (h *Hart) setSatp(v uint64) {
	old := h.CSR.Satp
	h.CSR.Satp = legalSatp(old, v)
	if h.CSR.Satp != old {
		h.engine.FlushTLB(Fence{Context: true})
	}
}

// SetMenvcfg writes menvcfg; for the SBI, which stands where M-mode software
// would.
func (h *Hart) SetMenvcfg(v uint64) {
	r := &h.CSR
	old := r.Menvcfg
	r.Menvcfg = legalEnvcfg(old, v, menvcfgMask)
	changed := old ^ r.Menvcfg
	if changed&(riscv.MenvcfgADUE|riscv.MenvcfgPBMTE) != 0 {
		h.engine.FlushTLB(Fence{})
	}
	if changed&riscv.MenvcfgSTCE != 0 {
		r.Mip &^= riscv.MipSTIP // Sstc: from now on derived, or again software's
		h.updateTimer()
		h.checkInterrupts()
	}
}

// FPEnabled tells whether floating-point instructions are legal (mstatus.FS).
func (h *Hart) FPEnabled() bool { return h.CSR.Mstatus&riscv.MstatusFS != 0 }

// SetFPDirty notes that an f register or fcsr was written (priv §3.1.6.7).
func (h *Hart) SetFPDirty() { h.CSR.Mstatus |= riscv.MstatusFS }
