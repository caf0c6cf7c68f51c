package hart

import (
	"testing"

	"doppel/internal/riscv"
)

// TestCounters: priv §3.1.10, §3.1.12.
func TestCounters(t *testing.T) {
	m := newMachine(t, false)
	retire := func(n uint64) { m.Instret += n }
	retire(10)
	for _, c := range []riscv.CSR{riscv.CSRMcycle, riscv.CSRMinstret, riscv.CSRCycle, riscv.CSRInstret} {
		if v := m.read(t, c); v != 10 {
			t.Errorf("%v = %d, want 10", c, v)
		}
	}
	// The next instruction after a write reads what was written.
	m.write(t, riscv.CSRMinstret, 100)
	retire(1)
	if v := m.read(t, riscv.CSRMinstret); v != 100 {
		t.Errorf("minstret = %d, want 100", v)
	}
	m.write(t, riscv.CSRMcycle, ^uint64(0))
	retire(2)
	if v := m.read(t, riscv.CSRMcycle); v != 0 {
		t.Errorf("mcycle = %d, want 0: it wraps", v)
	}

	m.write(t, riscv.CSRMcountinhibit, uint64(riscv.CounterIR))
	before := m.read(t, riscv.CSRMinstret)
	retire(5)
	if v := m.read(t, riscv.CSRMinstret); v != before {
		t.Errorf("minstret = %d, inhibited at %d", v, before)
	}
	if v := m.read(t, riscv.CSRMcycle); v != 5 {
		t.Errorf("mcycle = %d, want 5", v)
	}
	m.write(t, riscv.CSRMinstret, 7)
	m.write(t, riscv.CSRMcountinhibit, 0)
	if v := m.read(t, riscv.CSRMinstret); v != 7 {
		t.Errorf("minstret = %d, want 7", v)
	}
	retire(3)
	if v := m.read(t, riscv.CSRMinstret); v != 10 {
		t.Errorf("minstret = %d, want 10", v)
	}
}

func TestTime(t *testing.T) {
	m := newMachine(t, false)
	for _, c := range []struct{ ns, want uint64 }{
		{0, 0}, {99, 0}, {100, 1}, {1_000_000_000, TimeHz}, {^uint64(0), ^uint64(0) / 100},
	} {
		m.clk.now = c.ns
		if v := m.read(t, riscv.CSRTime); v != c.want {
			t.Errorf("at %d ns: time = %d, want %d", c.ns, v, c.want)
		}
	}
}

// TestHpmModes: the filters of Sscofpmf, over changes of mode.
func TestHpmModes(t *testing.T) {
	m := newMachine(t, false)
	inhibit := []uint64{0, riscv.MhpmeventUINH, riscv.MhpmeventSINH, riscv.MhpmeventMINH}
	for i, f := range inhibit {
		m.SetHpmevent(3+i, EventInstructions|f)
	}
	m.SetHpmevent(7, EventCycles)
	m.SetHpmevent(8, 99) // counts nothing
	m.SetHpmevent(9, EventCycles)
	m.write(t, riscv.CSRMcountinhibit, 1<<9)

	m.Instret += 100 // in M
	m.CSR.Mstatus |= 1 << riscv.MstatusMPPShift
	m.MRet()
	m.Instret += 20 // in S
	m.SRet()
	m.Instret += 3 // in U
	m.Trap(riscv.EnvironmentCallFromU, 0)
	for i, want := range []uint64{123, 120, 103, 23, 123, 0, 0} {
		if v := m.read(t, riscv.CSRMhpmcounter3+riscv.CSR(i)); v != want {
			t.Errorf("mhpmcounter%d = %d, want %d", i+3, v, want)
		}
	}
}

// TestHpmOverflow: OF, LCOFIP and scountovf (Sscofpmf).
func TestHpmOverflow(t *testing.T) {
	m := newMachine(t, true)
	m.write(t, riscv.CSRSie, riscv.MipLCOFIP)
	m.write(t, riscv.CSRSstatus, riscv.MstatusSIE)
	m.SetHpmevent(5, EventInstructions)
	m.SetHpmcounter(5, ^uint64(9))
	m.InhibitCounters(1<<5, 0)
	m.Instret += 9
	if m.Poll().Interrupted || m.read(t, riscv.CSRScountovf) != 0 {
		t.Error("overflow too early")
	}
	m.Instret++
	if !m.Poll().Interrupted || m.CSR.Scause != uint64(riscv.LocalCounterOverflow) {
		t.Errorf("scause %#x", m.CSR.Scause)
	}
	if m.read(t, riscv.CSRScountovf) != 1<<5 || m.read(t, riscv.CSRHpmcounter5) != 0 {
		t.Errorf("scountovf %#x, hpmcounter5 %d", m.read(t, riscv.CSRScountovf), m.read(t, riscv.CSRHpmcounter5))
	}
	m.write(t, riscv.CSRSip, 0)
	m.SetHpmcounter(5, ^uint64(0))
	m.Instret++
	if m.read(t, riscv.CSRSip) != 0 {
		t.Error("an overflow with OF set interrupts again")
	}
	// Sscofpmf: scountovf shows what mcounteren allows.
	m.CSR.Mcounteren = 0
	if m.read(t, riscv.CSRScountovf) != 0 {
		t.Error("scountovf ignores mcounteren")
	}
}
