package hart

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"doppel/internal/riscv"
)

var update = flag.Bool("update", false, "write the golden files again")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

// TestCSRSweep reads and writes all 4096 numbers in all modes.
func TestCSRSweep(t *testing.T) {
	var out bytes.Buffer
	for _, c := range []struct {
		name       string
		supervisor bool
		modes      []Priv
	}{
		{"firmware", false, []Priv{M, S, U}},
		{"supervisor", true, []Priv{S, U}},
	} {
		for _, p := range c.modes {
			fmt.Fprintf(&out, "# %s, %v-mode: access, value at reset, after ones, after zeros\n", c.name, p)
			for n := range 4096 {
				sweepOne(t, &out, c.supervisor, p, riscv.CSR(n))
			}
		}
	}
	golden(t, "csr.golden", out.Bytes())
}

func sweepOne(t *testing.T, out *bytes.Buffer, supervisor bool, p Priv, c riscv.CSR) {
	t.Helper()
	m := newMachine(t, supervisor)
	m.CSR.Mstatus |= riscv.MstatusFS
	m.Priv = p
	reset, readable := m.ReadCSR(uint16(c))
	writable := m.WriteCSR(uint16(c), ^uint64(0))
	ones, stillReadable := m.ReadCSR(uint16(c))
	m.WriteCSR(uint16(c), 0)
	zeros, _ := m.ReadCSR(uint16(c))
	m.mem.Close()
	// A register may switch itself off (FS, mcounteren), not in one write.
	if readable != stillReadable {
		t.Errorf("%v in %v-mode: readable %v, after a write %v", c, p, readable, stillReadable)
	}
	// seed alone can be written but not read on its own.
	if writable && !readable && c != riscv.CSRSeed {
		t.Errorf("%v in %v-mode can be written but not read", c, p)
	}
	// priv §2.1.
	if (readable || writable) && c.MinPrivilege() > p || writable && c.ReadOnly() {
		t.Errorf("%v in %v-mode: readable %v, writable %v", c, p, readable, writable)
	}
	switch {
	case writable:
		fmt.Fprintf(out, "%03x %-14v rw %016x %016x %016x\n", uint16(c), c, reset, ones, zeros)
	case readable:
		fmt.Fprintf(out, "%03x %-14v r  %016x\n", uint16(c), c, reset)
	}
}

func TestWARL(t *testing.T) {
	for _, c := range []struct {
		rule        string
		csr         riscv.CSR
		first, then uint64
		want        uint64
	}{
		{"priv §3.1.6.1: MPP=2 is not a mode", riscv.CSRMstatus, 1 << 11, 2 << 11, 0xa00000800},
		{"priv §3.1.6.1: MPP=3", riscv.CSRMstatus, 0, 3 << 11, 0xa00001800},
		{"priv §3.1.6.7: SD follows FS", riscv.CSRMstatus, 0, 3 << 13, 1<<63 | 0xa00006000},
		{"priv §3.1.6.7: SD only if dirty", riscv.CSRMstatus, 0, 1<<63 | 2<<13, 0xa00004000},
		{"priv §3.1.6.3: UXL and SXL are fixed", riscv.CSRMstatus, 0, 1 << 32, 0xa00000000},
		{"priv §3.1.1: misa is fixed", riscv.CSRMisa, 0, 0, misa},
		{"priv §3.1.7: mtvec mode 2", riscv.CSRMtvec, 0, 0x1002, 0x1000},
		{"priv §3.1.7: mtvec mode 3", riscv.CSRMtvec, 0, 0x1003, 0x1001},
		{"priv §12.1.2: stvec mode 1", riscv.CSRStvec, 0, 0x1001, 0x1001},
		{"priv §3.1.14: mepc bit 0", riscv.CSRMepc, 0, ^uint64(0), ^uint64(1)},
		{"priv §12.1.7: sepc bit 0", riscv.CSRSepc, 0, 0x1003, 0x1002},
		{"priv §12.1.11: satp Sv39", riscv.CSRSatp, 0, 8<<60 | 5<<44 | 9, 8<<60 | 5<<44 | 9},
		{"priv §12.1.11: satp mode 1 has no effect", riscv.CSRSatp, 8<<60 | 9, 1 << 60, 8<<60 | 9},
		{"priv §12.1.11: satp mode 11 (Sv64) has no effect", riscv.CSRSatp, 10<<60 | 9, 11<<60 | 7, 10<<60 | 9},
		{"priv §3.1.8: ecall from M is not delegated", riscv.CSRMedeleg, 0, 1 << 11, 0},
		{"priv §3.1.8: reserved causes are not delegated", riscv.CSRMedeleg, 0, 1<<10 | 1<<14 | 1<<16 | 1<<63, 0},
		{"priv §3.1.8: M-level interrupts are not delegated", riscv.CSRMideleg, 0, 0xfff, 0x222},
		{"priv §3.1.12: time is not inhibited", riscv.CSRMcountinhibit, 0, ^uint64(0), 0xfffffffd},
		{"priv §3.1.18: CBIE=2 is reserved", riscv.CSRMenvcfg, 1 << 4, 2 << 4, 1 << 4},
		{"priv §12.1.10: CBIE=2 is reserved", riscv.CSRSenvcfg, 3 << 4, 2 << 4, 3 << 4},
		{"Smstateen: mstateen0 has ENVCFG and SE0", riscv.CSRMstateen0, 0, ^uint64(0), 3 << 62},
		{"Smstateen: mstateen1 has SE1", riscv.CSRMstateen1, 0, ^uint64(0), 1 << 63},
		{"Zkr: mseccfg has SSEED and USEED", riscv.CSRMseccfg, 0, ^uint64(0), 0x300},
		{"Sscofpmf: mhpmevent", riscv.CSRMhpmevent3, 0, ^uint64(0), 15<<60 | 0xff},
		{"priv §3.7.1: W without R", riscv.CSRPmpcfg0, 0, 0x0202, 0},
		{"priv §3.7.1: reserved bits", riscv.CSRPmpcfg0, 0, 0x7f, 0x1f},
		{"priv §3.7.1: pmpaddr has 54 bits", riscv.CSRPmpaddr0, 0, ^uint64(0), 1<<54 - 1},
		{"priv §3.7.1: entry 16 is not there", riscv.CSRPmpaddr16, 0, ^uint64(0), 0},
		{"priv §3.7.1: entry 16 is not there", riscv.CSRPmpcfg4, 0, ^uint64(0), 0},
		{"priv §3.1.9: MSIP, MTIP, MEIP are read-only", riscv.CSRMip, 0, 0xfff, 0x222},
		{"unpriv §21.2: fflags", riscv.CSRFflags, 0, 0xffff, 31},
		{"unpriv §21.2: frm", riscv.CSRFrm, 0, 0xffff, 7},
		{"Sdtrig: tselect", riscv.CSRTselect, 0, 5, 0},
	} {
		m := newMachine(t, false)
		m.CSR.Mstatus |= 1 << 13
		if c.csr == riscv.CSRMstatus {
			m.CSR.Mstatus = mstatusFixed
		}
		m.write(t, c.csr, c.first)
		m.write(t, c.csr, c.then)
		if got := m.read(t, c.csr); got != c.want {
			t.Errorf("%s: %v = %#x after %#x, want %#x", c.rule, c.csr, got, c.then, c.want)
		}
	}
}

// TestCSRConditions checks what makes registers illegal besides their number.
func TestCSRConditions(t *testing.T) {
	for _, c := range []struct {
		rule  string
		csr   riscv.CSR
		p     Priv
		setup func(*CSRs)
		want  bool
	}{
		{"priv §3.1.6.7: FS off", riscv.CSRFcsr, U, func(c *CSRs) {}, false},
		{"priv §3.1.6.7: FS on", riscv.CSRFcsr, U, func(c *CSRs) { c.Mstatus |= 1 << 13 }, true},
		{"priv §3.1.6.6: TVM", riscv.CSRSatp, S, func(c *CSRs) { c.Mstatus |= riscv.MstatusTVM }, false},
		{"priv §3.1.6.6: TVM does not bind M", riscv.CSRSatp, M, func(c *CSRs) { c.Mstatus |= riscv.MstatusTVM }, true},
		{"priv §3.1.11: cycle in S needs mcounteren", riscv.CSRCycle, S, func(c *CSRs) { c.Scounteren = 7 }, false},
		{"priv §3.1.11: cycle in S", riscv.CSRCycle, S, func(c *CSRs) { c.Mcounteren = 1 }, true},
		{"priv §12.1.5: cycle in U needs both", riscv.CSRCycle, U, func(c *CSRs) { c.Mcounteren = 1 }, false},
		{"priv §12.1.5: cycle in U needs both", riscv.CSRCycle, U, func(c *CSRs) { c.Scounteren = 1 }, false},
		{"priv §12.1.5: cycle in U", riscv.CSRCycle, U, func(c *CSRs) { c.Mcounteren, c.Scounteren = 1, 1 }, true},
		{"priv §3.1.11: time", riscv.CSRTime, S, func(c *CSRs) { c.Mcounteren = 2 }, true},
		{"priv §3.1.11: instret", riscv.CSRInstret, S, func(c *CSRs) { c.Mcounteren = 3 }, false},
		{"priv §3.1.11: hpmcounter31", riscv.CSRHpmcounter31, S, func(c *CSRs) { c.Mcounteren = 1 << 31 }, true},
		{"priv §3.1.11: hpmcounter30", riscv.CSRHpmcounter30, S, func(c *CSRs) { c.Mcounteren = 1 << 31 }, false},
		{"priv §12.1.12: stimecmp needs STCE", riscv.CSRStimecmp, S, func(c *CSRs) { c.Mcounteren = 2 }, false},
		{"priv §12.1.12: stimecmp needs TM", riscv.CSRStimecmp, S, func(c *CSRs) { c.Menvcfg = 1 << 63 }, false},
		{"priv §12.1.12: stimecmp", riscv.CSRStimecmp, S, func(c *CSRs) { c.Menvcfg, c.Mcounteren = 1<<63, 2 }, true},
		{"priv §12.1.12: stimecmp in M", riscv.CSRStimecmp, M, func(c *CSRs) {}, true},
		{"Smstateen: senvcfg needs ENVCFG", riscv.CSRSenvcfg, S, func(c *CSRs) {}, false},
		{"Smstateen: senvcfg", riscv.CSRSenvcfg, S, func(c *CSRs) { c.Mstateen[0] = 1 << 62 }, true},
		{"Smstateen: sstateen0 needs SE0", riscv.CSRSstateen0, S, func(c *CSRs) {}, false},
		{"Smstateen: sstateen0", riscv.CSRSstateen0, S, func(c *CSRs) { c.Mstateen[0] = 1 << 63 }, true},
		{"Smstateen: sstateen3 needs SE3", riscv.CSRSstateen3, S, func(c *CSRs) { c.Mstateen[0] = 1 << 63 }, false},
		{"Smstateen: sstateen3", riscv.CSRSstateen3, S, func(c *CSRs) { c.Mstateen[3] = 1 << 63 }, true},
	} {
		m := newMachine(t, false)
		c.setup(&m.CSR)
		m.Priv = c.p
		if _, got := m.ReadCSR(uint16(c.csr)); got != c.want {
			t.Errorf("%s: %v in %v-mode readable: %v, want %v", c.rule, c.csr, c.p, got, c.want)
		}
	}
}

func TestSeed(t *testing.T) {
	for _, c := range []struct {
		rule string
		p    Priv
		cfg  uint64
		want bool
	}{
		{"Zkr: M always", M, 0, true},
		{"Zkr: S needs SSEED", S, riscv.MseccfgUSEED, false},
		{"Zkr: S with SSEED", S, riscv.MseccfgSSEED, true},
		{"Zkr: U needs USEED", U, riscv.MseccfgSSEED, false},
		{"Zkr: U with USEED", U, riscv.MseccfgUSEED, true},
	} {
		m := newMachine(t, false)
		m.CSR.Mseccfg = c.cfg
		m.Priv = c.p
		v, ok := m.AccessCSR(uint16(riscv.CSRSeed), CSRSwap, 0, true, true)
		if ok != c.want || ok && v>>30 != 2 || v>>32 != 0 || v>>16&0x3fff != 0 {
			t.Errorf("%s: %#x, %v", c.rule, v, ok)
		}
		if _, ok := m.AccessCSR(uint16(riscv.CSRSeed), CSRSet, 0, false, true); ok {
			t.Errorf("%s: read-only access is legal", c.rule)
		}
	}
	m := newMachine(t, false)
	seen := map[uint64]bool{}
	for range 64 {
		v, _ := m.AccessCSR(uint16(riscv.CSRSeed), CSRSwap, 0, true, true)
		seen[v] = true
	}
	if len(seen) < 60 {
		t.Errorf("64 seeds have %d values", len(seen))
	}
}

// TestReadModifyWrite: csrrs and csrrc, with SEIP's special rule.
func TestReadModifyWrite(t *testing.T) {
	m := newMachine(t, false)
	m.write(t, riscv.CSRMscratch, 0xf0)
	if old, ok := m.AccessCSR(uint16(riscv.CSRMscratch), CSRSet, 0x0f, true, true); !ok || old != 0xf0 {
		t.Errorf("csrrs returns %#x, %v", old, ok)
	}
	if old, ok := m.AccessCSR(uint16(riscv.CSRMscratch), CSRClear, 0x3c, true, true); !ok || old != 0xff {
		t.Errorf("csrrc returns %#x, %v", old, ok)
	}
	if v := m.read(t, riscv.CSRMscratch); v != 0xc3 {
		t.Errorf("mscratch = %#x", v)
	}
	// Writes to read-only numbers are illegal even if they change nothing.
	if _, ok := m.AccessCSR(uint16(riscv.CSRMhartid), CSRSet, 0, true, true); ok {
		t.Error("csrrs with a register writes a read-only CSR")
	}
	if v, ok := m.AccessCSR(uint16(riscv.CSRMhartid), CSRSet, 0, false, true); !ok || v != 3 {
		t.Errorf("mhartid = %d, %v", v, ok)
	}

	// priv §3.1.9: the level shows in rd but is not written back.
	m.SetInterrupt(9, true)
	old, _ := m.AccessCSR(uint16(riscv.CSRMip), CSRSet, riscv.MipSSIP, true, true)
	if old&riscv.MipSEIP == 0 {
		t.Error("mip does not show the level of SEIP")
	}
	m.SetInterrupt(9, false)
	if v := m.read(t, riscv.CSRMip); v != riscv.MipSSIP {
		t.Errorf("mip = %#x, want SSIP alone", v)
	}
	m.write(t, riscv.CSRMip, riscv.MipSEIP)
	m.SetInterrupt(9, true)
	m.AccessCSR(uint16(riscv.CSRMip), CSRClear, riscv.MipSEIP, true, true)
	m.SetInterrupt(9, false)
	if v := m.read(t, riscv.CSRMip); v != 0 {
		t.Errorf("mip = %#x after csrrc, want 0", v)
	}
}

