# Event counters and their overflow (Zihpm, Sscofpmf), and Smstateen.
	.equ OF, 1 << 63
	.equ MINH, 1 << 62
	.equ SINH, 1 << 61
	.equ UINH, 1 << 60
	.equ instructions, 2
	csrw mcountinhibit, zero
	li t0, instructions
	csrw mhpmevent3, t0
	csrw mhpmcounter3, zero
	nop
	nop
	csrr a0, mhpmcounter3
	nop
	nop
	nop
	csrr a1, mhpmcounter3
	sub a1, a1, a0
	check a1, 4
	csrwi mcountinhibit, 8
	csrr a0, mhpmcounter3
	nop
	csrr a1, mhpmcounter3
	sub a1, a1, a0
	check a1, 0
	csrw mcountinhibit, zero
# Held in M-mode, counting in S-mode.
	li t0, instructions | MINH
	csrw mhpmevent3, t0
	csrr a0, mhpmcounter3
	nop
	csrr a1, mhpmcounter3
	sub a1, a1, a0
	check a1, 0
	enter 1
	nop
	nop
	back
	csrr a1, mhpmcounter3
	sub a1, a1, a0
	bnez a1, 1f
	jal gp, fail
1:
# An overflow sets OF and, the first time, pends the interrupt.
	li t0, 1 << 13
	csrc mip, t0
	li t0, -2
	csrw mhpmcounter3, t0
	li t0, instructions
	csrw mhpmevent3, t0
	nop
	nop
	nop
	csrr a0, mhpmcounter3		# it wrapped
	sltiu a0, a0, 100
	check a0, 1
	csrr a0, mhpmevent3
	srli a0, a0, 63
	check a0, 1
	csrr a0, mip
	srli a0, a0, 13
	andi a0, a0, 1
	check a0, 1
	csrr a0, scountovf
	check a0, 8
	csrw mcounteren, zero
	enter 1
	csrr a0, scountovf		# what S-mode may not read does not show
	back
	check a0, 0
	csrwi mcounteren, 15
	enter 1
	csrr a0, scountovf
	back
	check a0, 8
	enter 0
	expect
	csrr a0, scountovf
	trapcause 2
# Delegated, it is S-mode's to enable, take and clear.
	li t0, 1 << 13
	csrw mideleg, t0
	csrr a0, mideleg
	srli a0, a0, 13
	check a0, 1
	csrw mie, zero
	enter 1
	li a1, 1 << 13
	csrs sie, a1
	csrr a0, sie
	srli a0, a0, 13
	expect
	csrsi sstatus, 2
	nop
	trapcause 1 << 63 | 13
	csrc sip, a1
	csrr a2, sip
	back
	check a0, 1
	srli a2, a2, 13
	andi a2, a2, 1
	check a2, 0
	csrw mie, zero
	csrw mideleg, zero
	csrw mhpmevent3, zero
# Counters that count nothing hold what was written.
	li t0, 77
	csrw mhpmcounter4, t0
	nop
	csrr a0, mhpmcounter4
	check a0, 77
	csrr a0, hpmcounter4
	check a0, 77
	li t0, 0xff
	csrw mcounteren, t0
	csrw scounteren, zero
	enter 0
	expect
	csrr a0, hpmcounter4
	trapcause 2
	li t0, 16
	csrw scounteren, t0
	enter 0
	csrr a0, hpmcounter4
	back
	check a0, 77
# Smstateen: what M-mode gives to those below.
	csrw mstateen0, zero
	enter 1
	expect
	csrr a0, senvcfg
	trapcause 2
	enter 1
	expect
	csrr a0, sstateen0
	trapcause 2
	csrr a0, senvcfg		# M-mode itself is not concerned
	li t0, 1 << 62
	csrw mstateen0, t0
	enter 1
	csrr a0, senvcfg
	expect
	csrr a0, sstateen0
	trapcause 2
	li t0, 3 << 62
	csrw mstateen0, t0
	enter 1
	csrr a0, sstateen0
	expect
	csrr a0, sstateen1
	trapcause 2
	li t0, 1 << 63
	csrw mstateen1, t0
	enter 1
	csrr a0, sstateen1
	back
	enter 0
	expect
	csrr a0, sstateen0
	trapcause 2
