// Package engines compares the translator with the interpreter on random
// programs: nested loops that get hot, with calls, faults that come late,
// accesses at and across the ends of pages, devices, changes of address space,
// code that rewrites itself, and random bytes. After every stop, at random
// budgets, the whole hart must be the same on both, and memory at the end.
//
// No other emulator takes part: what both engines agree on is compared with
// QEMU by the packages beside this one. DOPPEL_SEED repeats a run,
// DOPPEL_PROGRAMS sets the number of programs.
package engines

import (
	"encoding/binary"
	"math/rand/v2"

	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/internal/riscv/hart"
)

// The layout of RAM, as offsets from base.
const (
	base    = 0x8000_0000
	ramSize = 1 << 20
	page    = 4096

	machineCode = 0x0000 // M-mode's trap handler, and what it remembers
	machineData = 0x1000
	superCode   = 0x0800 // S-mode's, in the same page
	superData   = 0x2000
	poolAt      = 0x4000 // constants that programs load from gp
	shadowAt    = 0x8000 // page tables that stores must not reach, for nothing flushes then
	codeAt      = 0x10000
	codePages   = 4
	dataAt      = 0x20000
	dataPages   = 16
	tablesAt    = 0x80000
)

// Virtual addresses, from a window that is somewhere in the lower or the upper
// half. Code is there for U-mode and, at a distance, for S-mode.
const (
	userCode   = 0x10_0000
	superAlias = 0x20_0000
	poolVA     = 0x31_0000
	dataVA     = 0x40_0000

	// A page of 2 MiB that RAM fills half of. It comes first, so that nothing
	// that walks up from data finds the code in it.
	largeVA = 1<<64 - 0x20_0000

	// What nothing is to find that walks up, from the end of that page either,
	// or is a bit or a power of 2 away from data.
	superVA = 1<<64 - 0x5f_0000 // the handlers', and what they remember
	writeVA = 1<<64 - 0x60_0000 // the code again, to be written
)

// world is where a program runs: memory and the state of the hart at first.
type world struct {
	r     *rand.Rand
	ram   []byte
	state hart.State

	mode     riscv.Privilege
	paged    bool
	shadowed bool   // see shadow
	win      uint64 // of virtual addresses
	pool     []uint64
	good     int // how many of pool's addresses start 4 pages that are plain memory
	next     uint64
	roots    [2]uint64 // of the two address spaces, if paged
}

