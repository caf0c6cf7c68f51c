package hart

import (
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

const (
	pageShift = memory.PageShift
	pageSize  = 1 << pageShift
	maxGPA    = 1<<56 - 1 // physical addresses have 56 bits (priv §12.4)

	// maxBlock is the size of the largest Mapping.
	maxBlock = 1 << 30

	// maxRetries bounds how often a walk starts again because another hart
	// changes the PTE under it.
	maxRetries = 64
)

// Translate finds the block of physical memory behind an access of size bytes
// at va that does not cross a page boundary (priv §12.3.2). It sets the A and
// D bits if menvcfg.ADUE says so. !ok means the exception to raise, with va as
// its tval. Whether memory or a device is at the address is not its business.
func (h *Hart) Translate(va, size uint64, acc Access) (m Mapping, cause riscv.Cause, ok bool) {
	p := h.Priv
	if acc != Fetch {
		p = h.DataPriv()
	}
	mode := h.CSR.Satp >> riscv.SatpModeShift
	if p == M || mode == riscv.SatpBare {
		return h.bare(va, size, acc, p)
	}
	for range maxRetries {
		switch h.walk(&m, va, size, acc, p, mode) {
		case noFault:
			return m, 0, true
		case pageFault:
			return Mapping{}, pageFaultOf[acc], false
		case accessFault:
			return Mapping{}, accessFaultOf[acc], false
		}
	}
	// Another hart changes the PTE all the time. A page fault makes the guest
	// look at it.
	return Mapping{}, pageFaultOf[acc], false
}

type fault uint8

const (
	noFault fault = iota
	pageFault
	accessFault
	retryWalk
)

func (f fault) String() string {
	return [...]string{"none", "page fault", "access fault", "retry"}[f&3]
}

var (
	pageFaultOf   = [...]riscv.Cause{riscv.LoadPageFault, riscv.StorePageFault, riscv.InstructionPageFault}
	accessFaultOf = [...]riscv.Cause{riscv.LoadAccessFault, riscv.StoreAccessFault, riscv.InstructionAccessFault}
	pmpNeed       = [...]uint8{riscv.PMPR, riscv.PMPW, riscv.PMPX}
)

// bare is the translation of M-mode and of satp mode Bare.
func (h *Hart) bare(va, size uint64, acc Access, p Priv) (Mapping, riscv.Cause, bool) {
	m := Mapping{GPA: memory.GPA(va), VABase: va &^ (maxBlock - 1), Size: maxBlock,
		Read: true, Write: true, Exec: true}
	// An address over 56 bits is not a physical address (priv §12.4.1).
	if va > maxGPA || !h.protect(&m, va, size, acc, p) {
		return Mapping{}, accessFaultOf[acc], false
	}
	return m, 0, true
}

// protect narrows m to what PMP allows, in size too, and tells whether the
// access may happen.
func (h *Hart) protect(m *Mapping, va, size uint64, acc Access, p Priv) bool {
	if acc == Fetch {
		if h.DataPriv() != p {
			m.Read, m.Write = false, false
		}
	} else if h.Priv != p {
		m.Exec = false
	}
	if p != M && h.pmp.open || p == M && h.pmp.n == 0 {
		return true
	}
	pa := uint64(m.GPA)
	perm, uniform := h.pmpLookup(pa, pa+size-1, pa&^(m.Size-1), pa|(m.Size-1), p)
	for !uniform && m.Size > pageSize {
		m.Size >>= 9
		m.Size = max(m.Size, pageSize)
		perm, uniform = h.pmpLookup(pa, pa+size-1, pa&^(m.Size-1), pa|(m.Size-1), p)
	}
	m.VABase = va &^ (m.Size - 1)
	if !uniform {
		m.VABase, m.Size = va, size
	}
	m.Read = m.Read && perm&riscv.PMPR != 0
	m.Write = m.Write && perm&riscv.PMPW != 0
	m.Exec = m.Exec && perm&riscv.PMPX != 0
	return perm&pmpNeed[acc] != 0
}

// walk goes through the page table once and fills m (priv §12.3.2, whose step
// numbers the comments give).
func (h *Hart) walk(m *Mapping, va, size uint64, acc Access, p Priv, mode uint64) fault {
	levels := int(mode) - riscv.SatpSv39 + 3
	// priv §12.4.1: the bits above the highest VPN must equal its top bit.
	if unused := 64 - uint(pageShift+9*levels); uint64(int64(va<<unused)>>unused) != va {
		return pageFault
	}
	table := h.CSR.Satp & riscv.SatpPPN << pageShift // 1
	global := uint64(0)
	for level := levels - 1; level >= 0; level-- { // 2
		shift := uint(pageShift + 9*level)
		at := table + va>>shift&511*8
		if !h.pmpAllows(at, 8, S, riscv.PMPR) { // priv §3.7.2
			return accessFault
		}
		pte, ok := h.loadPTE(at)
		if !ok {
			return accessFault // no page tables outside RAM
		}
		if pte&riscv.PTEV == 0 || pte&(riscv.PTER|riscv.PTEW) == riscv.PTEW || pte&riscv.PTEReserved != 0 { // 3
			return pageFault
		}
		global |= pte & riscv.PTEG // of a non-leaf: all below it is global (priv §12.4.1)
		if pte&(riscv.PTER|riscv.PTEX) == 0 {
			// 4. A non-leaf PTE has no other bits (priv §12.4.1, Svnapot, Svpbmt).
			if pte&(riscv.PTED|riscv.PTEA|riscv.PTEU|riscv.PTEN|riscv.PTEPBMT) != 0 {
				return pageFault
			}
			table = pte & riscv.PTEPPN >> riscv.PTEPPNShift << pageShift
			continue
		}
		m.Global = global != 0
		return h.mapLeaf(m, leaf{pte: pte, at: memory.GPA(at), level: level, size: 1 << shift}, va, size, acc, p)
	}
	return pageFault // a non-leaf PTE at level 0
}

// leaf is a leaf PTE and where it was found.
type leaf struct {
	pte   uint64
	at    memory.GPA
	level int
	size  uint64 // bytes that it maps
}

// mapLeaf fills m from a leaf PTE, from step 5 on.
func (h *Hart) mapLeaf(m *Mapping, l leaf, va, size uint64, acc Access, p Priv) fault {
	if !h.legalLeaf(l.pte, l.level) {
		return pageFault
	}
	r, w, x := h.leafAccess(l.pte, p)
	if acc == Load && !r || acc == Store && !w || acc == Fetch && !x {
		return pageFault
	}
	pa := l.pte & riscv.PTEPPN >> riscv.PTEPPNShift << pageShift
	if l.pte&riscv.PTEN != 0 {
		l.size = napotSize
		pa &^= napotSize - 1 // Svnapot: the low bits of PPN come from the address
	}
	if pa&(l.size-1) != 0 {
		return pageFault // 6. a misaligned superpage
	}
	want := l.pte | riscv.PTEA
	if acc == Store {
		want |= riscv.PTED
	}
	if want != l.pte { // 7
		if f := h.updatePTE(l, want); f != noFault {
			return f
		}
	}
	m.GPA = memory.GPA(pa | va&(l.size-1))
	m.Size = min(l.size, maxBlock)
	m.VABase = va &^ (m.Size - 1)
	m.Read, m.Write, m.Exec = r, w && want&riscv.PTED != 0, x
	m.IO = l.pte&riscv.PTEPBMT != 0
	if !h.protect(m, va, size, acc, p) {
		return accessFault
	}
	return noFault
}

// napotSize is the only size of a Svnapot range.
const napotSize = 64 << 10

// legalLeaf checks the parts of a leaf that extensions define.
func (h *Hart) legalLeaf(pte uint64, level int) bool {
	if pte&riscv.PTEN != 0 {
		// Svnapot: only at level 0, with PPN[3:0] = 1000.
		const napot64K = 8
		if level != 0 || pte>>riscv.PTEPPNShift&15 != napot64K {
			return false
		}
	}
	switch pte & riscv.PTEPBMT {
	case 0:
		return true
	case riscv.PTEPBMT:
		return false // Svpbmt: 3 is reserved
	}
	return h.CSR.Menvcfg&riscv.MenvcfgPBMTE != 0
}

// leafAccess is what mode p may do by the bits of a leaf (5).
func (h *Hart) leafAccess(pte uint64, p Priv) (r, w, x bool) {
	r, w, x = pte&riscv.PTER != 0, pte&riscv.PTEW != 0, pte&riscv.PTEX != 0
	if h.CSR.Mstatus&riscv.MstatusMXR != 0 {
		r = r || x // priv §3.1.6.4
	}
	user := pte&riscv.PTEU != 0
	switch {
	case p == U && !user:
		return false, false, false
	case p == S && user:
		// priv §12.1.1.2: SUM lets S-mode load and store, never execute.
		if h.CSR.Mstatus&riscv.MstatusSUM == 0 {
			return false, false, false
		}
		x = false
	}
	return r, w, x
}

// updatePTE sets the A and D bits in memory (7), or faults (Svade).
func (h *Hart) updatePTE(l leaf, want uint64) fault {
	if h.CSR.Menvcfg&riscv.MenvcfgADUE == 0 {
		return pageFault
	}
	if !h.pmpAllows(uint64(l.at), 8, S, riscv.PMPR|riscv.PMPW) {
		return accessFault
	}
	done, err := h.cfg.Memory.CompareAndSwapU64(l.at, l.pte, want)
	if err != nil {
		return accessFault
	}
	if !done {
		return retryWalk
	}
	return noFault
}
