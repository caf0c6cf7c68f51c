package hart

import (
	"math/bits"
	"testing"

	"doppel/internal/riscv"
)

// TestInterruptPriority: of every pair the manual's order decides (priv
// §3.1.9, Sscofpmf).
func TestInterruptPriority(t *testing.T) {
	order := []uint{11, 3, 7, 9, 1, 5, 13} // MEI MSI MTI SEI SSI STI LCOFI
	for i, hi := range order {
		for _, lo := range order[i:] {
			for _, deleg := range []uint64{0, midelegMask} {
				m := newMachine(t, false)
				m.Priv = U
				m.CSR.Mideleg = deleg
				m.CSR.Mie = allInterrupts
				m.raise(hi)
				m.raise(lo)
				if ev := m.Poll(); !ev.Interrupted {
					t.Fatalf("%d and %d: no interrupt", hi, lo)
				}
				got, to := m.CSR.Mcause, M
				if deleg>>hi&1 != 0 {
					got, to = m.CSR.Scause, S
				}
				if got != 1<<63|uint64(hi) || m.Priv != to {
					t.Errorf("%d and %d, mideleg %#x: cause %#x in %v-mode", hi, lo, deleg, got, m.Priv)
				}
				m.mem.Close()
			}
		}
	}
}

// raise makes an interrupt pending by whatever way it has.
func (m *machine) raise(n uint) {
	if uint64(1)<<n&(levelInputs|riscv.MipSSIP) != 0 {
		m.SetInterrupt(n, true)
	} else {
		m.setMip(1<<n, 1<<n)
	}
}

// TestInterruptEnables: every interrupt, mode, delegation and enable (priv
// §3.1.6.1, §3.1.9).
func TestInterruptEnables(t *testing.T) {
	m := newMachine(t, false)
	for n := range uint(14) {
		if uint64(allInterrupts)>>n&1 == 0 {
			continue
		}
		for k := range 1 << 4 {
			mie, sie, enabled, deleg := k&1 != 0, k&2 != 0, k&4 != 0, k&8 != 0
			if deleg && uint64(midelegMask)>>n&1 == 0 {
				continue
			}
			for _, p := range []Priv{U, S, M} {
				m.Reset()
				m.lines.Store(0)
				m.Poll()
				m.Priv = p
				if mie {
					m.CSR.Mstatus |= riscv.MstatusMIE
				}
				if sie {
					m.CSR.Mstatus |= riscv.MstatusSIE
				}
				if enabled {
					m.CSR.Mie = 1 << n
				}
				if deleg {
					m.CSR.Mideleg = 1 << n
				}
				m.raise(n)
				want := enabled && (p < M || mie)
				to := M
				if deleg {
					want, to = enabled && (p < S || p == S && sie), S
				}
				if got := m.Poll(); got.Interrupted != want || want && m.Priv != to {
					t.Fatalf("interrupt %d, %v-mode, MIE %v, SIE %v, enabled %v, delegated %v: %+v in %v-mode, want %v",
						n, p, mie, sie, enabled, deleg, got, m.Priv, want)
				}
			}
		}
	}
}

// TestAttention: whatever makes a pending interrupt deliverable asks for Poll.
func TestAttention(t *testing.T) {
	for _, c := range []struct {
		what string
		prep func(*machine)
		do   func(*testing.T, *machine)
		p    Priv
	}{
		{"mie", func(m *machine) { m.CSR.Mstatus |= riscv.MstatusMIE },
			func(t *testing.T, m *machine) { m.write(t, riscv.CSRMie, allInterrupts) }, M},
		{"mstatus.MIE", func(m *machine) { m.CSR.Mie = allInterrupts },
			func(t *testing.T, m *machine) { m.write(t, riscv.CSRMstatus, riscv.MstatusMIE) }, M},
		{"sstatus.SIE", func(m *machine) { m.CSR.Mie, m.CSR.Mideleg = allInterrupts, midelegMask },
			func(t *testing.T, m *machine) { m.write(t, riscv.CSRSstatus, riscv.MstatusSIE) }, S},
		{"sie", func(m *machine) {
			m.CSR.Mideleg = midelegMask
			m.CSR.Mstatus |= riscv.MstatusSIE
		}, func(t *testing.T, m *machine) { m.write(t, riscv.CSRSie, allInterrupts) }, S},
		{"mret", func(m *machine) { m.CSR.Mie = allInterrupts },
			func(t *testing.T, m *machine) { m.MRet() }, M},
		{"sret", func(m *machine) { m.CSR.Mie, m.CSR.Mideleg = allInterrupts, midelegMask },
			func(t *testing.T, m *machine) { m.SRet() }, S},
		{"mideleg", func(m *machine) {
			m.CSR.Mie, m.CSR.Mstatus = allInterrupts, m.CSR.Mstatus|riscv.MstatusMIE
			m.CSR.Mideleg = midelegMask
		},
			func(t *testing.T, m *machine) { m.write(t, riscv.CSRMideleg, 0) }, M},
	} {
		m := newMachine(t, false)
		c.prep(m)
		m.Priv = c.p
		m.SetInterrupt(9, true)
		if m.Poll().Interrupted {
			t.Errorf("%s: interrupted too early", c.what)
		}
		if m.Attention.Load() != 0 {
			t.Errorf("%s: attention after Poll", c.what)
		}
		c.do(t, m)
		if m.Attention.Load() == 0 {
			t.Errorf("%s does not ask for Poll", c.what)
		}
		if !m.Poll().Interrupted {
			t.Errorf("%s: no interrupt", c.what)
		}
	}
}

// TestVectored: priv §3.1.7, §12.1.2.
func TestVectored(t *testing.T) {
	for _, c := range []struct {
		tvec, want uint64
	}{{0x1000, 0x1000}, {0x1001, 0x1000 + 4*9}} {
		m := newMachine(t, true)
		m.write(t, riscv.CSRStvec, c.tvec)
		m.write(t, riscv.CSRSie, riscv.MipSEIP)
		m.write(t, riscv.CSRSstatus, riscv.MstatusSIE)
		m.SetInterrupt(9, true)
		m.PC = 0x8000_0000
		m.Poll()
		if m.PC != c.want || m.CSR.Sepc != 0x8000_0000 || m.CSR.Stval != 0 {
			t.Errorf("stvec %#x: pc %#x, sepc %#x", c.tvec, m.PC, m.CSR.Sepc)
		}
	}
}

func TestSoftwareInterruptIsAnEdge(t *testing.T) {
	m := newMachine(t, true)
	woken := 0
	m.OnWake(func() { woken++ })
	m.SetInterrupt(1, true)
	m.SetInterrupt(1, true)
	if woken != 1 {
		t.Errorf("woken %d times for one edge", woken)
	}
	m.SetInterrupt(1, false)
	if m.read(t, riscv.CSRSip) != riscv.MipSSIP {
		t.Error("deasserting takes the edge back")
	}
	m.write(t, riscv.CSRSip, 0)
	if m.read(t, riscv.CSRSip) != 0 {
		t.Error("software cannot clear SSIP")
	}
	m.SetInterrupt(1, true)
	if woken != 2 || !m.ClearIPI() || m.ClearIPI() {
		t.Error("second edge")
	}
}

// TestEdgeDuringWrite: an edge between the read and the write of a csrrs is not
// lost.
func TestEdgeDuringWrite(t *testing.T) {
	for _, c := range []riscv.CSR{riscv.CSRSip, riscv.CSRMip} {
		m := newMachine(t, false)
		m.CSR.Mideleg = midelegMask
		old, _ := m.readCSR(c)
		m.SetInterrupt(1, true)
		m.writeCSR(c, old|riscv.MipLCOFIP)
		if got := m.read(t, c); got != riscv.MipSSIP|riscv.MipLCOFIP {
			t.Errorf("%v = %#x, want SSIP and LCOFIP", c, got)
		}
	}
}

// TestInputs: numbers that are no inputs do nothing.
func TestInputs(t *testing.T) {
	m := newMachine(t, false)
	woken := 0
	m.OnWake(func() { woken++ })
	for n := range uint(300) {
		m.SetInterrupt(n, true)
	}
	if got := m.read(t, riscv.CSRMip); got != levelInputs|riscv.MipSSIP {
		t.Errorf("mip = %#x, want %#x", got, levelInputs|riscv.MipSSIP)
	}
	if want := bits.OnesCount64(levelInputs | riscv.MipSSIP); woken != want {
		t.Errorf("woken %d times, want %d", woken, want)
	}
	for n := range uint(300) {
		m.SetInterrupt(n, false)
	}
	if got := m.read(t, riscv.CSRMip); got != riscv.MipSSIP {
		t.Errorf("mip = %#x", got)
	}
}

func TestKick(t *testing.T) {
	m := newMachine(t, true)
	m.Poll()
	if m.Runnable() {
		t.Error("runnable with nothing to do")
	}
	m.Kick()
	m.Kick()
	if !m.Runnable() || !m.Poll().Kicked || m.Poll().Kicked || m.Runnable() {
		t.Error("kicks do not add up to one")
	}
}

// TestTimer: stimecmp (priv §12.1.12).
func TestTimer(t *testing.T) {
	m := newMachine(t, true)
	woken := 0
	m.OnWake(func() { woken++ })
	m.write(t, riscv.CSRSie, riscv.MipSTIP)
	m.write(t, riscv.CSRStimecmp, 50)
	m.Poll()
	if !m.WFI() || !m.Halted || m.Runnable() {
		t.Fatal("runs before the time")
	}
	m.clk.set(49 * nsPerTick)
	if m.Runnable() || woken != 0 || m.read(t, riscv.CSRTime) != 49 {
		t.Error("a tick too early")
	}
	m.clk.set(50 * nsPerTick)
	if woken != 1 || !m.Runnable() || m.read(t, riscv.CSRSip) != riscv.MipSTIP {
		t.Error("not at the time")
	}
	// priv §3.3.3: WFI ends though SIE is 0.
	if ev := m.Poll(); ev.Interrupted || m.Halted {
		t.Errorf("%+v, halted %v", ev, m.Halted)
	}
	m.write(t, riscv.CSRSstatus, riscv.MstatusSIE)
	if ev := m.Poll(); !ev.Interrupted || m.CSR.Scause != uint64(riscv.SupervisorTimerInterrupt) {
		t.Errorf("%+v, scause %#x", ev, m.CSR.Scause)
	}
	m.write(t, riscv.CSRStimecmp, 51) // moving it away clears the interrupt
	if m.read(t, riscv.CSRSip) != 0 {
		t.Error("STIP stays")
	}
	m.write(t, riscv.CSRStimecmp, 50) // and into the past raises it
	if m.Attention.Load() != 0 || m.read(t, riscv.CSRSip) != riscv.MipSTIP {
		t.Error("a time in the past")
	}
	for _, never := range []uint64{^uint64(0), ^uint64(0)/nsPerTick + 1} {
		m.write(t, riscv.CSRStimecmp, never)
		if m.clk.timers[0].armed {
			t.Errorf("the timer is armed for %#x", never)
		}
	}
	m.write(t, riscv.CSRStimecmp, ^uint64(0)/nsPerTick)
	if tm := m.clk.timers[0]; !tm.armed || tm.deadline != ^uint64(0)/nsPerTick*nsPerTick {
		t.Errorf("deadline %#x", tm.deadline)
	}
}

// TestTimerOwner: who drives STIP (priv §12.1.12).
func TestTimerOwner(t *testing.T) {
	m := newMachine(t, false)
	m.clk.set(1000)
	m.write(t, riscv.CSRStimecmp, 1)
	if m.read(t, riscv.CSRMip) != 0 {
		t.Error("stimecmp acts without STCE")
	}
	m.write(t, riscv.CSRMip, riscv.MipSTIP)
	if m.read(t, riscv.CSRMip) != riscv.MipSTIP {
		t.Error("without STCE, STIP is software's")
	}
	m.write(t, riscv.CSRStimecmp, 100)
	m.write(t, riscv.CSRMenvcfg, riscv.MenvcfgSTCE)
	if m.read(t, riscv.CSRMip) != 0 {
		t.Error("STCE leaves software's STIP")
	}
	m.write(t, riscv.CSRMip, riscv.MipSTIP)
	if m.read(t, riscv.CSRMip) != 0 {
		t.Error("with STCE, STIP is writable")
	}
	m.write(t, riscv.CSRStimecmp, 10)
	if m.read(t, riscv.CSRMip) != riscv.MipSTIP {
		t.Error("with STCE, STIP is not stimecmp's")
	}
	m.write(t, riscv.CSRMenvcfg, 0)
	if m.read(t, riscv.CSRMip) != 0 {
		t.Error("STIP stays without STCE")
	}
}

func TestWFIWithPending(t *testing.T) {
	m := newMachine(t, true)
	m.write(t, riscv.CSRSie, riscv.MipSEIP)
	m.SetInterrupt(9, true)
	if !m.WFI() || m.Halted {
		t.Error("WFI halts with an interrupt pending")
	}
}
