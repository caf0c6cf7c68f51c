//go:build linux && (amd64 || arm64)

package jit

import (
	"encoding/binary"
	"fmt"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// sharing is a block of accesses off two bases, of which a0's are in the middle
// of others, and an instruction behind them.
const sharing = `
block:	ld t0, 0(s2)
	addi t1, t1, 1
	sd t0, 8(a0)
	ld t2, 24(s2)
	mulhu t3, t0, t2
	lw t4, 4(a0)
	sd t1, 16(a0)
	sb t4, -1(a0)
	addi a0, a0, 8
	ld a1, 24(a0)
	fld fa0, -8(a0)
	fsd fa0, 16(a0)
	addi t5, t5, 1
loop:	j loop
`

// groupSpan is how many bytes a0's accesses are in.
const groupSpan = 41

// newSharing makes machines in which the block is translated, and where it
// works when a0 and s2 are at good.
func newSharing(t *testing.T, o Options, ram uint64, good uint64) *pair {
	t.Helper()
	p := newPair(t, o, sharing, cputest.Options{RAM: ram})
	for round := range 100 {
		for _, m := range p.both() {
			prepare(m.Hart(), good, good)
		}
		p.together(t, 15, "good round %d", round)
	}
	return p
}

func prepare(h *hart.Hart, a0, s2 uint64) {
	h.PC, h.X[10], h.X[18] = cputest.Base, a0, s2
	h.CSR.Mstatus |= uint64(riscv.MstatusFS)
	h.CSR.Mtvec = cputest.Base + 13*4 // the loop; all instructions have 4 bytes
}

// TestSharedAtEnds: accesses that share a check are what they are by themselves
// wherever RAM ends among them: where it begins, at its end, and with budgets
// that end in their middle.
func TestSharedAtEnds(t *testing.T) {
	const ram = 1 << 17
	const end, good = cputest.Base + ram, cputest.Base + 0x4100
	mmio, shared := 0, uint64(0)
	for by := uint64(0); by < groupSpan+8; by++ {
		p := newSharing(t, Options{Threshold: -1}, ram, good) // whose blocks are not made again yet
		for _, budget := range []uint64{1, 5, 8, 13, 15, 40} {
			for _, at := range []uint64{end - by, good&^(memory.PageSize-1) - by} {
				for i, s2 := range []uint64{good, end - by} {
					what := fmt.Sprintf("a0 %#x, s2 %#x, budget %d", at, s2, budget)
					var exits [2]cpu.Exit
					for i, m := range p.both() {
						prepare(m.Hart(), at, s2)
						exits[i] = m.CPUs[0].Run(budget)
						for e := exits[i]; e.Reason == cpu.ExitMMIO; e = m.CPUs[0].Run(budget) {
							m.CPUs[0].CompleteMMIO(0x1234_5678, budget > 30)
							mmio++
						}
					}
					if exits[0].Reason != exits[1].Reason || exits[0].MMIO != exits[1].MMIO {
						t.Fatalf("%s (%d): %v %+v, want %v %+v", what, i, exits[1].Reason, exits[1].MMIO, exits[0].Reason, exits[0].MMIO)
					}
					p.compare(t, "%s", what)
				}
			}
		}
		shared += p.v.Stats().Shared
	}
	if mmio < 100 || hasShared && shared < 100 {
		t.Errorf("%d MMIO exits, %d checks that failed: this test shows nothing", mmio, shared)
	}
}

// TestSharedProtected: the same with pages that PMP forbids to read or to write,
// at the ends of which the accesses lie. M-mode's accesses are U-mode's by MPRV.
func TestSharedProtected(t *testing.T) {
	const ram = 1 << 17
	const good, border = cputest.Base + 0x4100, cputest.Base + 0x8000
	traps, shared := 0, uint64(0)
	for _, perm := range []uint8{riscv.PMPR, 0, riscv.PMPR | riscv.PMPW} {
		p := newSharing(t, Options{Threshold: -1}, ram, good)
		for by := uint64(0); by < groupSpan+8; by++ {
			for _, which := range []uint64{border - by, border + memory.PageSize - by} {
				what := fmt.Sprintf("permission %d, a0 %#x", perm, which)
				for _, m := range p.both() {
					h := m.Hart()
					prepare(h, which, good)
					h.CSR.PmpAddr[0] = border>>2 | (memory.PageSize/8 - 1) // NAPOT
					h.CSR.PmpAddr[1] = ^uint64(0) >> 10
					h.CSR.PmpCfg[0], h.CSR.PmpCfg[1] = riscv.PMPNAPOT<<riscv.PMPAShift|perm, riscv.PMPNAPOT<<riscv.PMPAShift|riscv.PMPR|riscv.PMPW|riscv.PMPX
					h.CSR.Mstatus |= riscv.MstatusMPRV
					h.CSR.Mstatus &^= riscv.MstatusMPP
					h.CSR.Mcause = 0
					m.CPUs[0].FlushTLB()
					for range 3 {
						h.PC, h.X[10] = cputest.Base, which
						if e := m.CPUs[0].Run(15); e.Reason != cpu.ExitBudget {
							t.Fatal(what, e)
						}
						h.CSR.Mstatus |= riscv.MstatusMPRV
						h.CSR.Mstatus &^= riscv.MstatusMPP
					}
					if h.CSR.Mcause != 0 {
						traps++
					}
				}
				p.compare(t, "%s", what)
			}
		}
		shared += p.v.Stats().Shared
	}
	if traps < 50 || hasShared && shared < 50 {
		t.Errorf("%d traps, %d checks that failed: this test shows nothing", traps, shared)
	}
}

// TestSharedCode: stores that share a check into a page of code are seen.
func TestSharedCode(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, `
	li s2, 0
1:	addi s2, s2, 1
	la a0, patched
	ld a1, 0(a0)
	ld a2, 8(a0)
	andi t0, s2, 1
	slli t0, t0, 20		# addi a3, x0, 0 or 1
	la t1, template
	lwu t2, 0(t1)
	or t2, t2, t0
	sw t2, 4(a0)
	sd a2, 8(a0)
	fence.i
	call patched
	andi t0, s2, 1
	beq a3, t0, 1b
	ebreak
template: addi a3, x0, 0
	.balign 4096
patched: nop
	addi a3, x0, 0
	nop
	ret
`, cputest.Options{})
	run(t, v, 200_000)
	if h := m.Hart(); h.X[18] < 5000 || h.CSR.Mcause == uint64(riscv.Breakpoint) {
		t.Errorf("%d rounds, cause %d, a3 %d", h.X[18], h.CSR.Mcause, h.X[13])
	}
}

// TestSeparate: a block whose accesses lie in two pages again and again is made
// anew, and does what it did.
func TestSeparate(t *testing.T) {
	if !hasShared {
		t.Skip("this host's blocks share no checks")
	}
	m, v := machineOf(t, Options{Samples: -1}, `
	la s0, data
	li a1, 0
1:	addi a1, a1, 1
	ld a2, -8(s0)
	add a2, a2, a1
	sd a2, -8(s0)
	ld a3, 0(s0)
	add a3, a3, a2
	sd a3, 0(s0)
	j 1b
	.balign 4096
data:	nop
	nop
`, cputest.Options{})
	m.SetU64(m.Sym("data"), 0)
	m.SetU64(m.Sym("data")-8, 0)
	const rounds = 10_000
	run(t, v, 3+8*rounds)
	var a, b uint64
	for i := uint64(1); i <= rounds; i++ {
		a += i
		b += a
	}
	data := m.RAM.Bytes()[m.Sym("data")-8-cputest.Base:]
	if x, y := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:]); x != a || y != b {
		t.Errorf("%d and %d, want %d and %d", x, y, a, b)
	}
	if s := v.Stats(); s.Separated != 1 || s.Shared < maxCrosses || s.Shared > 2*maxCrosses {
		t.Errorf("%v: %d blocks made again", s, s.Separated)
	}
}
