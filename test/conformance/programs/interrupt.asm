# Interrupts in M-mode: pending, enable, priority, vectors (priv §3.1.9, §3.1.7).
	csrw mideleg, zero
	csrw mie, zero
	li t0, 0x222			# SSIP STIP SEIP
	csrw mip, t0
	csrr a0, mip
	li t0, 0x222
	and a0, a0, t0
	check a0, 0x222
	li s8, 0
	csrsi mstatus, 8		# nothing is enabled
	nop
	check s8, 0
	expect
	li t0, 0x222
	csrw mie, t0			# external before software before timer
	nop
	trapped 1 << 63 | 9, 0
	csrr a0, mstatus
	andi a0, a0, 0x88
	# mtrap went back with mret: MIE is on again and the next one came; by now s10 says where.
	csrw mie, zero
	csrci mstatus, 8
	li t0, 1 << 9
	csrc mip, t0
	expect
	li t0, 0x222
	csrw mie, t0
	csrsi mstatus, 8
	nop
	trapcause 1 << 63 | 1
	csrw mie, zero
	csrci mstatus, 8
	csrci mip, 2
	expect
	li t0, 0x222
	csrw mie, t0
	csrsi mstatus, 8
	nop
	trapcause 1 << 63 | 5
	csrw mie, zero
	csrci mstatus, 8
# Interrupts for M are taken in lower modes whatever MIE says.
	li t0, 0x222
	csrw mie, t0
	lla tp, 8f
	li t5, 0x1800
	csrc mstatus, t5
	lla t5, below
	csrw mepc, t5
	mret
below:	nop
	jal gp, fail
8:	csrw mie, zero
	check s8, 1 << 63 | 5
	lla t0, below
	sub a0, s10, t0
	check a0, 0
# Vectored: interrupt n at base + 4n, exceptions at base.
	csrw mip, zero
	lla t0, vectors + 1
	csrw mtvec, t0
	ebreak
ebroken:
	check a0, 100
	li t0, 2
	csrw mip, t0
	csrw mie, t0
	csrsi mstatus, 8
	nop
	jal gp, fail
vectored:
	check a0, 101
	csrw mie, zero
	csrw mip, zero
	lla t0, mtrap
	csrw mtvec, t0
	j 9f
	.align 6
vectors:
	j 1f
	j 2f
	j 3f
	j 3f
	j 3f
	j 3f
	j 3f
	j 3f
	j 3f
	j 3f
	j 3f
	j 3f
1:	li a0, 100
	lla t0, ebroken
	jr t0
2:	li a0, 101
	lla t0, vectored
	jr t0
3:	jal gp, fail
9:
