# What every program starts with. Registers that belong to it: s8 to s11, tp
# and gp (t5 within macros).

.equ finisher, 0x100000
.equ finisher_pass, 0x5555
.equ finisher_fail, 0x3333

# check: reg must hold value.
.macro check reg, value
	li t5, \value
	beq \reg, t5, 9f
	mv t4, \reg
	jal gp, fail
9:
.endm

# expect: the next instruction traps. It may end in another privilege mode;
# after "trapped" the program is in M-mode.
.macro expect
	lla tp, 8f
.endm

# trapped: it did, with this cause and value.
.macro trapped cause, tval
	li t5, 0
	li t4, 0
	jal gp, fail
8:
	check s8, \cause
	check s9, \tval
.endm

# trapcause: it did, with this cause; any value.
.macro trapcause cause
	li t5, 0
	li t4, 0
	jal gp, fail
8:
	check s8, \cause
.endm

# enter: goes to U (0), S (1) or M (3) mode, with the rest of mstatus kept.
.macro enter mode
	li t5, 0x1800
	csrc mstatus, t5
	li t5, \mode << 11
	csrs mstatus, t5
	lla t5, 9f
	csrw mepc, t5
	mret
9:
.endm

# back: returns to M-mode from anywhere, by a call to the handler.
.macro back
	lla tp, 8f
	li a7, 1
	ecall
8:
.endm

start:
	lla s11, scratch
	j begin

# pass and fail end the run. fail is called with gp as link, the value wanted
# in t5 and the one found in t4.
	.align 3
pass:
	lla t0, tohost
	li t1, 1
	sd t1, (t0)
	li t0, finisher
	li t1, finisher_pass
	sw t1, (t0)
1:	j 1b
fail:
	lla t0, failure
	sd gp, 0(t0)
	sd t5, 8(t0)
	sd t4, 16(t0)
	lla t0, tohost
	li t1, 3			# test 1 failed
	sd t1, (t0)
	li t0, finisher
	li t1, finisher_fail | 1 << 16
	sw t1, (t0)
1:	j 1b

# mtrap: notes cause, value and pc, and goes on at tp in M-mode with interrupts off.
	.align 2
mtrap:
	csrr s8, mcause
	csrr s9, mtval
	csrr s10, mepc
	csrw mepc, tp
	li t5, 0x1800
	csrs mstatus, t5
	li t5, 0x80
	csrc mstatus, t5
	mret
# strap: the same for traps that are delegated; it stays in S-mode.
	.align 2
strap:
	csrr s8, scause
	csrr s9, stval
	csrr s10, sepc
	csrw sepc, tp
	li t5, 0x100
	csrs sstatus, t5
	li t5, 0x20
	csrc sstatus, t5
	sret

	.align 6
tohost:
	.dword 0
	.align 6
fromhost:
	.dword 0
failure:
	.dword 0, 0, 0
	.align 6
scratch:
	.skip 128

# machine: traps, all memory open to every mode, floating point on.
machine:
	lla t0, mtrap
	csrw mtvec, t0
	lla t0, strap
	csrw stvec, t0
	li t0, -1
	csrw pmpaddr0, t0
	csrwi pmpcfg0, 0x1f
	li t0, 0xf0			# cbo.* for all
	csrw menvcfg, t0
	csrw senvcfg, t0
	csrwi mcounteren, 7
	li t0, 0x6000			# FS
	csrs mstatus, t0
	ret
begin:
