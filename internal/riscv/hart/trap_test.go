package hart

import (
	"testing"

	"doppel/internal/riscv"
)

// TestTrap: who takes an exception and what it leaves (priv §3.1.6.1, §3.1.8,
// §3.1.14 to §3.1.16, §12.1.1).
func TestTrap(t *testing.T) {
	for _, c := range []struct {
		rule   string
		p      Priv
		deleg  uint64
		ie     bool // MIE and SIE before
		wantTo Priv
	}{
		{"U, not delegated", U, 0, true, M},
		{"S, not delegated", S, 0, true, M},
		{"M", M, 0, true, M},
		{"M, interrupts off", M, 0, false, M},
		{"U, delegated", U, 1 << 2, true, S},
		{"S, delegated", S, 1 << 2, false, S},
		{"M never delegates to itself below", M, 1 << 2, true, M},
		{"another cause is delegated", U, 1 << 3, true, M},
	} {
		m := newMachine(t, false)
		m.write(t, riscv.CSRMedeleg, c.deleg)
		m.write(t, riscv.CSRMtvec, 0x1001)
		m.write(t, riscv.CSRStvec, 0x2001)
		ie := uint64(0)
		if c.ie {
			ie = riscv.MstatusMIE | riscv.MstatusSIE
		}
		m.write(t, riscv.CSRMstatus, ie)
		m.Priv, m.PC = c.p, 0x8000_0004
		m.Trap(riscv.IllegalInstruction, 0xdead)

		want := uint64(mstatusFixed)
		r := &m.CSR
		epc, cause, tval, pc := r.Mepc, r.Mcause, r.Mtval, uint64(0x1000)
		if c.wantTo == S {
			want |= uint64(c.p) << riscv.MstatusSPPShift
			if c.ie {
				want |= riscv.MstatusMIE | riscv.MstatusSPIE
			}
			epc, cause, tval, pc = r.Sepc, r.Scause, r.Stval, 0x2000
		} else {
			want |= uint64(c.p) << riscv.MstatusMPPShift
			if c.ie {
				want |= riscv.MstatusMPIE | riscv.MstatusSIE
			}
		}
		if m.Priv != c.wantTo || r.Mstatus != want || epc != 0x8000_0004 || cause != 2 || tval != 0xdead {
			t.Errorf("%s: to %v, mstatus %#x, want %v, %#x; epc %#x, cause %d, tval %#x",
				c.rule, m.Priv, r.Mstatus, c.wantTo, want, epc, cause, tval)
		}
		if m.PC != pc { // priv §3.1.7: exceptions go to the base, vectored or not
			t.Errorf("%s: pc %#x, want %#x", c.rule, m.PC, pc)
		}
	}
}

// TestSupervisorTraps: without M-mode software all traps are the supervisor's.
func TestSupervisorTraps(t *testing.T) {
	for _, p := range []Priv{U, S} {
		for c := riscv.Cause(0); c < 64; c++ {
			m := newMachine(t, true)
			m.Priv = p
			m.Trap(c, 1)
			if m.Priv != S || m.CSR.Scause != uint64(c) {
				t.Fatalf("cause %d in %v-mode goes to %v", c, p, m.Priv)
			}
			m.mem.Close()
		}
	}
}

// TestReturn: mret and sret (priv §3.3.2, §3.1.6.1, §3.1.6.4, §3.1.6.6).
func TestReturn(t *testing.T) {
	const (
		mie, mpie, sie, spie = riscv.MstatusMIE, riscv.MstatusMPIE, riscv.MstatusSIE, riscv.MstatusSPIE
		spp, mprv, tsr       = riscv.MstatusSPP, riscv.MstatusMPRV, riscv.MstatusTSR
		mppS, mppM           = 1 << 11, 3 << 11
	)
	for _, c := range []struct {
		rule   string
		sret   bool
		p      Priv
		status uint64
		ok     bool
		to     Priv
		after  uint64
	}{
		{"mret in U", false, U, 0, false, 0, 0},
		{"mret in S", false, S, 0, false, 0, 0},
		{"mret to U", false, M, mpie, true, U, mie | mpie},
		{"mret to S", false, M, mppS | mie, true, S, mpie},
		{"mret to M", false, M, mppM, true, M, mpie},
		{"mret to M keeps MPRV", false, M, mppM | mprv, true, M, mpie | mprv},
		{"mret to S clears MPRV", false, M, mppS | mprv, true, S, mpie},
		{"sret in U", true, U, 0, false, 0, 0},
		{"sret in S to U", true, S, spie, true, U, sie | spie},
		{"sret in S to S", true, S, spp | sie, true, S, spie},
		{"sret in S with TSR", true, S, tsr, false, 0, 0},
		{"sret in M with TSR", true, M, tsr, true, U, tsr | spie},
		{"sret in M clears MPRV", true, M, mprv | spp, true, S, spie},
	} {
		m := newMachine(t, false)
		m.write(t, riscv.CSRMepc, 0x100)
		m.write(t, riscv.CSRSepc, 0x200)
		m.write(t, riscv.CSRMstatus, c.status)
		m.Priv, m.PC = c.p, 0x10
		m.rec.tlb = nil
		do, pc := m.MRet, uint64(0x100)
		if c.sret {
			do, pc = m.SRet, 0x200
		}
		if got := do(); got != c.ok {
			t.Errorf("%s: legal %v, want %v", c.rule, got, c.ok)
			continue
		}
		if !c.ok {
			if m.PC != 0x10 || m.Priv != c.p {
				t.Errorf("%s: illegal, but acts", c.rule)
			}
			continue
		}
		if m.Priv != c.to || m.PC != pc || m.CSR.Mstatus != mstatusFixed|c.after {
			t.Errorf("%s: %v, pc %#x, mstatus %#x; want %v, %#x", c.rule, m.Priv, m.PC, m.CSR.Mstatus, c.to, mstatusFixed|c.after)
		}
		if c.status&mprv != 0 && len(m.rec.tlb) == 0 {
			t.Errorf("%s: the engine does not hear of MPRV", c.rule)
		}
	}
}

