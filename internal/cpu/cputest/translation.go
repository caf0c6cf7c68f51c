package cputest

import (
	"fmt"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// checkContexts: nothing cached for one mode, address space or setting of
// mstatus or PMP is used for another.
func checkContexts(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
load:	ld a1, 0(a0)
csr:	csrw satp, a2
	ld a1, 0(a0)
pmp:	csrw pmpcfg0, a2
	ld a1, 0(a0)
status:	csrw mstatus, a2
	ld a1, 0(a0)
code:	csrw satp, a2
	jr a0
`, Options{})
	const va = 0x4000_0000
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	h.X[10] = va
	var tables [3]*pageTable
	for i := range tables {
		p := m.pageTable()
		tables[i] = p
		p.mapRange(Base, 0x4000, pageRX)
		p.mapPage(va, Base+0x20000+uint64(i)*pageSz, pageRW|riscv.PTEX)
		p.mapPage(va+pageSz, Base+0x20000+uint64(i)*pageSz, pageRX|pageU)
		// The page holds its number, in the form of code: li a1, i; ebreak.
		m.SetU64(Base+0x20000+uint64(i)*pageSz, uint64(0x593+i<<20)|0x0010_0073<<32)
	}
	number := func() uint64 { return h.X[11] & 0xffff_ffff >> 20 }
	// Address spaces with ASIDs of their own need no fence between them.
	tables[0].enter(c, hart.S)
	for n := range 200 {
		i := n * 7 % 3
		h.Priv, h.PC, h.X[12] = hart.S, m.Sym("csr"), tables[i].satp(uint64(i+1))
		m.exit(c.Run(2), cpu.ExitBudget)
		m.want("page seen through satp", number(), uint64(i))
		h.Priv, h.PC = hart.S, m.Sym("code")
		m.exit(c.Run(4), cpu.ExitBudget)
		m.want("code seen through satp", h.X[11], uint64(i))
		m.want("cause", h.CSR.Mcause, uint64(riscv.Breakpoint))
	}
	// More address spaces than anything could hold.
	for n := range 3000 {
		i := n * 5 % 3
		h.Priv, h.PC, h.X[12] = hart.S, m.Sym("csr"), tables[i].satp(uint64(n))
		m.exit(c.Run(2), cpu.ExitBudget)
		m.want("page seen through many satp", number(), uint64(i))
	}
	// Bare, in M-mode, at the same address: no memory. MPRV brings it back.
	m.SetU64(Base+0x20000, 7<<20)
	tables[0].enter(c, hart.S)
	m.step("load")
	m.want("load in S", number(), 7)
	h.Priv, h.PC = hart.M, m.Sym("load")
	m.exit(c.Run(1), cpu.ExitMMIO)
	c.CompleteMMIO(0, true)
	const mprv, mpp = riscv.MstatusMPRV, riscv.MstatusMPPShift
	h.PC, h.X[12] = m.Sym("status"), mprv|uint64(hart.S)<<mpp
	m.exit(c.Run(2), cpu.ExitBudget)
	m.want("load in M with MPRV", number(), 7)
	m.want("pc", h.PC, m.Sym("status")+8)
	h.PC, h.X[12] = m.Sym("status"), mprv|uint64(hart.U)<<mpp
	m.exit(c.Run(2), cpu.ExitBudget)
	m.want("load as U of a page of S: cause", h.CSR.Mcause, uint64(riscv.LoadPageFault))
	h.PC, h.X[12] = m.Sym("status"), mprv|uint64(hart.M)<<mpp
	m.exit(c.Run(2), cpu.ExitMMIO)
	c.CompleteMMIO(0, true)
	// A page of U is not for S without SUM, whoever used it before.
	h.CSR.Mstatus &^= mprv
	h.X[10] = va + pageSz
	for _, sum := range []uint64{riscv.MstatusSUM, 0, riscv.MstatusSUM, 0} {
		h.CSR.Mstatus = h.CSR.Mstatus&^riscv.MstatusSUM | sum
		h.Priv, h.CSR.Mcause = hart.S, 0
		m.step("load")
		m.want(fmt.Sprintf("cause with SUM %#x", sum), h.CSR.Mcause, truth(sum == 0)*uint64(riscv.LoadPageFault))
	}
	// PMP counts at once: with entry 0 off and locked, M has no access either.
	h.X[10] = va
	tables[0].enter(c, hart.S)
	m.step("load")
	h.CSR.Mcause = 0
	h.Priv, h.PC, h.X[12], h.X[10] = hart.M, m.Sym("pmp"), 0x9c, Base+0x20000 // L, NAPOT, X only
	m.exit(c.Run(2), cpu.ExitBudget)
	m.want("load without R in PMP: cause", h.CSR.Mcause, uint64(riscv.LoadAccessFault))
}

// checkFences: a translation is used until the fence at the latest, and not
// after it, in each form of the fence.
func checkFences(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
load:	ld a1, 0(a0)
all:	sfence.vma
	ld a1, 0(a0)
va:	sfence.vma a0
	ld a1, 0(a0)
asid:	sfence.vma x0, a2
	ld a1, 0(a0)
both:	sfence.vma a0, a2
	ld a1, 0(a0)
sinval:	sfence.w.inval
	sinval.vma a0, x0
	sfence.inval.ir
	ld a1, 0(a0)
store:	sd a1, 0(a0)
	j va
jump:	jr a0
jfence:	sfence.vma a0
	jr a0
`, Options{})
	const va, one, two = 0x4000_0000, Base + 0x20_0000, Base + 0x40_0000
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	p := m.pageTable()
	p.mapRange(Base, 0x4000, pageRX)
	p.enter(c, hart.S)
	h.CSR.Satp = p.satp(5)
	for i := range uint64(512) {
		m.SetU64(one+i*pageSz, 1<<32|i)
		m.SetU64(two+i*pageSz, 2<<32|i)
	}
	for _, super := range []bool{false, true} {
		entry := p.entry(va, 0)
		if super {
			entry = p.entry(va, 1)
		}
		mapTo := func(pa uint64) { m.SetU64(entry, pa>>12<<10|pageRW|riscv.PTEX) }
		for _, label := range []string{"all", "va", "asid", "both", "sinval", "remote", "remote va", "engine"} {
			for _, off := range []uint64{0, 5 * pageSz, 511 * pageSz} {
				if !super && off != 0 {
					break
				}
				mapTo(one)
				c.FlushTLB()
				// A superpage is one translation, in however many parts it is cached.
				for _, at := range []uint64{off, 0, 3 * pageSz * truth(super)} {
					h.X[10] = va + at
					m.step("load")
					m.want("load before a fence", h.X[11], 1<<32+at/pageSz)
				}
				mapTo(two)
				h.X[10], h.X[12] = va, 5
				n := uint64(2)
				switch label {
				case "remote":
					h.RequestFlush(hart.Fence{})
				case "remote va":
					h.RequestFlush(hart.Fence{HasVA: true, VA: va, Size: pageSz})
				case "engine":
					c.FlushTLB()
				case "sinval":
					n = 4
				}
				if n == 2 && m.Prog.Symbols[label] == 0 {
					m.step("load")
				} else {
					h.PC = m.Sym(label)
					m.exit(c.Run(n), cpu.ExitBudget)
				}
				m.want("load after fence "+label, h.X[11], 2<<32)
				h.X[10] = va + off
				m.step("load")
				m.want(fmt.Sprintf("load of part %#x after fence %s", off, label), h.X[11], 2<<32+off/pageSz)
			}
		}
	}
	// Rights that were taken away, and code.
	m.SetU64(p.entry(va, 1), 0) // no superpage any more
	p.mapPage(va, one, pageRW|riscv.PTEX)
	c.FlushTLB()
	h.X[10] = va
	m.SetU64(one, 0x0010_0073_0010_0593) // li a1, 1; ebreak
	m.SetU64(two, 0x0010_0073_0020_0593)
	h.PC = m.Sym("jump")
	m.exit(c.Run(3), cpu.ExitBudget)
	m.want("code before the fence", h.X[11], 1)
	p.mapPage(va, two, pageRW|riscv.PTEX)
	h.Priv, h.PC = hart.S, m.Sym("jfence")
	m.exit(c.Run(4), cpu.ExitBudget)
	m.want("code after the fence", h.X[11], 2)
	h.Priv = hart.S
	m.step("store")
	p.mapPage(va, two, pageR)
	h.PC = m.Sym("va")
	m.exit(c.Run(2), cpu.ExitBudget)
	m.step("store")
	m.want("store after the right was taken away: cause", h.CSR.Mcause, uint64(riscv.StorePageFault))
}

// checkFetchFaults: causes, tval and epc of fetches that fail, and the part of
// the instruction that fails.
func checkFetchFaults(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
jump:	jr a0
`, Options{})
	const va = 0x4000_0000
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	p := m.pageTable()
	p.mapRange(Base, 0x4000, pageRX)
	p.mapPage(va, Base+0x20000, pageRX)
	p.enter(c, hart.S)
	try := func(what string, to uint64, cause riscv.Cause, tval uint64) {
		for range 2 {
			h.Priv, h.X[10], h.PC = hart.S, to, m.Sym("jump")
			h.CSR.Mcause, h.CSR.Mtval, h.CSR.Mepc = 0, 0, 0
			m.exit(c.Run(2), cpu.ExitBudget)
			m.want(what+": cause", h.CSR.Mcause, uint64(cause))
			m.want(what+": tval", h.CSR.Mtval, tval)
			m.want(what+": epc", h.CSR.Mepc, to)
		}
	}
	try("not mapped", va+2*pageSz, riscv.InstructionPageFault, va+2*pageSz)
	try("not canonical", 1<<63, riscv.InstructionPageFault, 1<<63)
	p.mapPage(va+4*pageSz, Base+0x21000, pageRW)
	try("not executable", va+4*pageSz+2, riscv.InstructionPageFault, va+4*pageSz+2)
	p.mapPage(va+5*pageSz, Base+0x21000, pageRX|pageU)
	try("of U", va+5*pageSz, riscv.InstructionPageFault, va+5*pageSz)
	p.mapPage(va+6*pageSz, 0x1000_0000, pageRX)
	try("not memory", va+6*pageSz, riscv.InstructionAccessFault, va+6*pageSz)
	// The second half is in a page that is not there.
	ram := m.RAM.Bytes()
	ram[0x20ffe], ram[0x20fff] = 0x93, 0x05
	try("second half not mapped", va+pageSz-2, riscv.InstructionPageFault, va+pageSz)
	p.mapPage(va+pageSz, 0x1000_0000, pageRX)
	c.FlushTLB()
	try("second half not memory", va+pageSz-2, riscv.InstructionAccessFault, va+pageSz)
	// A 16-bit instruction at the end of the page does not need the next one.
	ram[0x20ffc], ram[0x20ffd], ram[0x20ffe], ram[0x20fff] = 0x01, 0x00, 0x01, 0x00
	h.Priv, h.PC, h.CSR.Mcause = hart.S, va+pageSz-4, 0
	h.CSR.Mcause = 0
	m.exit(c.Run(2), cpu.ExitBudget)
	m.want("cause after instructions at the end of a page", h.CSR.Mcause, 0)
	m.want("pc", h.PC, va+pageSz)
	// In M-mode, PMP is what forbids, down to four bytes.
	h.Priv = hart.M
	h.CSR.PmpCfg = [16]uint8{0: riscv.PMPL | riscv.PMPNA4<<riscv.PMPAShift | riscv.PMPR}
	h.CSR.PmpAddr[0] = (Base + 0x22008) >> 2
	h.Refresh()
	c.FlushTLB()
	for i := range 4 {
		m.SetU64(Base+0x22000+uint64(i)*8, 0x0000_0013_0000_0013) // nops
	}
	h.PC, h.CSR.Mcause = Base+0x22000, 0
	m.exit(c.Run(3), cpu.ExitBudget)
	m.want("cause of a fetch that PMP forbids", h.CSR.Mcause, uint64(riscv.InstructionAccessFault))
	m.want("its epc", h.CSR.Mepc, Base+0x22008)
	h.PC, h.CSR.Mcause = Base+0x2200c, 0
	m.exit(c.Run(3), cpu.ExitBudget)
	m.want("cause after the forbidden four bytes", h.CSR.Mcause, 0)
}

// checkSelfModifying: after fence.i the new code runs; that of other pages and
// of blocks that led there as well.
func checkSelfModifying(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	li s0, 0
	li s1, 0
	la a0, patch
	la a1, versions
loop:	slli a2, s0, 2
	add a2, a2, a1
	lw a3, 0(a2)
	sw a3, 0(a0)
	fence.i
	call sub
	addi s0, s0, 1
	li t0, 3
	blt s0, t0, loop
done:	j done
	.balign 4096
sub:	li t0, 2
1:	addi t0, t0, -1
patch:	nop
	bnez t0, 1b
	ret
versions:
	addi s1, s1, 1
	addi s1, s1, 0x10
	addi s1, s1, 0x100
`, Options{})
	m.Finish()
	m.want("sum of the versions", m.Hart().X[9], 0x222)
	// What a device or debugger writes is seen after FlushCode on request.
	h, c := m.Hart(), m.CPUs[0]
	m.SetU64(m.Sym("patch")-4, m.U64(m.Sym("patch")-4)&0xffff_ffff|0x0200_0493<<32) // li s1, 32
	h.RequestFlush(hart.Fence{Code: true})
	h.X[1], h.PC = m.Sym("done"), m.Sym("sub")
	m.exit(c.Run(100), cpu.ExitBudget)
	m.want("s1 after code from outside", h.X[9], 32)
}

