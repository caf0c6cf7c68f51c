# A supervisor-mode kernel with the VMM as its firmware: what it sees and what it must not.
	csrr a0, sstatus
	andi a0, a0, 2
	check a0, 0			# sbi §9.1: interrupts are off, satp is bare
	csrr a0, satp
	check a0, 0
	expect
	ebreak
	trapcause 3
	expect
	csrr a0, mstatus
	trapcause 2
	expect
	mret
	trapcause 2
	expect
	.word 0
	trapped 2, 0
	li a0, 0x40000000
	expect
	ld a1, (a0)
	trapped 5, 0x40000000
	csrr a0, time
1:	csrr a1, time
	beq a0, a1, 1b
	csrr a0, cycle
	csrr a0, instret
	li a0, -1
	csrw stimecmp, a0
	# To U-mode and back by a call.
	lla t0, 2f
	csrw sepc, t0
	li t0, 0x100
	csrc sstatus, t0
	expect
	sret
2:	ecall
	trapped 8, 0
	# Its own software interrupt.
	expect
	csrsi sie, 2
	csrsi sip, 2
	csrsi sstatus, 2
	nop
	trapcause 1 << 63 | 1
	csrci sip, 2
	csrw sie, zero
	# Cache blocks and the timer are its to give.
	sd s11, (s11)
	cbo.zero (s11)
	ld a0, (s11)
	check a0, 0
