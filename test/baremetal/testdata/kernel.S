# A supervisor-mode kernel on the SBI: prints by the debug console, looks at
# what it was given and shuts down. FAIL asks for the shutdown as a failure.
	.section .text.init
	.globl	_start
_start:
	mv	s0, a0
	mv	s1, a1
	la	sp, _end
	li	t0, 4096
	add	sp, sp, t0
	li	a7, 0x10		# base: specification version
	li	a6, 0
	ecall
	bnez	a0, bad
	srli	a1, a1, 24
	li	t0, 2
	bltu	a1, t0, bad
	lwu	t0, 0(s1)		# the device tree's magic number
	li	t1, 0xedfe0dd0
	bne	t0, t1, bad
	bnez	s0, bad
	la	a1, text
	li	a0, 14
	li	a2, 0
	li	a7, 0x4442434e		# debug console: write
	li	a6, 0
	ecall
	bnez	a0, bad
	li	a0, 0			# shutdown
#ifdef FAIL
	li	a1, 1			# system failure
#else
	li	a1, 0
#endif
	li	a7, 0x53525354
	li	a6, 0
	ecall
bad:	li	t0, 0x100000
	li	t1, 0x73333		# finisher: fail with 7
	sw	t1, 0(t0)
	j	bad
	.data
text:	.ascii	"kernel speaks\n"