// TestLegality of instructions that mstatus and menvcfg govern.
func TestLegality(t *testing.T) {
	fence := func(m *machine) bool { return m.SFenceVMA(0x1234, 0x1_0005, true, true) }
	inval := func(m *machine) bool { return m.SInvalVMA(0, 0, false, false) }
	order := func(m *machine) bool { return m.SFenceInval() }
	wfi := func(m *machine) bool { return m.WFI() }
	cbo := func(op riscv.Op) func(*machine) bool { return func(m *machine) bool { return m.CBOAllowed(op) } }
	const tvm, tw = riscv.MstatusTVM, riscv.MstatusTW
	const bie, bcfe, bze = 1 << 4, 1 << 6, 1 << 7
	for _, c := range []struct {
		rule            string
		do              func(*machine) bool
		p               Priv
		mstatus, mcfg   uint64
		scfg            uint64
		want            bool
		flushes, halted bool
	}{
		{"sfence.vma in U", fence, U, 0, 0, 0, false, false, false},
		{"sfence.vma in S", fence, S, 0, 0, 0, true, true, false},
		{"sfence.vma in M", fence, M, tvm, 0, 0, true, true, false},
		{"priv §3.1.6.6: sfence.vma with TVM", fence, S, tvm, 0, 0, false, false, false},
		{"Svinval: sinval.vma with TVM", inval, S, tvm, 0, 0, false, false, false},
		{"Svinval: sinval.vma in S", inval, S, 0, 0, 0, true, true, false},
		{"Svinval: sinval.vma in U", inval, U, 0, 0, 0, false, false, false},
		{"Svinval: sfence.w.inval in U", order, U, 0, 0, 0, false, false, false},
		{"Svinval: sfence.w.inval with TVM", order, S, tvm, 0, 0, true, false, false},
		{"wfi in U", wfi, U, 0, 0, 0, false, false, false},
		{"wfi in S", wfi, S, 0, 0, 0, true, false, true},
		{"priv §3.1.6.6: wfi in S with TW", wfi, S, tw, 0, 0, false, false, false},
		{"wfi in M with TW", wfi, M, tw, 0, 0, true, false, true},
		{"CMO: cbo.zero in M", cbo(riscv.CBO_ZERO), M, 0, 0, 0, true, false, false},
		{"CMO: cbo.zero in S without CBZE", cbo(riscv.CBO_ZERO), S, 0, bie | bcfe, 0, false, false, false},
		{"CMO: cbo.zero in S", cbo(riscv.CBO_ZERO), S, 0, bze, 0, true, false, false},
		{"CMO: cbo.zero in U needs both", cbo(riscv.CBO_ZERO), U, 0, bze, 0, false, false, false},
		{"CMO: cbo.zero in U needs both", cbo(riscv.CBO_ZERO), U, 0, 0, bze, false, false, false},
		{"CMO: cbo.zero in U", cbo(riscv.CBO_ZERO), U, 0, bze, bze, true, false, false},
		{"CMO: cbo.clean in S", cbo(riscv.CBO_CLEAN), S, 0, bcfe, 0, true, false, false},
		{"CMO: cbo.flush in U", cbo(riscv.CBO_FLUSH), U, 0, bcfe, bcfe, true, false, false},
		{"CMO: cbo.flush in U without", cbo(riscv.CBO_FLUSH), U, 0, bcfe, bze, false, false, false},
		{"CMO: cbo.inval in S", cbo(riscv.CBO_INVAL), S, 0, bie, 0, true, false, false},
		{"CMO: cbo.inval in S without", cbo(riscv.CBO_INVAL), S, 0, bze | bcfe, 0, false, false, false},
	} {
		m := newMachine(t, false)
		m.CSR.Mstatus |= c.mstatus
		m.CSR.Menvcfg, m.CSR.Senvcfg = c.mcfg, c.scfg
		m.Priv = c.p
		if got := c.do(m); got != c.want {
			t.Errorf("%s: legal %v, want %v", c.rule, got, c.want)
		}
		if got := m.rec.withdrawn() != 0; got != c.flushes {
			t.Errorf("%s: flushes %v, want %v", c.rule, got, c.flushes)
		}
		if m.Halted != c.halted {
			t.Errorf("%s: halted %v", c.rule, m.Halted)
		}
	}
	m := newMachine(t, false)
	fence(m)
	if want := (Fence{HasVA: true, HasASID: true, VA: 0x1000, Size: 0x1000, ASID: 5}); m.rec.tlb[0] != want {
		t.Errorf("fence %+v, want %+v", m.rec.tlb[0], want)
	}
}
