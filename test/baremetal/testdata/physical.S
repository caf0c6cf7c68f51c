# A program as instruction test suites have them: machine mode from the start
# of RAM, a trap vector, PMP opened where it is there, the test in user mode,
# a call that ends it through tohost. FAIL makes test 5 fail.
	.section .text.init
	.globl _start
_start:
	j	reset_vector
	.align	2
trap_vector:
	csrr	t5, mcause
	li	t6, 8			# from U-mode
	beq	t5, t6, write_tohost
	li	t6, 9
	beq	t5, t6, write_tohost
	li	t6, 11
	beq	t5, t6, write_tohost
	bltz	t5, 1f
	ori	gp, gp, 1337
1:
write_tohost:
	sw	gp, tohost, t5
	sw	zero, tohost + 4, t5
	j	write_tohost
reset_vector:
	li	x1, 0
	li	x2, 0
	li	x3, 0
	csrr	a0, mhartid
1:	bnez	a0, 1b
	la	t0, 1f			# a hart without PMP or delegation traps: go on there
	csrw	mtvec, t0
	csrwi	satp, 0
	.align	2
1:	la	t0, 1f
	csrw	mtvec, t0
	li	t0, (1 << 53) - 1
	csrw	pmpaddr0, t0
	li	t0, 0x1f
	csrw	pmpcfg0, t0
	.align	2
1:	csrwi	mie, 0
	la	t0, 1f
	csrw	mtvec, t0
	csrwi	medeleg, 0
	csrwi	mideleg, 0
	.align	2
1:	la	t0, trap_vector
	csrw	mtvec, t0
	li	t0, 0x6000
	csrs	mstatus, t0
	csrwi	fcsr, 0
	csrwi	mstatus, 0
	li	t0, 0x6000
	csrs	mstatus, t0
	la	t0, 1f
	csrw	mepc, t0
	mret
1:
	li	gp, 2
	li	a0, 20
	li	a1, 22
	add	a2, a0, a1
	li	t0, 42
	bne	a2, t0, fail
	li	gp, 3
	la	t1, data
	ld	a0, 0(t1)
	ld	t0, 8(t1)
	amoadd.d a2, a0, (t1)
	bne	a2, a0, fail
	ld	a2, 0(t1)
	bne	a2, t0, fail
	li	gp, 4
	fld	fa0, 16(t1)
	fmul.d	fa0, fa0, fa0
	fld	fa1, 24(t1)
	feq.d	a0, fa0, fa1
	beqz	a0, fail
#ifdef FAIL
	li	gp, 5
	j	fail
#endif
	fence
	li	gp, 1
	li	a7, 93
	li	a0, 0
	ecall
fail:
	fence
	beqz	gp, fail
	sll	gp, gp, 1
	ori	gp, gp, 1
	li	a7, 93
	mv	a0, gp
	ecall

	.data
	.align	3
data:	.dword	21, 42
	.double	1.5, 2.25

	.pushsection .tohost, "aw", @progbits
	.align	6
	.globl	tohost
tohost:	.dword	0
	.align	6
	.globl	fromhost
fromhost: .dword 0
	.popsection
