package interp

import (
	"unsafe"

	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// The TLBs are direct-mapped and hold pages of 4 KiB. A tag is the page's
// virtual address with the context in bits 3 to 11; the low three bits are
// zero, so that comparing an address with its low bits kept fails for a
// misaligned access.
//
// A context is an address space together with a kind: the privilege and the
// bits of mstatus that decide what may be accessed. Trap entry and exit, SUM
// and a change of satp thus only select another context, and flushing an
// address space is giving it a new number.
//
// An address space is a value of satp, with an exception: S-mode without SUM
// reaches no user page, and as long as all that it does reach is global, it is
// in one space whatever satp is (but for its mode). A kernel's translations
// thus outlive a change of process.
const (
	tlbSize      = 16384
	fetchTLBSize = 4096
	sets         = 512 // of the second level
	ways         = 8
	jumpSize     = 4096
	maxSpaces    = 64 // space numbers, from 1
	pageMask     = memory.PageSize - 1
)

// Kinds of context, which are bits 3 to 5 of its number.
const (
	kindM = iota // no translation
	kindU
	kindUMXR
	kindS
	kindSMXR
	kindSSUM
	kindSSUMMXR
	numKinds
)

// tlbEntry is known to generated code: see Layout.
type tlbEntry struct {
	tag    uint64
	addend uintptr // what added to an address in the page makes the host's
}

// secondLevel holds what the TLB for loads or that for stores had to give up:
// pages that have the same place there, or one page in several contexts. A
// page's set is the same in all contexts, which have a way each. Generated code
// looks here before it is left.
type secondLevel [sets][ways]tlbEntry

func set(va uint64) uint64 { return (va>>memory.PageShift ^ va>>26) % sets }

func way(ctx uint64) uint64 { return (ctx>>3 ^ ctx>>6) % ways }

func (l *secondLevel) put(va, ctx uint64, e tlbEntry) { l[set(va)][way(ctx)] = e }

// at is va's entry, or nil.
func (l *secondLevel) at(va, ctx uint64) *tlbEntry {
	if e := &l[set(va)][way(ctx)]; e.tag == va&^pageMask|ctx {
		return e
	}
	return nil
}

// drop forgets va's page in all contexts.
func (l *secondLevel) drop(va uint64) {
	all := &l[set(va)]
	for i := range all {
		if all[i].tag>>memory.PageShift == va>>memory.PageShift {
			all[i].tag = 0
		}
	}
}

// at is the host's address for va, which is in the page.
func (e *tlbEntry) at(va uint64) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(nil), e.addend+uintptr(va)) // not in the Go heap
}

// fetchEntry is known to generated code: see Layout.
type fetchEntry struct {
	tag  uint64
	page unsafe.Pointer
	gpa  memory.GPA
	code unsafe.Pointer // what a translator has for the page, not nil if there is one and the tag not 0
}

// jumpEntry leads from a virtual address to a block. The key is a context and
// the epoch.
type jumpEntry struct {
	pc  uint64
	key uint64
	blk *block
}

// globalSpace, with a mode of translation, stands in spaces for the space that
// S-mode shares. As a satp it can translate nothing.
const globalSpace = riscv.SatpPPN | riscv.SatpASID

// pageSet is a set of virtual pages that may have more members than were put
// into it.
type pageSet [64]uint64

func (s *pageSet) word(va uint64) (*uint64, uint64) {
	page := va >> memory.PageShift
	page ^= page>>12 ^ page>>24
	return &s[page>>6%64], 1 << (page % 64)
}

func (s *pageSet) add(va uint64) {
	w, bit := s.word(va)
	*w |= bit
}

func (s *pageSet) has(va uint64) bool {
	w, bit := s.word(va)
	return *w&bit != 0
}

func jumpIndex(pc uint64) uint64 { return (pc>>1 ^ pc>>13) & (jumpSize - 1) }

