# Delegation of exceptions and interrupts (priv §3.1.8, §4.1.3).
	li t0, 0xb1ff
	csrw medeleg, t0
	csrr a0, medeleg
	check a0, 0xb1ff
	enter 0
	expect
	ebreak				# to S-mode
	trapcause 3
	csrr a1, sscratch		# strap went on in S-mode
	expect
	csrr a1, mscratch
	trapped 2, 0x340025f3
	# That came from S and went to S as well: sstatus is ours. Back to M by a call that is not delegated.
	li t0, 0x122
	csrr a0, sstatus
	back				# ecall from S is not in medeleg
	check s8, 9
# A trap in M-mode is never delegated.
	expect
	ebreak
	trapcause 3
	csrr a0, mcause
	check a0, 3
# What S-mode sees of a trap from U.
	lla t0, 1f
	csrw stvec, t0
	enter 0
target:	ecall
	jal gp, fail
	.align 2
1:	csrr a0, scause
	check a0, 8
	csrr a0, sstatus
	andi a0, a0, 0x100
	check a0, 0			# SPP=U
	csrr a0, sepc
	lla a1, target
	sub a0, a0, a1
	check a0, 0
	csrr a0, stval
	check a0, 0
	back
	lla t0, strap
	csrw stvec, t0
	csrw medeleg, zero
# Software interrupt delegated to S-mode: taken in U and, with SIE, in S.
	li t0, 2
	csrw mideleg, t0
	csrw mie, t0
	csrw mip, t0
	csrr a0, mip
	andi a0, a0, 2
	check a0, 2
	csrsi mstatus, 8		# in M-mode a delegated interrupt is not taken
	nop
	csrci mstatus, 8
	li s8, 0
	csrci sstatus, 2
	enter 1
	nop				# SIE is clear: not taken
	mv a0, s8
	expect
	csrsi sstatus, 2		# taken before the next instruction
	trapcause 1 << 63 | 1
	check a0, 0
	csrw sip, zero			# S-mode may clear SSIP
	csrr a0, sip
	check a0, 0
	back
	csrw mideleg, zero
	csrw mie, zero
