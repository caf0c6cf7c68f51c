package cputest

import (
	"fmt"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// checkPrivilege walks through the modes: calls, delegation, returns.
func checkPrivilege(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la t0, mtrap
	csrw mtvec, t0
	la t0, strap
	csrw stvec, t0
	li t0, -1
	csrw pmpaddr0, t0
	li t0, 0x1f
	csrw pmpcfg0, t0
	li t0, 1<<8		# ecall from U to S
	csrw medeleg, t0
	ecall			# M: s0 += 11; the handler goes to user
user:	ecall			# U: s1 += 8
	ebreak			# M: s0 += 3
	csrr a0, sstatus	# illegal, to M: s0 += 2
	ecall			# U, at stage 1: S goes on
	.balign 4
strap:	csrr t0, scause
	add s1, s1, t0
	csrr t0, sepc
	csrr s3, sstatus
	addi t0, t0, 4
	csrw sepc, t0
	addi s2, s2, 1
	li t0, 2
	beq s2, t0, super
	sret
super:	ecall			# S, to M: s0 += 9
	wfi			# TW: illegal, s0 += 2
done:	j done
	.balign 4
mtrap:	csrr t1, mcause
	add s0, s0, t1
	csrr t1, mepc
	addi t1, t1, 4
	csrr t2, mcause
	li t3, 11
	beq t2, t3, 1f
	csrw mepc, t1
	li t3, 1<<21
	csrs mstatus, t3
	mret
1:	la t1, user
	csrw mepc, t1
	li t3, 3<<11
	csrc mstatus, t3	# MPP = U
	mret
`, Options{})
	m.Finish()
	h := m.Hart()
	m.want("sum of causes to M", h.X[8], 11+3+2+9+2)
	m.want("sum of causes to S", h.X[9], 8+8)
	m.want("SPP after a trap from U", h.X[19]&riscv.MstatusSPP, 0)
	m.want("mode", uint64(h.Priv), uint64(hart.S))
}

// checkIllegal: what must not execute raises illegal instruction with its bits
// in mtval and changes nothing.
func checkIllegal(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	nop
zero:	.half 0
ones:	.word 0xffffffff
	.half 0xffff
	.balign 4
mret:	mret
sret:	sret
wfi:	wfi
sfence:	sfence.vma
sinval:	sinval.vma x0, x0
winv:	sfence.w.inval
csrm:	csrr a0, mstatus
csrs:	csrr a0, sstatus
csrro:	csrw cycle, a0
csrno:	csrr a0, 0x7ff
seed:	csrr a0, seed
satp:	csrr a0, satp
jumbo:	.word 0x0000001f
odd:	.word 0x2800422f | 1<<7 | 1<<20	# amocas.q with odd registers
ebreak:	ebreak
ecall:	ecall
cebreak: .half 0x9002
`, Options{})
	h := m.Hart()
	c := m.CPUs[0]
	h.CSR.Mtvec = Base + 0x3000
	h.CSR.PmpCfg[0], h.CSR.PmpAddr[0] = 0x1f, 1<<54-1
	h.Refresh()
	const all = riscv.IllegalInstruction
	for _, tt := range []struct {
		label   string
		m, s, u riscv.Cause // ^0: no trap
		status  uint64
	}{
		{"zero", all, all, all, 0},
		{"ones", all, all, all, 0},
		{"jumbo", all, all, all, 0},
		{"odd", all, all, all, 0},
		{"mret", none, all, all, 0},
		{"sret", none, none, all, 0},
		{"sret", none, all, all, riscv.MstatusTSR},
		{"wfi", none, none, all, 0},
		{"wfi", none, all, all, riscv.MstatusTW},
		{"sfence", none, none, all, 0},
		{"sfence", none, all, all, riscv.MstatusTVM},
		{"sinval", none, all, all, riscv.MstatusTVM},
		{"winv", none, none, all, riscv.MstatusTVM},
		{"satp", none, none, all, 0},
		{"satp", none, all, all, riscv.MstatusTVM},
		{"csrm", none, all, all, 0},
		{"csrs", none, none, all, 0},
		{"csrro", all, all, all, 0},
		{"csrno", all, all, all, 0},
		{"seed", all, all, all, 0},
		{"ebreak", riscv.Breakpoint, riscv.Breakpoint, riscv.Breakpoint, 0},
		{"cebreak", riscv.Breakpoint, riscv.Breakpoint, riscv.Breakpoint, 0},
		{"ecall", riscv.EnvironmentCallFromM, riscv.EnvironmentCallFromS, riscv.EnvironmentCallFromU, 0},
	} {
		for priv, want := range map[hart.Priv]riscv.Cause{hart.M: tt.m, hart.S: tt.s, hart.U: tt.u} {
			at := m.Sym(tt.label)
			h.CSR.Mstatus = h.CSR.Mstatus&^(riscv.MstatusTSR|riscv.MstatusTW|riscv.MstatusTVM) | tt.status
			h.Priv, h.PC, h.CSR.Mcause, h.CSR.Mtval, h.Halted = priv, at, uint64(none), 0, false
			before := h.X
			c.Run(1)
			what := fmt.Sprintf("%s in %v with status %#x", tt.label, priv, tt.status)
			m.want(what+": cause", h.CSR.Mcause, uint64(want))
			if want == none {
				continue
			}
			m.want(what+": epc", h.CSR.Mepc, at)
			m.want(what+": pc", h.PC, h.CSR.Mtvec)
			if h.X != before {
				t.Errorf("%s: registers have changed", what)
			}
			tval := uint64(0)
			switch want {
			case all:
				tval = m.U64(at) & 0xffff_ffff
				if tval&3 != 3 {
					tval &= 0xffff
				}
			case riscv.Breakpoint:
				tval = at
			}
			m.want(what+": tval", h.CSR.Mtval, tval)
		}
	}
}

