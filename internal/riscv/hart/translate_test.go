package hart

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"doppel/internal/memory"
	"doppel/internal/riscv"
)

const (
	pteV, pteR, pteW, pteX = riscv.PTEV, riscv.PTER, riscv.PTEW, riscv.PTEX
	pteU, pteG, pteA, pteD = riscv.PTEU, riscv.PTEG, riscv.PTEA, riscv.PTED
)

// tableAt is where test page tables are: one page a level from here.
const tableAt = ramBase + 0x10000

var modes = []struct {
	name   string
	mode   uint64
	levels int
}{{"Sv39", 8, 3}, {"Sv48", 9, 4}, {"Sv57", 10, 5}}

func ppn(pa uint64) uint64 { return pa >> 12 << 10 }

// mapPage makes tables for va with the given leaf at a level, and returns the
// address of the leaf PTE. The machine is in Sv39, Sv48 or Sv57 afterwards.
func (m *machine) mapPage(t testing.TB, mode uint64, levels, level int, va, leaf uint64) (at uint64) {
	t.Helper()
	table := uint64(tableAt)
	for l := levels - 1; ; l-- {
		at = table + va>>(12+9*l)&511*8
		if l == level {
			m.store(t, at, leaf)
			break
		}
		m.store(t, at, ppn(table+0x1000)|pteV)
		table += 0x1000
	}
	m.CSR.Satp = mode<<60 | tableAt>>12
	return at
}

func (m *machine) openPMP() {
	m.CSR.PmpCfg[0] = 0x1f
	m.CSR.PmpAddr[0] = pmpAddrMask
	m.pmpUpdate()
}

// permission is one cell of the matrix of TestPermissions.
type permission struct {
	bits          uint64 // R W X U A D of the leaf
	priv          Priv   // effective
	mprv          bool   // in M-mode with MPRV
	sum, mxr, adu bool
	acc           Access
}

// want is what the manual says, written apart from the walk.
func (c permission) want() (fault bool, after uint64) {
	b := c.bits
	r, w, x, u := b&pteR != 0, b&pteW != 0, b&pteX != 0, b&pteU != 0
	if !r && w || !r && !w && !x {
		return true, b // reserved, or a pointer at the last level
	}
	if c.priv == U && !u || c.priv == S && u && (c.acc == Fetch || !c.sum) {
		return true, b
	}
	allowed := map[Access]bool{Load: r || x && c.mxr, Store: w, Fetch: x}[c.acc]
	need := uint64(pteA)
	if c.acc == Store {
		need |= pteD
	}
	if !allowed || !c.adu && b&need != need {
		return true, b
	}
	return false, b | need
}

// TestPermissions: all modes, levels, permissions, status bits, A and D
// (priv §12.3.2, §3.1.6.4, §12.1.1.2, Svade, Svadu).
func TestPermissions(t *testing.T) {
	m := newMachine(t, false)
	m.openPMP()
	const va = 0
	for _, mode := range modes {
		for level := range mode.levels {
			at := m.mapPage(t, mode.mode, mode.levels, level, va, 0)
			m.eachPermission(func(c permission) { m.checkPermission(t, mode.name, level, at, c) })
			if t.Failed() {
				return
			}
			m.store(t, at, 0)
		}
	}
}

func (m *machine) eachPermission(f func(permission)) {
	for n := range 1 << 6 {
		for k := range 1 << 4 {
			for _, acc := range []Access{Load, Store, Fetch} {
				c := permission{priv: Priv(k & 1), sum: k&2 != 0, mxr: k&4 != 0, adu: k&8 != 0, acc: acc}
				for i, bit := range []uint64{pteR, pteW, pteX, pteU, pteA, pteD} {
					if n>>i&1 != 0 {
						c.bits |= bit
					}
				}
				f(c)
				if acc != Fetch {
					c.mprv = true
					f(c)
				}
			}
		}
	}
}

// enterMode sets Priv and mstatus for a cell.
func (m *machine) enterMode(c permission) {
	st := uint64(mstatusFixed)
	m.Priv = c.priv
	if c.mprv {
		m.Priv = M
		st |= riscv.MstatusMPRV | uint64(c.priv)<<riscv.MstatusMPPShift
	}
	if c.sum {
		st |= riscv.MstatusSUM
	}
	if c.mxr {
		st |= riscv.MstatusMXR
	}
	m.CSR.Mstatus = st
	m.CSR.Menvcfg = 0
	if c.adu {
		m.CSR.Menvcfg = riscv.MenvcfgADUE
	}
}

