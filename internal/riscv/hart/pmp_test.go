package hart

import (
	"math/rand/v2"
	"testing"

	"doppel/internal/riscv"
)

// pmpSet is one entry of a test.
type pmpSet struct {
	cfg  uint8
	addr uint64 // as pmpaddr
}

const (
	pR, pW, pX, pL     = riscv.PMPR, riscv.PMPW, riscv.PMPX, riscv.PMPL
	pTOR, pNA4, pNAPOT = 1 << 3, 2 << 3, 3 << 3
	pRWX               = pR | pW | pX
)

// napot is pmpaddr for a range.
func napot(base, size uint64) uint64 { return base>>2 | (size>>3 - 1) }

func (m *machine) setPMP(es ...pmpSet) {
	for i, e := range es {
		m.CSR.PmpCfg[i], m.CSR.PmpAddr[i] = e.cfg, e.addr
	}
	m.pmpUpdate()
}

func TestPMP(t *testing.T) {
	const a = ramBase
	for _, c := range []struct {
		rule    string
		entries []pmpSet
		p       Priv
		pa, n   uint64
		want    string // allowed accesses
		size    uint64 // of the block, 0 for any
	}{
		{"priv §3.7.1.3: no match, S", nil, S, a, 8, "", 0},
		{"priv §3.7.1.3: no match, M", nil, M, a, 8, "RWX", maxBlock},
		{"NA4", []pmpSet{{pR | pNA4, a >> 2}}, S, a, 4, "R", 4},
		{"NA4: next word", []pmpSet{{pR | pNA4, a >> 2}}, S, a + 4, 4, "", 0},
		{"priv §3.7.1.3: partial match", []pmpSet{{pR | pNA4, a >> 2}}, S, a, 8, "", 0},
		{"priv §3.7.1.3: partial match binds M without L", []pmpSet{{pR | pNA4, a >> 2}}, M, a, 8, "", 0},
		{"priv §3.7.1.3: no L, M may", []pmpSet{{pNA4, a >> 2}}, M, a, 4, "RWX", 4},
		{"priv §3.7.1.2: L binds M", []pmpSet{{pR | pL | pNA4, a >> 2}}, M, a, 4, "R", 4},
		{"NAPOT 8", []pmpSet{{pR | pW | pNAPOT, napot(a, 8)}}, S, a, 8, "RW", 8},
		{"NAPOT 4096", []pmpSet{{pX | pNAPOT, napot(a, 4096)}}, S, a + 0xff8, 8, "X", 4096},
		{"NAPOT 64K", []pmpSet{{pX | pNAPOT, napot(a, 0x10000)}}, S, a + 0xfff8, 8, "X", 4096},
		{"NAPOT 2M", []pmpSet{{pX | pNAPOT, napot(a, 2<<20)}}, S, a, 8, "X", 2 << 20},
		{"NAPOT: everything", []pmpSet{{pRWX | pNAPOT, pmpAddrMask}}, S, a, 8, "RWX", maxBlock},
		{"NAPOT: everything, R", []pmpSet{{pR | pNAPOT, pmpAddrMask}}, S, a, 8, "R", maxBlock},
		{"TOR from 0", []pmpSet{{pR | pTOR, (a + 8) >> 2}}, S, a, 8, "R", 8},
		{"TOR from 0, end", []pmpSet{{pR | pTOR, (a + 8) >> 2}}, S, a + 8, 8, "", 0},
		{"TOR between", []pmpSet{{0, a >> 2}, {pR | pTOR, (a + 0x1000) >> 2}}, S, a + 0xff8, 8, "R", 4096},
		{"TOR below", []pmpSet{{0, a >> 2}, {pR | pTOR, (a + 0x1000) >> 2}}, S, a - 8, 8, "", 0},
		{"TOR empty", []pmpSet{{0, a >> 2}, {pR | pTOR, a >> 2}}, S, a, 4, "", 0},
		{"TOR upside down", []pmpSet{{0, (a + 8) >> 2}, {pR | pTOR, a >> 2}}, S, a, 4, "", 0},
		{"TOR of 0 at entry 0", []pmpSet{{pR | pTOR, 0}}, S, 0, 4, "", 0},
		{"TOR to the top", []pmpSet{{pR | pTOR, pmpAddrMask}}, S, maxGPA - 15, 8, "R", 0},
		{"priv §3.7.1.3: lowest number wins", []pmpSet{{pNA4, a >> 2}, {pRWX | pNAPOT, pmpAddrMask}}, S, a, 4, "", 0},
		{"lowest number wins, beside it", []pmpSet{{pNA4, a >> 2}, {pRWX | pNAPOT, pmpAddrMask}}, S, a + 4, 4, "RWX", 4},
		{"lowest number wins, next page", []pmpSet{{pNA4, a >> 2}, {pRWX | pNAPOT, pmpAddrMask}}, S, a + 4096, 4, "RWX", 4096},
		{"OFF matches nothing", []pmpSet{{pRWX, a >> 2}}, S, a, 4, "", 0},
		{"misaligned inside an entry", []pmpSet{{0, (a + 4) >> 2}, {pR | pTOR, (a + 12) >> 2}}, S, a + 6, 4, "R", 4},
	} {
		m := newMachine(t, false)
		m.setPMP(c.entries...)
		m.Priv = c.p
		got := ""
		for _, acc := range []struct {
			acc  Access
			name string
		}{{Load, "R"}, {Store, "W"}, {Fetch, "X"}} {
			mp, cause, ok := m.Translate(c.pa, c.n, acc.acc)
			if !ok {
				if cause != accessFaultOf[acc.acc] {
					t.Errorf("%s: %v", c.rule, cause)
				}
				continue
			}
			got += acc.name
			if uint64(mp.GPA) != c.pa || c.size != 0 && mp.Size != c.size || mp.Size < pageSize && mp.VABase != c.pa {
				t.Errorf("%s: %+v, want size %d", c.rule, mp, c.size)
			}
		}
		if got != c.want {
			t.Errorf("%s: allows %q, want %q", c.rule, got, c.want)
		}
	}
}

// TestPMPBlocks compares blocks with single bytes, on random entries.
func TestPMPBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := newMachine(t, false)
	for range 300 {
		for i := range 6 {
			size := uint64(8) << rng.Uint64N(12)
			base := (ramBase + rng.Uint64N(0x8000)) &^ (size - 1)
			m.CSR.PmpCfg[i] = legalPmpCfg(uint8(rng.Uint64N(256)))
			m.CSR.PmpAddr[i] = napot(base, size)
		}
		m.pmpUpdate()
		m.Priv = []Priv{U, S, M}[rng.Uint64N(3)]
		for range 30 {
			pa := ramBase + rng.Uint64N(0x9000)
			block, _, ok := m.Translate(pa, 1, Load)
			if !ok {
				continue
			}
			for range 10 {
				other := block.VABase + rng.Uint64N(block.Size)
				single, _, ok := m.Translate(other, 1, Load)
				if !ok || single.Read != block.Read || single.Write != block.Write || single.Exec != block.Exec {
					t.Fatalf("block %+v of %#x, but %#x has %+v, %v", block, pa, other, single, ok)
				}
			}
		}
	}
}

// TestPMPOnTables: page tables are read and written as by S-mode (priv §3.7.2).
func TestPMPOnTables(t *testing.T) {
	const page = ramBase + 0x40000
	for _, c := range []struct {
		rule  string
		table uint8 // what PMP allows in the tables
		leaf  uint64
		acc   Access
		want  string
	}{
		{"tables readable", pR, pteA | pteD, Load, "ok"},
		{"tables not readable", pX, pteA | pteD, Load, "access"},
		{"tables not readable, fetch", pX, pteA | pteD, Fetch, "access"},
		{"A must be set, tables writable", pR | pW, 0, Load, "ok"},
		{"A must be set, tables not writable", pR, 0, Load, "access"},
		{"D must be set, tables not writable", pR, pteA, Store, "access"},
	} {
		m := newMachine(t, false)
		at := m.mapPage(t, 8, 3, 0, 0, ppn(page)|pteV|pteR|pteW|pteX|c.leaf)
		m.CSR.Menvcfg = riscv.MenvcfgADUE
		m.setPMP(pmpSet{c.table | pNAPOT, napot(tableAt, 0x4000)}, pmpSet{pRWX | pNAPOT, pmpAddrMask})
		m.Priv = S
		before := m.load(t, at)
		_, cause, ok := m.Translate(0, 8, c.acc)
		got := "ok"
		if !ok {
			got = describe(Mapping{}, cause, false, c.acc)
			if m.load(t, at) != before {
				t.Errorf("%s: the PTE has changed", c.rule)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.rule, got, c.want)
		}
	}
	// The page itself may be forbidden while its table is not.
	m := newMachine(t, false)
	m.mapPage(t, 8, 3, 0, 0, ppn(page)|pteV|pteR|pteA)
	m.setPMP(pmpSet{pNAPOT, napot(page, 4096)}, pmpSet{pRWX | pNAPOT, pmpAddrMask})
	m.Priv = S
	if _, cause, ok := m.Translate(0, 8, Load); ok || cause != riscv.LoadAccessFault {
		t.Errorf("page forbidden: %v, %v", cause, ok)
	}
}

// TestPMPLock: priv §3.7.1.2.
func TestPMPLock(t *testing.T) {
	m := newMachine(t, false)
	m.write(t, riscv.CSRPmpaddr0, 1)
	m.write(t, riscv.CSRPmpaddr1, 2)
	m.write(t, riscv.CSRPmpcfg0, uint64(pL|pTOR|pR)<<8|uint64(pR|pNA4))
	m.write(t, riscv.CSRPmpaddr1, 9)
	m.write(t, riscv.CSRPmpaddr0, 9)
	m.write(t, riscv.CSRPmpcfg0, 0)
	if m.CSR.PmpAddr[1] != 2 {
		t.Error("the address of a locked entry has changed")
	}
	if m.CSR.PmpAddr[0] != 1 {
		t.Error("the address below a locked TOR entry has changed")
	}
	if m.CSR.PmpCfg[1] != pL|pTOR|pR || m.CSR.PmpCfg[0] != 0 {
		t.Errorf("pmpcfg = % x", m.CSR.PmpCfg)
	}
	m.Reset()
	m.write(t, riscv.CSRPmpaddr1, 9)
	if m.CSR.PmpAddr[1] != 9 {
		t.Error("locked after reset")
	}
}