// checkAcrossPages: instructions and blocks that run over a page's end, where
// the next page is elsewhere in memory, and is exchanged.
func checkAcrossPages(t TB, newEngine New) {
	m := NewMachine(t, newEngine, "nop\n", Options{})
	const va, first = 0x4000_0000, Base + 0x20000
	second := []uint64{Base + 0x30000, Base + 0x40000}
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	p := m.pageTable()
	p.mapRange(Base, 0x4000, pageRX)
	p.mapPage(va, first, pageRX)
	ram := m.RAM.Bytes()
	put := func(addr uint64, parcels ...uint16) {
		for i, v := range parcels {
			ram[addr-Base+uint64(2*i)], ram[addr-Base+uint64(2*i)+1] = byte(v), byte(v>>8)
		}
	}
	// c.nop; c.nop; addi a1, a1, imm over the edge; ebreak
	put(first+pageSz-6, 0x0001, 0x0001, 0x8593)
	put(second[0], 0x0015, 0x0073, 0x0010) // imm 1
	put(second[1], 0x0645, 0x0073, 0x0010) // imm 100
	p.enter(c, hart.S)
	for n := range 10 {
		p.mapPage(va+pageSz, second[n%2], pageRX)
		c.FlushTLB()
		h.X[11] = 0
		for range 3 {
			h.Priv, h.PC = hart.S, va+pageSz-6
			m.exit(c.Run(4), cpu.ExitBudget)
			m.want("cause", h.CSR.Mcause, uint64(riscv.Breakpoint))
			m.want("epc", h.CSR.Mepc, va+pageSz+2)
		}
		m.want("sum", h.X[11], 3*[]uint64{1, 100}[n%2])
	}
	// The first half may be changed, too.
	put(first+pageSz-2, 0x8613) // addi a2, a1, imm
	h.RequestFlush(hart.Fence{Code: true})
	h.Priv, h.PC = hart.S, va+pageSz-6
	m.exit(c.Run(4), cpu.ExitBudget)
	m.want("a2", h.X[12], h.X[11]+100)
}
