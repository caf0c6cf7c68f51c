# Entry, trap entry and user program of virtual.c.
	.section .text.init
	.globl	_start
_start:
	csrr	t0, mhartid
1:	bnez	t0, 1b
	la	sp, stack_top
	la	t0, mtrap
	csrw	mtvec, t0
	j	machine_start
	.align	2
mtrap:	csrr	a0, mcause		# nothing is to come here
	csrr	a1, mepc
	j	machine_trap

# Supervisor traps: a frame of x1 to x31 and sepc on the kernel's stack.
	.globl	strap
	.align	2
strap:	csrrw	sp, sscratch, sp
	addi	sp, sp, -272
	.irp	n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\n, 8*\n(sp)
	.endr
	csrr	t0, sscratch
	sd	t0, 16(sp)
	csrr	t0, sepc
	sd	t0, 0(sp)
	mv	a0, sp
	call	supervisor_trap
	.globl	resume
resume:	ld	t0, 0(sp)
	csrw	sepc, t0
	addi	t1, sp, 272
	csrw	sscratch, t1
	.irp	n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld	x\n, 8*\n(sp)
	.endr
	ld	sp, 16(sp)
	sret

# The user program lies at address 0 of its own space. It touches pages that
# are not there yet, changes code and runs it, and ends by a call.
	.section .user, "ax"
	.align	12
	.globl	user_start, user_end
user_start:
	li	s0, 0x10000
	li	s1, 16			# pages
	li	s2, 0
1:	sd	s2, 0(s0)
	sd	s2, 2047(s0)
	li	t0, 4092
	add	t0, t0, s0
	beqz	s2, 2f
	sw	s2, 2(t0)		# across into the next page
2:	addi	s2, s2, 1
	li	t0, 4096
	add	s0, s0, t0
	bne	s2, s1, 1b
	li	s0, 0x10000
	li	s2, 0
	li	a0, 0
3:	ld	t1, 2047(s0)
	add	a0, a0, t1
	li	t0, 4096
	add	s0, s0, t0
	addi	s2, s2, 1
	bne	s2, s1, 3b
	li	t0, 120			# 0 + ... + 15
	bne	a0, t0, bad
	# Code that the program writes.
	li	s0, 0x40000
	li	t0, 0x00750513		# addi a0, a0, 7
	sw	t0, 0(s0)
	li	t0, 0x00008067		# ret
	sw	t0, 4(s0)
	fence.i
	li	a0, 35
	jalr	s0
	li	t0, 42
	bne	a0, t0, bad
	li	t0, 0x00850513		# addi a0, a0, 8
	sw	t0, 0(s0)
	fence.i
	li	a0, 34
	jalr	s0
	li	t0, 42
	bne	a0, t0, bad
	li	a0, 1
	ecall
bad:	li	a0, 7			# test 3 failed
	ecall
user_end:

	.pushsection .tohost, "aw", @progbits
	.align	6
	.globl	tohost
tohost:	.dword	0
	.align	6
	.globl	fromhost
fromhost: .dword 0
	.popsection

	.bss
	.align	12
	.skip	16384
stack_top:
	.align	12
	.skip	16384
	.globl	kernel_stack_top
kernel_stack_top:
