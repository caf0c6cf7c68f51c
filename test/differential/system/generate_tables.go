package system

import (
	"encoding/binary"

	"doppel/internal/riscv"
)

// Bits of a page-table entry (priv §12.3, Svpbmt, Svnapot).
const (
	pteV = 1 << iota
	pteR
	pteW
	pteX
	pteU
	pteG
	pteA
	pteD
)

// tables fills the page tables: a chain from the root of each mode down to one
// table of pages, with random permissions and now and then something illegal.
func (g *generator) tables(p *program, mode riscv.Privilege) {
	put := func(table, index int, pte uint64) {
		binary.LittleEndian.PutUint64(p.watched[table*page+8*index:], pte)
	}
	at := func(table int) uint64 { return watchedAt + uint64(table)*page }
	// Tables 0 to 4 are of levels 4 to 0.
	put(0, 0, g.pointer(at(1)))
	put(1, 0, g.pointer(at(2)))
	put(2, window>>30, g.pointer(at(3)))
	put(3, 0, g.pointer(at(4)))
	// The code's gigabyte is as it must be for the mode, nearly always.
	code := uint64(riscvBase)>>2 | pteV | pteR | pteW | pteX | pteA | pteD
	if mode == riscv.User {
		code |= pteU
	}
	if g.chance(16) {
		code ^= 1 << g.IntN(8)
	}
	put(2, 2, code)
	put(2, gigapage>>30, g.leaf(riscvBase, 30))
	put(3, 1, g.leaf(riscvBase, 21))
	put(3, 2, g.leaf(riscvBase+0x20_0000, 21))
	for i := range 18 {
		put(4, i, g.leaf(dataAt+uint64(g.IntN(dataPages))*page, 12))
	}
}

// pointer is an entry that leads to a table.
func (g *generator) pointer(table uint64) uint64 {
	pte := table>>2 | pteV
	if g.chance(24) {
		pte ^= 1 << pick(g, 0, 4, 5, 6, 7, 8, 54, 60, 61, 63)
	}
	return pte
}

// leaf is an entry that maps a page.
func (g *generator) leaf(pa uint64, shift int) uint64 {
	if g.chance(16) {
		pa = nowhere &^ (1<<shift - 1)
	}
	if shift > 12 && g.chance(8) {
		pa |= page // misaligned
	}
	perm := pick[uint64](g, pteR, pteR|pteW, pteR|pteX, pteX, pteR|pteW|pteX, pteR|pteW|pteX, g.Uint64N(8)<<1)
	pte := pa>>2 | perm | pteV | g.some(pteA|pteD) | g.some(pteU) | g.some(pteG)
	switch g.IntN(24) {
	case 0:
		pte &^= pteV
	case 1:
		pte |= 1 << (54 + g.IntN(7)) // reserved
	case 2, 3:
		pte |= g.Uint64N(4) << 61 // Svpbmt
	case 4, 5: // Svnapot: 64 KiB is the size there is
		pte |= 1 << 63
		size := pick[uint64](g, 8, 8, 4, 9, 0)
		pte = pte&^(0xf<<10) | size<<10
		if size != 8 {
			pte |= pteA | pteD // QEMU sets them before it finds that the size is reserved
		}
	case 6:
		pte |= 3 << 8 // for software
	}
	return pte
}