// TestViews: sstatus, sie and sip are parts of the machine's registers.
func TestViews(t *testing.T) {
	m := newMachine(t, false)
	m.write(t, riscv.CSRMstatus, ^uint64(0)&^riscv.MstatusMPRV)
	if got, want := m.read(t, riscv.CSRSstatus), riscv.SstatusMask&(sstatusReadable|riscv.MstatusSD)&^(1<<32); got != want {
		t.Errorf("sstatus = %#x, want %#x", got, want)
	}
	m.write(t, riscv.CSRSstatus, 0)
	if got, want := m.read(t, riscv.CSRMstatus), uint64(0xa00701888); got != want {
		t.Errorf("mstatus = %#x after sstatus = 0, want %#x", got, want)
	}
	m.write(t, riscv.CSRMideleg, riscv.MipSSIP|riscv.MipSEIP)
	m.write(t, riscv.CSRSie, ^uint64(0))
	if got := m.read(t, riscv.CSRMie); got != riscv.MipSSIP|riscv.MipSEIP {
		t.Errorf("mie = %#x: priv §12.1.3: sie changes delegated interrupts only", got)
	}
	m.write(t, riscv.CSRMie, allInterrupts)
	m.write(t, riscv.CSRSie, 0)
	if got := m.read(t, riscv.CSRMie); got != allInterrupts&^(riscv.MipSSIP|riscv.MipSEIP) {
		t.Errorf("mie = %#x", got)
	}
	m.write(t, riscv.CSRSip, ^uint64(0))
	if got := m.read(t, riscv.CSRMip); got != riscv.MipSSIP {
		t.Errorf("mip = %#x: priv §12.1.3: of sip only SSIP is writable here", got)
	}
	m.write(t, riscv.CSRMip, riscv.MipSTIP|riscv.MipSEIP|riscv.MipSSIP)
	if got := m.read(t, riscv.CSRSip); got != riscv.MipSEIP|riscv.MipSSIP {
		t.Errorf("sip = %#x: STIP is not delegated", got)
	}
}

func TestFloatState(t *testing.T) {
	m := newMachine(t, false)
	if m.FPEnabled() {
		t.Error("FS is on at reset")
	}
	m.write(t, riscv.CSRMstatus, 1<<13)
	if !m.FPEnabled() {
		t.Error("FS initial is off")
	}
	m.write(t, riscv.CSRFcsr, 0xff)
	if m.FRM != 7 || m.FFlags != 31 || m.read(t, riscv.CSRFcsr) != 0xff {
		t.Errorf("frm %d, fflags %#x", m.FRM, m.FFlags)
	}
	if m.read(t, riscv.CSRMstatus)>>13&3 != riscv.ContextDirty {
		t.Error("a write of fcsr leaves FS clean")
	}
}

// TestTranslationFlushes: which writes tell the engine to forget.
func TestTranslationFlushes(t *testing.T) {
	for _, c := range []struct {
		csr   riscv.CSR
		v     uint64
		flush int // flushes that withdraw translations
		ctx   bool
	}{
		{riscv.CSRSatp, 8<<60 | 1, 0, true},
		{riscv.CSRMstatus, riscv.MstatusSUM, 0, true},
		{riscv.CSRSstatus, riscv.MstatusMXR, 0, true},
		{riscv.CSRMstatus, riscv.MstatusSIE, 0, false},
		{riscv.CSRMenvcfg, riscv.MenvcfgPBMTE, 1, false},
		{riscv.CSRMenvcfg, riscv.MenvcfgADUE, 1, false},
		{riscv.CSRMenvcfg, riscv.MenvcfgSTCE, 0, false},
		{riscv.CSRPmpcfg0, 0x1f, 1, false},
		{riscv.CSRPmpcfg0, 0, 0, false},
		{riscv.CSRPmpaddr3, 1, 1, false},
		{riscv.CSRSscratch, 1, 0, false},
	} {
		m := newMachine(t, false)
		m.write(t, c.csr, c.v)
		if got, ctx := m.rec.withdrawn(), len(m.rec.tlb) > m.rec.withdrawn(); got != c.flush || ctx != c.ctx {
			t.Errorf("%v = %#x: %d flushes, context %v; want %d, %v", c.csr, c.v, got, ctx, c.flush, c.ctx)
		}
	}
}