// handlers keep what they need under mscratch and sscratch. They skip what
// trapped, or go to the address at 24 (32 outside U-mode) if there is no code
// to skip. An ecall asks M-mode for the next of 16 services.
var handlers = asm.MustAssemble(`
	csrrw x31, mscratch, x31
	sd x30, 0(x31)
	sd x29, 8(x31)
	ld x30, 16(x31)			# counts traps
	addi x30, x30, 1
	sd x30, 16(x31)
	csrr x30, mcause
	bltz x30, interrupt
	beqz x30, lost
	addi x29, x30, -1
	beqz x29, lost
	addi x29, x30, -12
	beqz x29, lost
	addi x29, x30, -8
	sltiu x29, x29, 4
	bnez x29, service
skip:	li x30, 1<<17 | 1<<19		# MPRV and MXR: the instruction as its mode sees it
	csrrs x29, mstatus, x30
	csrr x30, mepc
	lhu x30, 0(x30)
	csrw mstatus, x29
	andi x30, x30, 3
	sltiu x30, x30, 3		# of 2 bytes
	slli x30, x30, 1
	csrr x29, mepc
	sub x29, x29, x30
	addi x29, x29, 4
	csrw mepc, x29
out:	ld x29, 8(x31)
	ld x30, 0(x31)
	csrrw x31, mscratch, x31
	mret
lost:	csrr x30, mstatus
	srli x30, x30, 8		# MPP's low bit, of S and M, as 8
	andi x30, x30, 8
	add x30, x30, x31
	ld x30, 24(x30)
	csrw mepc, x30
	j out
interrupt:
	li x29, 1
	sll x29, x29, x30
	csrc mie, x29
	j out
service:
	ld x30, 40(x31)
	addi x29, x30, 1
	sd x29, 40(x31)
	andi x30, x30, 15
	add x30, x30, x31
	lbu x30, 64(x30)
	slli x30, x30, 2
	auipc x29, 0
	add x29, x29, x30
	jalr zero, 12(x29)
	j skip				# 0
	j sfence
	j fencei
	j space
	j sum
	j mxr
	j fsoff
	j fsclean
	j priv
	j pte
	j fsdirty
	j enable
sfence:	sfence.vma
	j skip
fencei:	fence.i
	j skip
space:	ld x30, 48(x31)
	csrrw x30, satp, x30
	sd x30, 48(x31)
	j skip
sum:	li x30, 1<<18
	j flip
mxr:	li x30, 1<<19
	j flip
fsoff:	li x30, 3<<13
	csrc mstatus, x30
	j skip
fsclean: li x30, 3<<13
	csrc mstatus, x30
	li x30, 1<<14
	csrs mstatus, x30
	j skip
fsdirty: li x30, 3<<13
	csrs mstatus, x30
	j skip
flip:	csrr x29, mstatus
	xor x29, x29, x30
	csrw mstatus, x29
	j skip
priv:	ld x29, 56(x31)			# the distance between U's code and S's, 0 if it is M's
	csrr x30, mepc
	xor x30, x30, x29
	csrw mepc, x30
	beqz x29, skip
	li x30, 1<<11
	j flip
pte:	ld x29, 80(x31)			# a PTE, and its address
	ld x30, 0(x29)
	xori x30, x30, 0x84		# W and D
	sd x30, 0(x29)
	ld x29, 88(x31)
	sfence.vma x29
	j skip
enable:	li x30, -1
	csrw mie, x30
	j skip

	.org 0x80000800
	csrrw x31, sscratch, x31
	sd x30, 0(x31)
	sd x29, 8(x31)
	ld x30, 16(x31)
	addi x30, x30, 1
	sd x30, 16(x31)
	csrr x30, scause
	bltz x30, sinterrupt
	beqz x30, slost
	addi x29, x30, -1
	beqz x29, slost
	addi x29, x30, -12
	beqz x29, slost
	li x30, 1<<18 | 1<<19		# SUM and MXR
	csrrs x29, sstatus, x30
	csrr x30, sepc
	lhu x30, 0(x30)
	csrw sstatus, x29
	andi x30, x30, 3
	sltiu x30, x30, 3
	slli x30, x30, 1
	csrr x29, sepc
	sub x29, x29, x30
	addi x29, x29, 4
	csrw sepc, x29
sout:	ld x29, 8(x31)
	ld x30, 0(x31)
	csrrw x31, sscratch, x31
	sret
slost:	csrr x30, sstatus
	srli x30, x30, 5		# SPP as 8
	andi x30, x30, 8
	add x30, x30, x31
	ld x30, 24(x30)
	csrw sepc, x30
	j sout
sinterrupt:
	li x29, 1
	sll x29, x29, x30
	csrc sie, x29
	j sout
`, asm.Options{Origin: base}).Code

func (w *world) u64(off, v uint64) { binary.LittleEndian.PutUint64(w.ram[off:], v) }

// chance is true once in n times.
func (w *world) chance(n int) bool { return w.r.IntN(n) == 0 }

// newWorld makes what a seed says, without a program.
func newWorld(r *rand.Rand) *world {
	w := &world{r: r, ram: make([]byte, ramSize), next: tablesAt}
	copy(w.ram, handlers)
	w.mode = []riscv.Privilege{riscv.User, riscv.Supervisor, riscv.Supervisor, riscv.Machine}[r.IntN(4)]
	c := &w.state.CSR
	c.Mtvec, c.Mscratch = base+machineCode, base+machineData
	// Nobody may write to the handlers' page; all else is open.
	c.PmpCfg[0], c.PmpAddr[0] = 1<<7|3<<3|5, base>>2|(page/8-1)
	c.PmpCfg[2], c.PmpAddr[2] = 3<<3|7, 1<<54-1
	if w.chance(8) { // a few bytes of data that lower modes may only read
		c.PmpCfg[1] = 3<<3 | 1
		c.PmpAddr[1] = (base+dataAt+r.Uint64N(4*page))>>2&^7 | 3
	}
	c.Mstatus = riscv.MstatusFS | riscv.MstatusMPIE | riscv.MstatusUXL&^(1<<32) | riscv.MstatusSXL&^(1<<34) // both XLEN 64
	if w.mode != riscv.Machine && r.IntN(4) > 0 {
		w.page([]uint64{8, 9, 10}[r.IntN(3)])
	} else {
		w.flat()
	}
	if w.mode == riscv.Machine && w.chance(2) {
		w.shadow([]uint64{8, 9, 10}[r.IntN(3)])
	}
	c.Menvcfg |= riscv.EnvcfgCBZE | riscv.EnvcfgCBCFE
	c.Senvcfg = c.Menvcfg &^ (riscv.MenvcfgADUE | riscv.MenvcfgPBMTE | riscv.MenvcfgSTCE)
	c.Mcounteren, c.Scounteren = 7, 7
	c.Mie = uint64(w.r.IntN(2)) * 0xaaa
	w.state.FRM = uint8(w.r.IntN(5))
	w.state.FFlags = w.r.Uint32N(32)
	w.state.Priv = w.mode
	if w.mode != riscv.Machine && w.chance(2) {
		c.Medeleg = w.r.Uint64() & 0xb3ff &^ (1<<8 | 1<<9)
		c.Mideleg = w.r.Uint64() & 0x222
	}
	for i := range w.pool {
		w.u64(poolAt+uint64(i)*8, w.pool[i])
	}
	for i := range 16 {
		// Most services change nothing for long.
		w.ram[machineData+64+i] = []byte{0, 1, 2, 3, 3, 4, 5, 6, 10, 7, 10, 8, 8, 9, 10, 11}[w.r.IntN(16)]
	}
	return w
}

// flat makes a world without translation.
func (w *world) flat() {
	w.win = base
	w.state.CSR.Stvec, w.state.CSR.Sscratch = base+superCode, base+superData
	data := uint64(base + dataAt)
	w.pool = []uint64{data, data + page, data + 3*page - 64, data + 4*page}
	w.good = len(w.pool)
	w.pool = append(w.pool, base+ramSize-256, base+ramSize-8, base+ramSize, ^uint64(0)-63, ^uint64(0)-7, 0, 0x1000_0000,
		1<<56-8, 1<<63, data+1, data+page-3, w.r.Uint64()&^0xf_ffff|1<<62)
}

// shadow gives a world of M-mode page tables that it sees only through MPRV:
// RAM is where it is, but for some data.
func (w *world) shadow(mode uint64) {
	w.next = shadowAt
	t := &tables{w: w, levels: int(mode) - 5}
	t.root = w.table()
	const rw = riscv.PTEV | riscv.PTEA | riscv.PTED | riscv.PTER | riscv.PTEW | riscv.PTEX
	for off := uint64(0); off < tablesAt; off += page {
		flags, pa := uint64(rw), base+off
		if off >= dataAt {
			switch w.r.IntN(6) {
			case 0:
				pa = base + dataAt + w.r.Uint64N(dataPages)*page
			case 1:
				flags &^= riscv.PTEW
			case 2:
				flags |= riscv.PTEU
			}
		}
		t.set(base+off, pa, flags)
	}
	w.state.CSR.Satp = mode<<riscv.SatpModeShift | (base+t.root)>>12
	w.state.CSR.Mstatus |= w.r.Uint64() & (riscv.MstatusSUM | riscv.MstatusMXR)
	w.shadowed = true
}

// page makes a world with translation.
func (w *world) page(mode uint64) {
	w.paged = true
	w.win = 0x4000_0000
	if w.chance(2) {
		w.win = 0xffff_ffd0_0000_0000
	}
	c := &w.state.CSR
	c.Stvec, c.Sscratch = w.win+superVA+superCode, w.win+superVA+page
	if w.chance(4) {
		c.Menvcfg |= riscv.MenvcfgADUE
	}
	c.Mstatus |= w.r.Uint64() & (riscv.MstatusSUM | riscv.MstatusMXR)
	order := w.r.Perm(codePages)
	var satp [2]uint64
	for i := range satp {
		t := &tables{w: w, levels: int(mode) - 5}
		t.root = w.table()
		satp[i] = mode<<riscv.SatpModeShift | uint64(i+1)<<riscv.SatpASIDShift | (base+t.root)>>12
		w.fill(t, order)
	}
	c.Satp = satp[0]
	w.roots = [2]uint64{satp[0]<<20>>8 - base, satp[1]<<20>>8 - base}
	w.u64(machineData+48, satp[1])
	w.u64(machineData+56, userCode^superAlias)
	d := w.win + dataVA
	w.pool = []uint64{d, d + page, d + 3*page - 64}
	w.good = len(w.pool)
	w.pool = append(w.pool, d+4*page-256, d+5*page-32, d+6*page-8, d+7*page-512, d+8*page-128, d+9*page-64, d+1, d+page-3, d+2*page-1,
		w.win+largeVA+ramSize-512, w.win+largeVA+ramSize-8, ^uint64(0)-63, ^uint64(0)-7, 0, 1<<38-8, 1<<38, 1<<47-8,
		1<<56-8, 1<<63, d^1<<57, d^1<<62, w.r.Uint64())
}