// addressRange bounds the superpages of one half of the address space.
type addressRange struct{ first, last uint64 }

// contextBits are what a context depends on in mstatus.
const contextBits = riscv.MstatusMPRV | riscv.MstatusMPP | riscv.MstatusSUM | riscv.MstatusMXR | riscv.MstatusFS

// refresh follows a change of privilege, mstatus or satp.
func (v *VCPU) refresh() {
	h := v.h
	v.direct = direct(h)
	switch {
	case h.CSR.Satp != v.seenSatp:
		v.setContext()
	case h.Priv != v.seenPriv || h.CSR.Mstatus&contextBits != v.seenStatus:
		v.selectContext()
	}
}

// setContext gives the contexts their numbers, which satp and flushes change,
// and selects among them.
func (v *VCPU) setContext() {
	v.seenSatp = v.h.CSR.Satp
	for epoch := v.epoch - 1; epoch != v.epoch; {
		epoch = v.epoch // if it changes, the numbers before are void
		v.setContexts()
	}
	if c := v.ctxs[kindU]; c != v.seenUser {
		v.seenUser = c
		v.userEpoch++
	}
	if c := v.ctxs[kindS]; c != v.seenKernel {
		v.seenKernel = c
		v.kernelEpoch++
	}
	v.selectContext()
}

// selectContext follows privilege and mstatus.
func (v *VCPU) selectContext() {
	h := v.h
	v.seenPriv, v.seenStatus = h.Priv, h.CSR.Mstatus&contextBits
	v.fpReady = h.CSR.Mstatus&riscv.MstatusFS == riscv.MstatusFS
	kind := v.dataKind()
	v.dataCtx = v.ctxs[kind]
	if h.Priv == hart.M && kind != v.machineKind {
		v.machineKind = kind // MPRV
		v.forgetData()
	}
	v.fetchCtx = v.ctxs[fetchKind[h.Priv&3]]
	v.jumpKey = v.epoch<<memory.PageShift | v.fetchCtx
}

// forgetData tells a translator that translations of data are withdrawn.
func (v *VCPU) forgetData() {
	v.userEpoch++
	v.kernelEpoch++
}

var fetchKind = [4]uint8{hart.U: kindU, hart.S: kindS, hart.M: kindM}

// dataKind is the kind of loads and stores.
func (v *VCPU) dataKind() uint64 {
	p, status := v.h.DataPriv(), v.h.CSR.Mstatus
	kind := uint64(kindU)
	switch {
	case p == hart.M:
		return kindM
	case p == hart.S && status&riscv.MstatusSUM != 0:
		kind = kindSSUM
	case p == hart.S:
		kind = kindS
	}
	if status&riscv.MstatusMXR != 0 {
		kind++
	}
	return kind
}

// setContexts gives each kind its context for the present satp.
func (v *VCPU) setContexts() {
	satp := v.h.CSR.Satp
	bare, own, kernel := v.space(0), v.space(satp), v.space(v.sharedSatp(satp))
	for kind := range v.ctxs {
		n := own
		switch kind {
		case kindM:
			n = bare
		case kindS, kindSMXR:
			n = kernel
		}
		v.ctxs[kind] = (n<<3 | uint64(kind)) << 3
	}
}

// sharedSatp is what S-mode's space has for its satp.
func (v *VCPU) sharedSatp(satp uint64) uint64 {
	if v.unshared {
		return satp
	}
	return satp&riscv.SatpMode | globalSpace
}

// mayShare is called before m goes into a TLB under a context. S-mode's space
// is its own from the first page on that is not global; the contexts then
// change.
func (v *VCPU) mayShare(m *hart.Mapping, ctx uint64) {
	if kind := ctx >> 3 & 7; m.Global || v.unshared || kind != kindS && kind != kindSMXR || v.h.CSR.Satp&riscv.SatpMode == 0 {
		return
	}
	v.unshared = true
	v.flushTLB(hart.Fence{})
}

