package hart

import (
	"math/bits"

	"doppel/internal/riscv"
)

// Physical memory protection (priv §3.7): 16 entries, granularity 4 bytes.

const pmpRWX = riscv.PMPR | riscv.PMPW | riscv.PMPX

// pmpEntry is an active entry as the range of addresses that it matches.
type pmpEntry struct {
	first, last uint64
	cfg         uint8
}

// pmp is PmpCfg and PmpAddr prepared for lookup.
type pmp struct {
	entries [16]pmpEntry // in order of priority
	n       int
	open    bool // S and U may do all everywhere: the first entry says so
}

// pmpUpdate derives h.pmp.
func (h *Hart) pmpUpdate() {
	p := &h.pmp
	p.n = 0
	for i, cfg := range h.CSR.PmpCfg {
		first, last, ok := h.pmpRange(i)
		if ok {
			p.entries[p.n] = pmpEntry{first, last, cfg}
			p.n++
		}
	}
	e := &p.entries[0]
	p.open = p.n > 0 && e.first == 0 && e.last >= maxGPA && e.cfg&pmpRWX == pmpRWX
}

// pmpRange gives the addresses that entry i matches (priv §3.7.1.1).
func (h *Hart) pmpRange(i int) (first, last uint64, ok bool) {
	addr := h.CSR.PmpAddr[i]
	switch h.CSR.PmpCfg[i] & riscv.PMPA >> riscv.PMPAShift {
	case riscv.PMPTOR:
		if i > 0 {
			first = h.CSR.PmpAddr[i-1] << 2
		}
		return first, addr<<2 - 1, first < addr<<2
	case riscv.PMPNA4:
		return addr << 2, addr<<2 + 3, true
	case riscv.PMPNAPOT:
		// addr has at most 54 ones, so the size is at most 1<<57.
		size := uint64(8) << bits.TrailingZeros64(^addr)
		first = addr << 2 &^ (size - 1)
		return first, first + (size - 1), true
	}
	return 0, 0, false
}

// pmpLookup returns what mode p may do with all bytes from first to last, and
// whether that holds for the whole block from base to end around them.
func (h *Hart) pmpLookup(first, last, base, end uint64, p Priv) (perm uint8, uniform bool) {
	if p != M && h.pmp.open {
		return pmpRWX, true
	}
	uniform = true
	for i := range h.pmp.entries[:h.pmp.n] {
		e := &h.pmp.entries[i]
		if e.last < base || e.first > end {
			continue
		}
		uniform = uniform && e.first <= base && end <= e.last
		if e.last < first || e.first > last {
			continue
		}
		if e.first > first || last > e.last {
			return 0, false // priv §3.7.1.3: some bytes match but not all
		}
		if p == M && e.cfg&riscv.PMPL == 0 {
			return pmpRWX, uniform
		}
		return e.cfg & pmpRWX, uniform
	}
	if p == M {
		return pmpRWX, uniform // no match: M-mode may
	}
	return 0, uniform
}

// pmpAllows checks one access of n bytes.
func (h *Hart) pmpAllows(pa, n uint64, p Priv, need uint8) bool {
	if p != M && h.pmp.open {
		return true
	}
	perm, _ := h.pmpLookup(pa, pa+n-1, pa, pa+n-1, p)
	return perm&need == need
}

// pmpcfg reads the pmpcfg register of 8 entries from 4*n on; those of entries
// that are not there are 0.
func (h *Hart) pmpcfg(n riscv.CSR) (v uint64) {
	if n > 2 {
		return 0
	}
	for i := range 8 {
		v |= uint64(h.CSR.PmpCfg[int(n)*4+i]) << (8 * i)
	}
	return v
}

func (h *Hart) setPmpcfg(n riscv.CSR, v uint64) {
	old := h.CSR.PmpCfg
	for i := range 8 {
		if c := &h.CSR.PmpCfg[int(n)*4+i]; *c&riscv.PMPL == 0 { // priv §3.7.1.2
			*c = legalPmpCfg(uint8(v >> (8 * i)))
		}
	}
	if h.CSR.PmpCfg != old {
		h.pmpChanged()
	}
}

func (h *Hart) setPmpaddr(n riscv.CSR, v uint64) {
	v &= pmpAddrMask
	if h.pmpAddrLocked(int(n)) || h.CSR.PmpAddr[n] == v {
		return
	}
	h.CSR.PmpAddr[n] = v
	h.pmpChanged()
}

// pmpAddrLocked: an entry's L bit locks its address and, if the entry is TOR,
// the address below (priv §3.7.1.2).
func (h *Hart) pmpAddrLocked(i int) bool {
	if h.CSR.PmpCfg[i]&riscv.PMPL != 0 {
		return true
	}
	const lockedTOR = riscv.PMPL | riscv.PMPTOR<<riscv.PMPAShift
	return i+1 < len(h.CSR.PmpCfg) && h.CSR.PmpCfg[i+1]&(riscv.PMPL|riscv.PMPA) == lockedTOR
}

func (h *Hart) pmpChanged() {
	h.pmpUpdate()
	h.engine.FlushTLB(Fence{})
}
