package interp

import (
	"unsafe"

	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// fetch finds the block at the virtual address pc. It returns nil after a
// trap.
func (v *VCPU) fetch(pc uint64) *block {
	p, whole, ok := v.fetchPlace(pc, pc)
	if !ok {
		return nil
	}
	if !whole {
		// PMP divides the page: its parts do not have the same rights.
		return v.fetchSingle(pc)
	}
	e := &v.jumps[jumpIndex(pc)]
	b := v.blockOf(e, pc, p)
	*e = jumpEntry{pc, v.jumpKey, b}
	v.jumpPages.add(pc)
	return b
}

// blockOf is the block at pc, which is at p. What is in e, pc's entry, of those
// that have used a Common before is mostly it.
func (v *VCPU) blockOf(e *jumpEntry, pc uint64, p place) *block {
	if v.common == nil || e.pc != pc || e.blk == nil || e.blk.gpa != p.gpa {
		return v.blockAt(p.gpa, p.host)
	}
	if e.blk.gen != v.gen {
		return v.current(e.blk, p.host)
	}
	return e.blk
}

// fetchPlace translates the 16-bit parcel at va of the instruction at pc, and
// tells whether the whole page goes the same way. After a trap ok is false.
func (v *VCPU) fetchPlace(pc, va uint64) (p place, whole, ok bool) {
	page := va >> memory.PageShift
	e := &v.fetches[page%fetchTLBSize]
	if e.tag == page<<memory.PageShift|v.fetchCtx {
		off := va & pageMask
		return place{host: unsafe.Add(e.page, off), gpa: e.gpa | memory.GPA(off)}, true, true
	}
	m, r, cause, ok := v.translateFetch(va)
	if !ok {
		// priv §3.1.16: tval is the part of the instruction that faults, epc its start.
		v.h.PC = pc
		v.trap(cause, va)
		return place{}, false, false
	}
	p.gpa, p.host = m.GPA, unsafe.Add(r.Host(), uint64(m.GPA-r.Base))
	if whole = m.Size >= memory.PageSize; whole {
		v.keepFetch(e, va, &m, r)
	}
	return p, whole, true
}

// translateFetch is Translate for a parcel that memory holds.
func (v *VCPU) translateFetch(va uint64) (m hart.Mapping, r *memory.Region, cause riscv.Cause, ok bool) {
	v.misses[hart.Fetch]++
	if v.mem.Stands() {
		return m, nil, noMemory, false
	}
	if m, cause, ok = v.h.Translate(va, 2, hart.Fetch); ok {
		if r = v.mem.Find(m.GPA, 2); r != nil && r.Readable() {
			return m, r, 0, true
		}
		cause = riscv.InstructionAccessFault
	}
	return m, nil, cause, false
}

// keepFetch fills e with a whole page.
func (v *VCPU) keepFetch(e *fetchEntry, va uint64, m *hart.Mapping, r *memory.Region) {
	v.mayShare(m, v.fetchCtx)
	gpa := m.GPA &^ pageMask
	v.note(va&^pageMask | v.fetchCtx)
	*e = fetchEntry{va&^pageMask | v.fetchCtx, unsafe.Add(r.Host(), uint64(gpa-r.Base)), gpa, v.codeOf(gpa, va)}
	v.noteSuperpage(*m, v.fetchCtx)
}

// fillFetch gives va's page its entry, if it can have one.
func (v *VCPU) fillFetch(va uint64) bool {
	m, r, _, ok := v.translateFetch(va)
	if !ok || m.Size < memory.PageSize {
		return false
	}
	v.keepFetch(&v.fetches[va>>memory.PageShift%fetchTLBSize], va, &m, r)
	return true
}

// fetchSingle makes v.single the instruction at pc, of which each half is
// translated for itself. It returns nil after a trap.
func (v *VCPU) fetchSingle(pc uint64) *block {
	raw := &v.singleRaw
	for i := 0; i < 4; i += 2 {
		p, _, ok := v.fetchPlace(pc, pc+uint64(i))
		if !ok {
			return nil
		}
		copy(raw[i:], unsafe.Slice((*byte)(p.host), 2))
		if raw[0]&3 != 3 {
			break
		}
	}
	d, _ := decodeAt(raw[:])
	b := &v.single
	// Without a gpa no successor is in the same page.
	*b = block{first: &v.singleCode[0], need: 1, gen: v.gen, heat: never, size: d.Len}
	v.singleCode[0] = v.lower(b, d, 0)
	v.singleCode[1] = inst{op: opFall, off: uint16(d.Len), rd: noLink, n: 1}
	copy(b.raw(), raw[:])
	return b
}

// prefix makes v.part the first n instructions of b.
func (v *VCPU) prefix(b *block, n int) {
	code := b.code()
	copy(v.partCode[:], code[:n])
	v.partCode[n] = inst{op: opFall, off: code[n].off, rd: noLink, n: uint8(n)}
	v.part = block{first: &v.partCode[0], need: uint8(n), gen: v.gen, heat: never, links: b.links, slots: b.slots, size: b.size, gpa: b.gpa}
	copy(v.part.raw(), b.raw())
}