func (m *machine) checkPermission(t *testing.T, mode string, level int, at uint64, c permission) {
	t.Helper()
	if level > 0 && c.bits == 0 {
		return // a pointer, not a leaf
	}
	// The physical page is 0: a leaf there is aligned at every level.
	leaf := c.bits | pteV
	m.store(t, at, leaf)
	m.enterMode(c)
	got, cause, ok := m.Translate(0x123, 1, c.acc)
	fault, after := c.want()
	desc := fmt.Sprintf("%s level %d %+v", mode, level, c)
	if ok == fault {
		t.Fatalf("%s: ok %v, %v", desc, ok, cause)
	}
	if pte := m.load(t, at); pte != after|pteV {
		t.Fatalf("%s: PTE %#x becomes %#x, want %#x", desc, leaf, pte, after|pteV)
	}
	if fault {
		if cause != pageFaultOf[c.acc] || got != (Mapping{}) {
			t.Fatalf("%s: %v, %+v", desc, cause, got)
		}
		return
	}
	size := min(uint64(1)<<(12+9*level), maxBlock)
	if got.GPA != 0x123 || got.VABase != 0 || got.Size != size {
		t.Fatalf("%s: %+v", desc, got)
	}
	// The mapping may only promise what a translation would grant without a
	// change of the PTE.
	for _, promise := range []struct {
		acc Access
		yes bool
	}{{Load, got.Read}, {Store, got.Write}, {Fetch, got.Exec}} {
		o := c
		o.bits, o.acc, o.adu = after, promise.acc, false
		fault, _ := o.want()
		applies := !c.mprv || promise.acc != Fetch
		if want := !fault && applies; promise.yes != want {
			t.Fatalf("%s: %+v promises %v %v, want %v", desc, got, promise.acc, promise.yes, want)
		}
	}
}

