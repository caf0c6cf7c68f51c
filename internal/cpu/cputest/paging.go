package cputest

import (
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// Rights of pages, with A and D set.
const (
	valid  = riscv.PTEV | riscv.PTEA | riscv.PTED
	pageR  = valid | riscv.PTER
	pageRW = pageR | riscv.PTEW
	pageRX = pageR | riscv.PTEX
	pageX  = valid | riscv.PTEX
	pageU  = riscv.PTEU
	pageSz = 4096
)

// pageTable is an Sv39 page table near the end of a machine's RAM.
type pageTable struct {
	m    *Machine
	root uint64
}

func (m *Machine) pageTable() *pageTable {
	p := &pageTable{m: m}
	p.root = p.page()
	return p
}

func (p *pageTable) page() uint64 {
	p.m.tables++
	off := p.m.RAM.Size - p.m.tables*pageSz
	clear(p.m.RAM.Bytes()[off:][:pageSz])
	return Base + off
}

// entry is the address of the PTE for va at a level (0: 4 KiB, 1: 2 MiB).
func (p *pageTable) entry(va uint64, level int) uint64 {
	table := p.root
	for l := 2; l > level; l-- {
		at := table + va>>(12+9*l)&511*8
		pte := p.m.U64(at)
		if pte == 0 {
			pte = p.page()>>12<<10 | riscv.PTEV
			p.m.SetU64(at, pte)
		}
		table = pte >> 10 << 12
	}
	return table + va>>(12+9*level)&511*8
}

// mapPage maps a page of 4 KiB.
func (p *pageTable) mapPage(va, pa, flags uint64) {
	p.m.SetU64(p.entry(va, 0), pa>>12<<10|flags)
}

// mapRange maps pages one to one.
func (p *pageTable) mapRange(va, size, flags uint64) {
	for end := va + size; va < end; va += pageSz {
		p.mapPage(va, va, flags)
	}
}

// satp is the value that selects the table.
func (p *pageTable) satp(asid uint64) uint64 {
	return riscv.SatpSv39<<riscv.SatpModeShift | asid<<riscv.SatpASIDShift | p.root>>12
}

// enter puts a hart into a mode with the table, and lets PMP allow all.
func (p *pageTable) enter(e Engine, priv hart.Priv) {
	h := e.Hart()
	h.CSR.Satp = p.satp(0)
	h.Priv = priv
	h.CSR.PmpCfg[0] = 0x1f
	h.CSR.PmpAddr[0] = 1<<54 - 1
	h.Refresh()
	e.FlushTLB()
}
