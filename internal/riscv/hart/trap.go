package hart

import "doppel/internal/riscv"

// Trap takes a synchronous exception at PC. tval is the faulting address or,
// for an illegal instruction, its bits (Sstvala), else 0.
func (h *Hart) Trap(cause riscv.Cause, tval uint64) {
	to := M
	if h.cfg.Supervisor || h.Priv != M && h.CSR.Medeleg>>(cause&63)&1 != 0 {
		to = S // priv §3.1.8: traps never go to a less privileged mode
	}
	h.enter(cause, tval, to)
}

// enter makes mode to handle a trap (priv §3.1.6.1, §12.1.1).
func (h *Hart) enter(cause riscv.Cause, tval uint64, to Priv) {
	if h.observe != nil {
		h.observe(cause, tval, to)
	}
	if h.pmuOn != 0 {
		h.pmuSync()
	}
	r := &h.CSR
	st := r.Mstatus
	tvec := r.Stvec
	if to == S {
		r.Sepc, r.Scause, r.Stval = h.PC, uint64(cause), tval
		st &^= riscv.MstatusSPP | riscv.MstatusSPIE
		st |= uint64(h.Priv&1) << riscv.MstatusSPPShift
		st |= st & riscv.MstatusSIE << 4 // SPIE
		st &^= riscv.MstatusSIE
	} else {
		tvec = r.Mtvec
		r.Mepc, r.Mcause, r.Mtval = h.PC, uint64(cause), tval
		st &^= riscv.MstatusMPP | riscv.MstatusMPIE
		st |= uint64(h.Priv) << riscv.MstatusMPPShift
		st |= st & riscv.MstatusMIE << 4 // MPIE
		st &^= riscv.MstatusMIE
	}
	r.Mstatus = st
	h.Priv = to
	h.PC = handler(tvec, cause)
}

// MRet performs mret (priv §3.3.2). false means illegal instruction.
func (h *Hart) MRet() bool {
	if h.Priv != M {
		return false
	}
	st := h.CSR.Mstatus
	to := Priv(st >> riscv.MstatusMPPShift & 3)
	st = st&^riscv.MstatusMIE | st&riscv.MstatusMPIE>>4
	st |= riscv.MstatusMPIE
	st &^= riscv.MstatusMPP // the least privileged mode: U
	h.leave(st, to, h.CSR.Mepc)
	return true
}

// SRet performs sret (priv §3.3.2). false means illegal instruction.
func (h *Hart) SRet() bool {
	// priv §3.1.6.6: TSR makes it illegal in S-mode.
	if h.Priv < S || h.Priv == S && h.CSR.Mstatus&riscv.MstatusTSR != 0 {
		return false
	}
	st := h.CSR.Mstatus
	to := Priv(st >> riscv.MstatusSPPShift & 1)
	st = st&^riscv.MstatusSIE | st&riscv.MstatusSPIE>>4
	st |= riscv.MstatusSPIE
	st &^= riscv.MstatusSPP
	h.leave(st, to, h.CSR.Sepc)
	return true
}

// leave returns from a trap to mode to.
func (h *Hart) leave(st uint64, to Priv, pc uint64) {
	if h.pmuOn != 0 {
		h.pmuSync()
	}
	hadMPRV := st&riscv.MstatusMPRV != 0
	if to != M {
		st &^= riscv.MstatusMPRV // priv §3.1.6.4
	}
	h.CSR.Mstatus = st
	h.Priv = to
	h.PC = pc
	if hadMPRV {
		h.engine.FlushTLB(Fence{Context: true}) // MPRV or MPP has changed
	}
	h.checkInterrupts()
}

// WFI performs wfi (priv §3.3.3): it sets Halted unless an interrupt is
// already pending and enabled in mie. PC is the engine's to advance. false
// means illegal instruction.
func (h *Hart) WFI() bool {
	// In U-mode always, as S-mode is there; in S-mode if TW is set. The time
	// limit that the manual allows is 0.
	if h.Priv == U || h.Priv == S && h.CSR.Mstatus&riscv.MstatusTW != 0 {
		return false
	}
	h.Halted = h.mip()&h.CSR.Mie == 0
	return true
}

// SFenceVMA performs sfence.vma. false means illegal instruction.
func (h *Hart) SFenceVMA(va, asid uint64, hasVA, hasASID bool) bool {
	if h.Priv == U || h.trapsVM() {
		return false
	}
	f := Fence{HasVA: hasVA, HasASID: hasASID}
	if hasVA {
		f.VA, f.Size = va&^(pageSize-1), pageSize
	}
	if hasASID {
		f.ASID = uint16(asid) // priv §12.2.1: higher bits are ignored
	}
	h.engine.FlushTLB(f)
	return true
}

// SInvalVMA performs sinval.vma (Svinval), at once.
func (h *Hart) SInvalVMA(va, asid uint64, hasVA, hasASID bool) bool {
	return h.SFenceVMA(va, asid, hasVA, hasASID)
}

// SFenceInval performs sfence.w.inval and sfence.inval.ir, which order
// sinval.vma and have nothing left to do. TVM does not apply (Svinval).
func (h *Hart) SFenceInval() bool { return h.Priv != U }

// CBOAllowed tells whether a cache-block instruction is legal in this mode
// (unpriv §19.5: CMO). cbo.inval may always do the work of cbo.flush.
func (h *Hart) CBOAllowed(op riscv.Op) bool { return h.CBOAllowedIn(h.Priv, op) }

// CBOAllowedIn is CBOAllowed for the mode p.
func (h *Hart) CBOAllowedIn(p Priv, op riscv.Op) bool {
	var need uint64
	switch op {
	case riscv.CBO_ZERO:
		need = riscv.EnvcfgCBZE
	case riscv.CBO_CLEAN, riscv.CBO_FLUSH:
		need = riscv.EnvcfgCBCFE
	case riscv.CBO_INVAL:
		need = riscv.EnvcfgCBIE // 0 is illegal, else flush or invalidate
	}
	return p == M ||
		h.CSR.Menvcfg&need != 0 && (p == S || h.CSR.Senvcfg&need != 0)
}

// DataPriv is the effective privilege of loads and stores (priv §3.1.6.4).
func (h *Hart) DataPriv() Priv {
	if h.CSR.Mstatus&riscv.MstatusMPRV != 0 {
		return Priv(h.CSR.Mstatus >> riscv.MstatusMPPShift & 3)
	}
	return h.Priv
}