// TestWalkRules: one rule of the walk a line.
func TestWalkRules(t *testing.T) {
	const rwx = pteV | pteR | pteW | pteX | pteA | pteD
	const page = ramBase + 0x40000
	sv39 := func(level int, va, leaf uint64) func(*machine, *testing.T) {
		return func(m *machine, t *testing.T) { m.mapPage(t, 8, 3, level, va, leaf) }
	}
	pbmt := func(f func(*machine, *testing.T)) func(*machine, *testing.T) {
		return func(m *machine, t *testing.T) { f(m, t); m.CSR.Menvcfg |= riscv.MenvcfgPBMTE }
	}
	nonLeaf := func(bits uint64) func(*machine, *testing.T) {
		return func(m *machine, t *testing.T) {
			m.mapPage(t, 8, 3, 0, 0, ppn(page)|rwx)
			m.store(t, tableAt, m.load(t, tableAt)|bits)
		}
	}
	for _, c := range []struct {
		rule  string
		setup func(*machine, *testing.T)
		va    uint64
		want  string // "fault", "access", or what the mapping has
	}{
		{"a page", sv39(0, 0x5000, ppn(page)|rwx), 0x5678, fmt.Sprintf("%#x 4096 RWX", page+0x678)},
		{"priv §12.3.2 (3): V=0", sv39(0, 0, ppn(page)|rwx&^pteV), 0, "fault"},
		{"priv §12.3.2 (3): V=0 in a non-leaf", nonLeaf(0), 0x40_0000, "fault"},
		{"priv §12.3.2 (3): W without R", sv39(0, 0, ppn(page)|rwx&^pteR), 0, "fault"},
		{"priv §12.3.2 (4): a pointer at level 0", sv39(0, 0, ppn(page)|pteV), 0, "fault"},
		{"priv §12.3.2 (6): misaligned 2 MiB page", sv39(1, 0, ppn(page)|rwx), 0, "fault"},
		{"priv §12.3.2 (6): misaligned 1 GiB page", sv39(2, 0, ppn(0x4020_0000)|rwx), 0, "fault"},
		{"2 MiB page", sv39(1, 0x40_0000, ppn(0x8020_0000)|rwx), 0x41_2345, "0x80212345 2097152 RWX"},
		{"1 GiB page", sv39(2, 0x40_0000_00, ppn(0x8000_0000)|rwx), 0x40_0123_45, "0x80012345 1073741824 RWX"},
		{"priv §12.4.1: bit 38 not extended", sv39(0, 0, ppn(page)|rwx), 1 << 39, "fault"},
		{"priv §12.4.1: bit 63 alone", sv39(0, 0, ppn(page)|rwx), 1 << 63, "fault"},
		{"priv §12.4.1: upper half without sign", sv39(2, 1<<38, ppn(0x4000_0000)|rwx), 1 << 38, "fault"},
		{"priv §12.4.1: upper half", sv39(2, 1<<38, ppn(0x4000_0000)|rwx), 0xffff_ffc0_0000_0000, "0x40000000 1073741824 RWX"},
		{"priv §12.4.1: reserved bit 54", sv39(0, 0, ppn(page)|rwx|1<<54), 0, "fault"},
		{"priv §12.4.1: reserved bit 60", sv39(0, 0, ppn(page)|rwx|1<<60), 0, "fault"},
		{"priv §12.4.1: RSW is software's", sv39(0, 0, ppn(page)|rwx|3<<8), 0, fmt.Sprintf("%#x 4096 RWX", page)},
		{"priv §12.4.1: G of the leaf", sv39(0, 0, ppn(page)|rwx|pteG), 0, fmt.Sprintf("%#x 4096 RWXG", page)},
		{"priv §12.4.1: G of a non-leaf", nonLeaf(pteG), 0, fmt.Sprintf("%#x 4096 RWXG", page)},
		{"priv §12.4.1: A in a non-leaf is reserved", nonLeaf(pteA), 0, "fault"},
		{"priv §12.4.1: D in a non-leaf is reserved", nonLeaf(pteD), 0, "fault"},
		{"priv §12.4.1: U in a non-leaf is reserved", nonLeaf(pteU), 0, "fault"},
		{"Svnapot: N in a non-leaf", nonLeaf(riscv.PTEN), 0, "fault"},
		{"Svpbmt: PBMT in a non-leaf", pbmt(nonLeaf(1 << 61)), 0, "fault"},
		{"Svnapot: 64 KiB", sv39(0, 0x3_5000, ppn(page)&^0x3c00|8<<10|rwx|riscv.PTEN), 0x3_5678, fmt.Sprintf("%#x 65536 RWX", page+0x5678)},
		{"Svnapot: reserved pattern", sv39(0, 0, ppn(page)&^0x3c00|4<<10|rwx|riscv.PTEN), 0, "fault"},
		{"Svnapot: no pattern", sv39(0, 0, ppn(page)|rwx|riscv.PTEN), 0, "fault"},
		{"Svnapot: N at level 1", sv39(1, 0, ppn(0x8000_8000)|rwx|riscv.PTEN), 0, "fault"},
		{"Svpbmt: NC without PBMTE", sv39(0, 0, ppn(page)|rwx|1<<61), 0, "fault"},
		{"Svpbmt: NC", pbmt(sv39(0, 0, ppn(page)|rwx|1<<61)), 0, fmt.Sprintf("%#x 4096 RWXI", page)},
		{"Svpbmt: IO", pbmt(sv39(0, 0, ppn(page)|rwx|2<<61)), 0, fmt.Sprintf("%#x 4096 RWXI", page)},
		{"Svpbmt: 3 is reserved", pbmt(sv39(0, 0, ppn(page)|rwx|3<<61)), 0, "fault"},
		{"root outside memory", func(m *machine, t *testing.T) { m.CSR.Satp = 8<<60 | 1 }, 0, "access"},
		{"root at the top of physical memory", func(m *machine, t *testing.T) { m.CSR.Satp = 8<<60 | riscv.SatpPPN }, 0, "access"},
		{"table outside memory", func(m *machine, t *testing.T) {
			m.mapPage(t, 8, 3, 2, 0, ppn(0x1000)|pteV)
		}, 0, "access"},
		{"a table that points to itself", func(m *machine, t *testing.T) {
			m.mapPage(t, 10, 5, 4, 0, ppn(tableAt)|pteV)
		}, 0, "fault"},
		{"Bare", func(m *machine, t *testing.T) { m.CSR.Satp = 0 }, 0x8000_1234, "0x80001234 1073741824 RWX"},
		{"Bare: over 56 bits", func(m *machine, t *testing.T) { m.CSR.Satp = 0 }, 1 << 56, "access"},
	} {
		for _, acc := range []Access{Load, Store, Fetch} {
			m := newMachine(t, false)
			m.openPMP()
			m.Priv = S
			c.setup(m, t)
			got, cause, ok := m.Translate(c.va, 1, acc)
			if s := describe(got, cause, ok, acc); s != c.want {
				t.Errorf("%s, %v: %s, want %s", c.rule, acc, s, c.want)
			}
		}
	}
}

func describe(m Mapping, cause riscv.Cause, ok bool, acc Access) string {
	switch {
	case !ok && cause == pageFaultOf[acc]:
		return "fault"
	case !ok && cause == accessFaultOf[acc]:
		return "access"
	case !ok:
		return cause.String()
	}
	s := fmt.Sprintf("%#x %d ", uint64(m.GPA), m.Size)
	for _, f := range []struct {
		on   bool
		name string
	}{{m.Read, "R"}, {m.Write, "W"}, {m.Exec, "X"}, {m.Global, "G"}, {m.IO, "I"}} {
		if f.on {
			s += f.name
		}
	}
	return s
}

// TestMachineMode: M-mode is not translated; with MPRV its data are.
func TestMachineMode(t *testing.T) {
	m := newMachine(t, false)
	m.mapPage(t, 8, 3, 0, 0x5000, ppn(ramBase+0x40000)|pteV|pteR|pteX|pteA)
	m.openPMP()
	if got, _, ok := m.Translate(0x5000, 8, Load); !ok || got.GPA != 0x5000 {
		t.Errorf("M-mode: %+v, %v", got, ok)
	}
	m.write(t, riscv.CSRMstatus, riscv.MstatusMPRV|1<<riscv.MstatusMPPShift)
	if m.DataPriv() != S {
		t.Errorf("DataPriv = %v", m.DataPriv())
	}
	if got, _, ok := m.Translate(0x5000, 8, Load); !ok || got.GPA != ramBase+0x40000 || got.Exec {
		t.Errorf("MPRV load: %+v, %v", got, ok)
	}
	// priv §3.1.6.4: MPRV does not affect fetches.
	if got, _, ok := m.Translate(0x5000, 4, Fetch); !ok || got.GPA != 0x5000 || got.Read || got.Write {
		t.Errorf("MPRV fetch: %+v, %v", got, ok)
	}
}

// TestDirtyMarked: setting the D bit is a store to guest memory.
func TestDirtyMarked(t *testing.T) {
	m := newMachine(t, true)
	at := m.mapPage(t, 8, 3, 0, 0, ppn(ramBase)|pteV|pteR|pteW)
	r := m.mem.Find(memory.GPA(at), 8)
	r.StartDirtyLog()
	if _, _, ok := m.Translate(0, 8, Store); !ok {
		t.Fatal("no translation")
	}
	page := (at - ramBase) / memory.PageSize
	if r.CollectDirty()[page/64]>>(page%64)&1 == 0 {
		t.Error("the page of the PTE is not in the dirty log")
	}
}

// FuzzTranslate walks hostile tables: the input fills memory.
func FuzzTranslate(f *testing.F) {
	f.Add(uint64(1), uint64(0), uint64(8), uint8(0))
	f.Add(uint64(2), ^uint64(0), uint64(10), uint8(7))
	f.Add(uint64(77), uint64(1)<<38, uint64(9), uint8(255))
	m := newMachine(f, true)
	f.Fuzz(func(t *testing.T, seed, va, mode uint64, how uint8) {
		rng := rand.New(rand.NewPCG(seed, seed))
		for i := uint64(0); i < 512; i++ {
			// Mostly valid pointers back into the same few pages, with one
			// thing or other wrong.
			pte := ppn(ramBase+rng.Uint64N(4)<<12) | pteV
			switch rng.Uint64N(4) {
			case 0:
				pte |= rng.Uint64() & 0xff
			case 1:
				pte ^= 1 << rng.Uint64N(64)
			}
			m.store(t, ramBase+rng.Uint64N(4)<<12+i*8, pte)
		}
		m.Priv = Priv(how & 1)
		m.CSR.Mstatus = merge(mstatusFixed, uint64(how)<<17, riscv.MstatusSUM|riscv.MstatusMXR)
		m.CSR.Menvcfg = uint64(how>>5) << 61 & menvcfgMask
		m.CSR.Satp = legalSatp(0, mode<<60|ramBase>>12+seed&3)
		acc := Access(how >> 3 % 3)
		size := uint64(1) << (how & 3)
		got, cause, ok := m.Translate(va, size, acc)
		if !ok {
			if cause != pageFaultOf[acc] && cause != accessFaultOf[acc] {
				t.Fatalf("cause %v for a %v", cause, acc)
			}
			return
		}
		if got.Size < pageSize || got.Size&(got.Size-1) != 0 || got.VABase != va&^(got.Size-1) ||
			uint64(got.GPA)&(got.Size-1) != va&(got.Size-1) || uint64(got.GPA) > maxGPA {
			t.Fatalf("va %#x: %+v", va, got)
		}
		again, _, ok := m.Translate(va, size, acc)
		if !ok || again != got {
			t.Fatalf("va %#x: %+v, then %+v, %v", va, got, again, ok)
		}
	})
}