const none = ^riscv.Cause(0)

// checkSupervisorCall: with the VMM as the SBI, an ecall from S leaves Run
// with the pc at it, and one from U goes to S.
func checkSupervisorCall(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	li a7, 0x10
call:	ecall
	la t0, strap
	csrw stvec, t0
	la t0, user
	csrw sepc, t0
	sret
user:	ecall
	.balign 4
strap:	csrr s1, scause
done:	j done
`, Options{Supervisor: true})
	h, c := m.Hart(), m.CPUs[0]
	for range 2 { // a Run without an answer asks again
		m.exit(c.Run(1000), cpu.ExitCall)
		m.want("pc", h.PC, m.Sym("call"))
		m.want("a7", h.X[17], 0x10)
		m.want("mode", uint64(h.Priv), uint64(hart.S))
	}
	h.PC += 4
	m.Finish()
	m.want("scause", h.X[9], uint64(riscv.EnvironmentCallFromU))
}

// checkCounters: instret is exact where instructions read it, and across
// traps, which do not count.
func checkCounters(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la t0, trap
	csrw mtvec, t0		# 3 instructions so far
	csrr a0, minstret	# reads 3
	nop
	beqz x0, 1f
	nop
1:	csrr a1, minstret	# reads 6
	ecall			# not counted; the handler's 4 are
	csrr a2, minstret	# reads 11
	li t0, 1000
	csrw minstret, t0
	csrr a3, minstret	# reads 1000
	csrr a4, mcycle
	csrr a5, mcycle
done:	j done
	.balign 4
trap:	csrr t1, mepc
	addi t1, t1, 4
	csrw mepc, t1
	mret
`, Options{})
	h := m.Hart()
	m.Finish()
	for i, want := range []uint64{3, 6, 11, 1000} {
		m.want(fmt.Sprintf("a%d", i), h.X[10+i], want)
	}
	m.want("cycles between two reads", h.X[15]-h.X[14], 1)
	before := m.CPUs[0].Instructions()
	m.exit(m.CPUs[0].Run(12345), cpu.ExitBudget)
	m.want("instructions run", m.CPUs[0].Instructions()-before, 12345)

	// A counter that leaves out M-mode counts what ran in U-mode up to a trap,
	// of whatever kind, and nothing else.
	for label, want := range map[string]uint64{"fetch": 6, "load": 4, "call": 2} {
		m := NewMachine(t, newEngine, `
fetch:	nop
	nop
load:	nop
	nop
call:	nop
	nop
	.word 0
	.balign 4
trap:	nop
spin:	j spin
`, Options{})
		h := m.Hart()
		h.CSR.PmpCfg[0], h.CSR.PmpAddr[0] = 0x1f, 1<<54-1
		h.CSR.Mtvec = m.Sym("trap")
		h.WriteCSR(uint16(riscv.CSRMhpmevent3), hart.EventInstructions|riscv.MhpmeventMINH)
		h.Refresh()
		h.Priv, h.PC = hart.U, m.Sym(label)
		at := m.Sym("call") + 8 // what traps there
		switch label {
		case "fetch":
			copy(m.RAM.Bytes()[at-Base-4:], []byte{0x67, 0x80, 0x05, 0x00}) // jr a1, to 0
		case "load":
			copy(m.RAM.Bytes()[at-Base:], []byte{0x83, 0xb5, 0x05, 0x00}) // ld a1, 0(a1)
			h.X[11] = Base + m.RAM.Size - 4                               // into what is no memory
		case "call":
			copy(m.RAM.Bytes()[at-Base:], []byte{0x73, 0, 0, 0})
		}
		m.exit(m.CPUs[0].Run(100), cpu.ExitBudget)
		got, _ := h.ReadCSR(uint16(riscv.CSRMhpmcounter3))
		m.want("instructions of U-mode before a trap by "+label, got, want)
	}
}