// fill maps everything into one address space.
func (w *world) fill(t *tables, order []int) {
	const plain = riscv.PTEV | riscv.PTEA | riscv.PTED
	const rw, rx = plain | riscv.PTER | riscv.PTEW, plain | riscv.PTER | riscv.PTEX
	for i, n := range order {
		pa := uint64(codeAt + n*page)
		x := uint64(rx)
		if w.chance(4) {
			x &^= riscv.PTER // which MXR makes readable
		}
		t.set(w.win+userCode+uint64(i)*page, base+pa, x|riscv.PTEU)
		t.set(w.win+superAlias+uint64(i)*page, base+pa, x|riscv.PTEG)
		t.set(w.win+writeVA+uint64(i)*page, base+pa, rw|w.user())
	}
	t.set(w.win+superVA, base+machineCode, rx|riscv.PTEG)
	t.set(w.win+superVA+page, base+superData, rw|riscv.PTEG)
	t.set(w.win+poolVA, base+poolAt, plain|riscv.PTER|w.user())
	for i := range uint64(12) {
		va, pa := w.win+dataVA+i*page, uint64(base+dataAt+i*page)
		if i >= 4 && w.chance(2) {
			pa = base + dataAt + w.r.Uint64N(dataPages)*page
		}
		flags := rw | w.user()
		if i >= 4 {
			switch w.r.IntN(10) {
			case 0:
				flags &^= riscv.PTEW
			case 1:
				flags = 0
			case 2:
				pa = 0x1000_0000 + i*page // a device
			case 3:
				flags &^= riscv.PTED
			case 4:
				flags &^= riscv.PTEA
			case 5:
				flags ^= riscv.PTEU
			case 6:
				flags = plain | riscv.PTEX | flags&riscv.PTEU
			case 7:
				pa = base + ramSize // just behind RAM
			}
		}
		t.set(va, pa, flags)
	}
	t.superpage(w.win+largeVA, base, rw|w.user())
	changing := w.r.Uint64N(4)
	w.u64(machineData+80, base+t.entry(w.win+dataVA+changing*page, 0))
	w.u64(machineData+88, w.win+dataVA+changing*page)
}

// user is the U bit that data pages have, mostly.
func (w *world) user() uint64 {
	if w.mode == riscv.User {
		return riscv.PTEU
	}
	return 0
}

// table allocates a page of a page table.
func (w *world) table() uint64 {
	at := w.next
	w.next += page
	return at
}

// tables is one address space.
type tables struct {
	w      *world
	levels int
	root   uint64 // offset in RAM
}

// entry is the offset of the PTE for va at a level, 0 for pages of 4 KiB.
func (t *tables) entry(va uint64, level int) uint64 {
	at := t.root
	for l := t.levels - 1; ; l-- {
		e := at + va>>(12+9*l)&511*8
		if l == level {
			return e
		}
		pte := binary.LittleEndian.Uint64(t.w.ram[e:])
		if pte == 0 {
			pte = (base+t.w.table())>>12<<10 | riscv.PTEV
			t.w.u64(e, pte)
		}
		at = pte>>10<<12 - base
	}
}

func (t *tables) set(va, pa, flags uint64) { t.w.u64(t.entry(va, 0), pa>>12<<10|flags) }

func (t *tables) superpage(va, pa, flags uint64) { t.w.u64(t.entry(va, 1), pa>>12<<10|flags) }
