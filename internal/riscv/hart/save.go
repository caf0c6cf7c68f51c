package hart

import (
	"fmt"

	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/state"
)

// StateName is the section's name, "cpu0" for hart 0.
func (h *Hart) StateName() string { return fmt.Sprintf("cpu%d", h.cfg.ID) }

// StateVersion is the version that Save writes.
func (h *Hart) StateVersion() uint32 { return 1 }

// Save writes the architectural state and the interrupt inputs. The hart is
// not running. Kicks and flush requests are not part of it: a restored hart
// starts with empty translation caches.
func (h *Hart) Save(e *state.Encoder) {
	h.takeEdges()
	h.pmuSync()
	e.U64s(h.X[:])
	e.U64s(h.F[:])
	e.U64(h.PC)
	e.U8(uint8(h.Priv))
	e.U8(h.FRM)
	e.U8(uint8(h.FFlags))
	e.Bool(h.ResValid)
	e.U8(h.ResSize)
	e.U64(uint64(h.ResAddr))
	e.U64(h.ResValue)
	e.U64(h.Instret)
	e.Bool(h.Halted)
	for _, p := range h.CSR.words() {
		e.U64(*p)
	}
	e.U64s(h.CSR.Mstateen[:])
	e.U64s(h.CSR.Mhpmcounter[:])
	e.U64s(h.CSR.Mhpmevent[:])
	for _, c := range h.CSR.PmpCfg {
		e.U8(c)
	}
	e.U64s(h.CSR.PmpAddr[:])
	e.U64(h.lines.Load())
}

// words lists the single registers in the order of version 1.
func (c *CSRs) words() []*uint64 {
	return []*uint64{
		&c.Mstatus, &c.Mtvec, &c.Mscratch, &c.Mepc, &c.Mcause, &c.Mtval,
		&c.Medeleg, &c.Mideleg, &c.Mie, &c.Mip,
		&c.Mcounteren, &c.Mcountinhibit, &c.Menvcfg, &c.Mseccfg,
		&c.Stvec, &c.Sscratch, &c.Sepc, &c.Scause, &c.Stval, &c.Satp,
		&c.Scounteren, &c.Senvcfg, &c.Stimecmp, &c.Mcyclebias, &c.Minstretbias,
	}
}

// Restore replaces the state by a saved one, from an untrusted source: what no
// guest could have brought about is an error or made legal. The hart is not
// running. It does not look at the clock, which may be restored later.
func (h *Hart) Restore(d *state.Decoder, _ uint32) error {
	var s State
	d.U64s(s.X[:])
	d.U64s(s.F[:])
	s.PC = d.U64()
	s.Priv = Priv(d.U8())
	s.FRM = d.U8()
	s.FFlags = uint32(d.U8())
	s.ResValid = d.Bool()
	s.ResSize = d.U8()
	s.ResAddr = memory.GPA(d.U64())
	s.ResValue = d.U64()
	s.Instret = d.U64()
	s.Halted = d.Bool()
	for _, p := range s.CSR.words() {
		*p = d.U64()
	}
	d.U64s(s.CSR.Mstateen[:])
	d.U64s(s.CSR.Mhpmcounter[:])
	d.U64s(s.CSR.Mhpmevent[:])
	for i := range s.CSR.PmpCfg {
		s.CSR.PmpCfg[i] = d.U8()
	}
	d.U64s(s.CSR.PmpAddr[:])
	lines := d.U64()
	if err := s.check(h.cfg.Supervisor); err != nil {
		d.Failf("%s: %w", h.StateName(), err)
	}
	if d.Err() != nil {
		return d.Err()
	}
	s.CSR.legalize()
	if h.cfg.Supervisor {
		s.CSR.supervise()
	}
	h.State = s
	h.lines.Store(lines & levelInputs)
	h.edges.Store(0)
	h.stip = false // Refresh asks for a look at the time in the first Poll
	h.Refresh()
	h.await()
	h.flushAll()
	return nil
}

// check refuses a state outside the registers' ranges.
func (s *State) check(supervisor bool) error {
	switch {
	case s.X[0] != 0:
		return fmt.Errorf("x0 is %#x, want 0", s.X[0])
	case s.PC&1 != 0:
		return fmt.Errorf("pc %#x is odd", s.PC)
	case s.Priv != U && s.Priv != S && s.Priv != M:
		return fmt.Errorf("privilege mode is %d, want 0, 1 or 3", s.Priv)
	case supervisor && s.Priv == M:
		return fmt.Errorf("privilege mode is M on a machine without M-mode software")
	case s.FRM > 7:
		return fmt.Errorf("frm is %d, want 0 to 7", s.FRM)
	case s.FFlags > uint32(riscv.Fflags):
		return fmt.Errorf("fflags is %#x, want 0 to 0x1f", s.FFlags)
	case s.ResValid && (s.ResSize != 4 && s.ResSize != 8 || uint64(s.ResAddr)%uint64(s.ResSize) != 0):
		return fmt.Errorf("reservation of %d bytes at %#x, want 4 or 8 aligned bytes", s.ResSize, uint64(s.ResAddr))
	}
	return nil
}

// legalize gives every register a value that it can hold.
func (c *CSRs) legalize() {
	c.Mstatus = legalMstatus(mstatusFixed, c.Mstatus)
	c.Mtvec, c.Stvec = legalTvec(c.Mtvec), legalTvec(c.Stvec)
	c.Mepc, c.Sepc = legalEpc(c.Mepc), legalEpc(c.Sepc)
	c.Medeleg &= medelegMask
	c.Mideleg &= midelegMask
	c.Mie &= allInterrupts
	c.Mip &= supervisorInterrupts
	c.Mcounteren &= counterenMask
	c.Scounteren &= counterenMask
	c.Mcountinhibit &= countinhibitMask
	c.Menvcfg = legalEnvcfg(0, c.Menvcfg, menvcfgMask)
	c.Senvcfg = legalEnvcfg(0, c.Senvcfg, senvcfgMask)
	if c.Menvcfg&riscv.MenvcfgSTCE != 0 {
		c.Mip &^= riscv.MipSTIP
	}
	c.Mseccfg &= mseccfgMask
	c.Satp = legalSatp(0, c.Satp)
	c.Mstateen[0] &= mstateen0Mask
	for i := 1; i < len(c.Mstateen); i++ {
		c.Mstateen[i] &= mstateenMask
	}
	for i := range c.Mhpmevent {
		c.Mhpmevent[i] &= mhpmeventMask
	}
	for i := range c.PmpCfg {
		c.PmpCfg[i] = legalPmpCfg(c.PmpCfg[i])
		c.PmpAddr[i] &= pmpAddrMask
	}
}
