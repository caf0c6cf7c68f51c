# Exceptions: cause, value, pc and the privilege they come from (priv §3.1.15, §3.1.16, §3.3.1).
	expect
here:	ebreak
	lla t0, here
	trapped 3, 0x80000000 + here - start
	lla t0, here
	check s10, 0x80000000 + here - start
	expect
	.word 0xffffffff		# Sstvala: an illegal instruction is the value
	trapped 2, 0xffffffff
	expect
	.half 0				# defined illegal, 16 bits
	.half 0x1234
	trapped 2, 0
	expect
	ecall
	trapped 11, 0
	enter 1
	expect
	ecall
	trapped 9, 0
	enter 0
	expect
	ecall
	trapped 8, 0
	enter 0
	expect
	ebreak
	trapcause 3
# Nothing is there: access faults.
	li a0, 0x40000000
	expect
	ld a1, 8(a0)
	trapped 5, 0x40000008
	expect
	sw a1, 4(a0)
	trapped 7, 0x40000004
	expect
	amoadd.w a1, a1, (a0)
	trapped 7, 0x40000000
	expect
	lr.w a1, (a0)
	trapped 5, 0x40000000
	expect
	sc.w a1, a1, (a0)
	trapcause 7
	expect
	jr a0
	trapped 1, 0x40000000
	check s10, 0x40000000
# A load that faults leaves its destination alone.
	li a0, 0x40000000
	li a1, 77
	expect
	ld a1, 0(a0)
	trapcause 5
	check a1, 77
# Atomics want natural alignment (Zalrsc, Zaamo: no misaligned ones here).
	addi a0, s11, 2
	expect
	lr.w a1, (a0)
	trapcause 4
	check s9, 0x80000000 + scratch + 2 - start
	expect
	amoadd.w a1, a1, (a0)
	trapcause 6
	addi a0, s11, 4
	expect
	amoadd.d a1, a1, (a0)
	trapcause 6
	expect
	sc.d a1, a1, (a0)
	trapcause 6
# 32-bit instructions at any 16-bit boundary.
	.option rvc
	c.nop
	.option norvc
	addi a0, zero, 5
	.option rvc
	c.nop
	.option norvc
	check a0, 5