// forgetCode tells a translator that it cannot rely on where code is.
func (v *VCPU) forgetCode() {
	v.codeEpoch++
	clear(v.codePages)
	v.reliedOn = [len(v.reliedOn)]uint64{}
}

// forgetJumps makes all entries of v.jumps void.
func (v *VCPU) forgetJumps() {
	v.epoch++
	v.jumpPages = pageSet{}
}

// space numbers the address spaces that the TLBs know.
func (v *VCPU) space(satp uint64) uint64 {
	if n, ok := v.spaces[satp]; ok {
		return n
	}
	if v.nextSpace == maxSpaces {
		// Numbers are used up: start again with empty TLBs.
		v.forgetTranslations()
		v.forgetJumps()
		v.forgetData()
		v.forgetCode()
		clear(v.spaces)
		v.nextSpace = 1
	}
	n := v.nextSpace
	v.nextSpace++
	v.spaces[satp] = n
	return n
}

func (v *VCPU) forgetTranslations() {
	v.loads = [tlbSize]tlbEntry{}
	v.stores = [tlbSize]tlbEntry{}
	v.moreLoads, v.moreStores = secondLevel{}, secondLevel{}
	v.fetches = [fetchTLBSize]fetchEntry{}
}

// flushTLB forgets the translations that f names, and perhaps others.
func (v *VCPU) flushTLB(f hart.Fence) {
	const maxPages = 64
	switch {
	case f.Context: // contexts tell these translations apart
		v.setContext()
		return
	case f.HasVA && f.Size <= maxPages*memory.PageSize && !v.nearSuperpage(f):
		for va := f.VA &^ pageMask; ; va += memory.PageSize {
			v.flushPage(va)
			if f.VA+f.Size-va <= memory.PageSize {
				break
			}
		}
		// No context has another number: Linux does this at every fault.
		v.forgetData()
		v.jumpKey = v.epoch<<memory.PageShift | v.fetchCtx
		return
	case f.HasASID && !f.HasVA:
		// priv §4.2.1: translations of other address spaces may stay.
		for satp := range v.spaces {
			if uint16(satp>>riscv.SatpASIDShift) == f.ASID && satp&globalSpace != globalSpace {
				delete(v.spaces, satp)
			}
		}
	default:
		clear(v.spaces)
		v.super = [2]addressRange{{^uint64(0), 0}, {^uint64(0), 0}}
	}
	v.forgetData()
	v.setContext()
}

// flushCode makes all stores so far visible to instruction fetch.
func (v *VCPU) flushCode() {
	v.gen++
	if v.common != nil {
		v.common.own.missed.code = true
	}
}

// ForgetStores forgets the translations of stores, so that the next store to
// each page marks it in the dirty log.
func (v *VCPU) ForgetStores() {
	v.stores = [tlbSize]tlbEntry{}
	v.moreStores = secondLevel{}
	v.forgetData()
}

func (v *VCPU) flushPage(va uint64) {
	page := va >> memory.PageShift
	if e := &v.loads[page%tlbSize]; e.tag>>memory.PageShift == page {
		e.tag = 0
	}
	if e := &v.stores[page%tlbSize]; e.tag>>memory.PageShift == page {
		e.tag = 0
	}
	if e := &v.fetches[page%fetchTLBSize]; e.tag>>memory.PageShift == page {
		e.tag = 0
	}
	v.moreLoads.drop(va)
	v.moreStores.drop(va)
	if v.jumpPages.has(va) {
		v.forgetJumps()
	}
	if _, ok := v.codePages[page]; ok {
		v.forgetCode()
	}
}

// nearSuperpage tells whether the fence may name a superpage, whose other
// pages the TLBs hold one by one.
func (v *VCPU) nearSuperpage(f hart.Fence) bool {
	last := f.VA + f.Size - 1
	if f.Size == 0 {
		last = f.VA
	}
	s := &v.super[f.VA>>63]
	return last < f.VA || last >= s.first && f.VA <= s.last
}

func (v *VCPU) noteSuperpage(m hart.Mapping, ctx uint64) {
	if m.Size <= memory.PageSize || ctx>>3&7 == kindM || v.h.CSR.Satp>>riscv.SatpModeShift == 0 {
		return
	}
	s := &v.super[m.VABase>>63]
	s.first = min(s.first, m.VABase)
	s.last = max(s.last, m.VABase+m.Size-1)
}

// place is where an access goes.
type place struct {
	host   unsafe.Pointer // nil if memory does not hold it
	gpa    memory.GPA
	region *memory.Region
}

// find translates an access that lies in one page. After ok = false the
// hart is to trap with the cause.
func (v *VCPU) find(va, size uint64, acc hart.Access) (p place, cause riscv.Cause, ok bool) {
	v.misses[acc]++
	if v.mem.Stands() { // before the walk, which may store
		return place{}, noMemory, false
	}
	m, cause, ok := v.h.Translate(va, size, acc)
	if !ok {
		return place{}, cause, false
	}
	p.gpa = m.GPA
	r := v.mem.Find(m.GPA, size)
	if r == nil {
		return p, 0, true
	}
	v.mayShare(&m, v.dataCtx)
	off := uint64(m.GPA - r.Base)
	host := unsafe.Add(r.Host(), off)
	page := va >> memory.PageShift
	whole := m.Size >= memory.PageSize
	entry := tlbEntry{tag: page<<memory.PageShift | v.dataCtx, addend: uintptr(host) - uintptr(va)}
	switch acc {
	case hart.Load:
		if !r.Readable() {
			return p, 0, true
		}
		if whole {
			v.keepLoad(va, entry)
			v.noteSuperpage(m, v.dataCtx)
		}
	case hart.Store:
		if !r.Writable() {
			return p, 0, true
		}
		if !r.HoldPage(off, v.h.ID()) {
			return place{}, noMemory, false
		}
		if whole && m.Write {
			v.note(entry.tag)
			v.stores[page%tlbSize] = entry
			v.moreStores.put(va, v.dataCtx, entry)
			if m.Read && r.Readable() {
				v.keepLoad(va, entry) // most pages that are stored to are loaded from
			}
			v.noteSuperpage(m, v.dataCtx)
		}
	}
	p.host, p.region = host, r
	return p, 0, true
}

func (v *VCPU) keepLoad(va uint64, entry tlbEntry) {
	v.note(entry.tag)
	v.loads[va>>memory.PageShift%tlbSize] = entry
	v.moreLoads.put(va, v.dataCtx, entry)
}

// loadPlace is find for loads, through the TLB.
func (v *VCPU) loadPlace(va, size uint64) (unsafe.Pointer, place, riscv.Cause, bool) {
	if e := &v.loads[va>>memory.PageShift%tlbSize]; e.tag == va&^pageMask|v.dataCtx {
		return e.at(va), place{}, 0, true
	}
	if e := v.moreLoads.at(va, v.dataCtx); e != nil {
		v.loads[va>>memory.PageShift%tlbSize] = *e
		return e.at(va), place{}, 0, true
	}
	p, cause, ok := v.find(va, size, hart.Load)
	return p.host, p, cause, ok
}

// storePlace is find for stores, through the TLB.
func (v *VCPU) storePlace(va, size uint64) (unsafe.Pointer, place, riscv.Cause, bool) {
	if e := &v.stores[va>>memory.PageShift%tlbSize]; e.tag == va&^pageMask|v.dataCtx {
		return e.at(va), place{}, 0, true
	}
	if e := v.moreStores.at(va, v.dataCtx); e != nil {
		v.stores[va>>memory.PageShift%tlbSize] = *e
		return e.at(va), place{}, 0, true
	}
	p, cause, ok := v.find(va, size, hart.Store)
	return p.host, p, cause, ok
}
