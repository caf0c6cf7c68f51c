# Changes of mode: mret, sret, the stack of privilege bits, TVM, TSR, TW (priv §3.1.6, §3.3.2).
	li t0, 0x1888			# MPP, MPIE, MIE
	csrc mstatus, t0
	li t0, 0x1880
	csrs mstatus, t0		# MPP=M MPIE=1 MIE=0
	lla t0, 1f
	csrw mepc, t0
	mret
1:	csrr a0, mstatus
	li t0, 0x1888
	and a0, a0, t0
	check a0, 0x88			# MIE takes MPIE, MPIE is 1, MPP is U
	csrci mstatus, 8
# mret to less than M clears MPRV, to M does not.
	li t0, 1 << 17
	csrs mstatus, t0
	enter 3
	csrr a0, mstatus
	srli a0, a0, 17
	andi a0, a0, 1
	check a0, 1
	enter 0
	back
	csrr a0, mstatus
	srli a0, a0, 17
	andi a0, a0, 1
	check a0, 0
# A trap notes the mode and the interrupt enable.
	csrsi mstatus, 8
	lla t0, 2f
	csrw mtvec, t0
	ebreak
	.align 2
2:	csrr a0, mstatus
	li t0, 0x1888
	and a0, a0, t0
	check a0, 0x1880
	lla t0, mtrap
	csrw mtvec, t0
	csrci mstatus, 8
# mret and sret below their mode.
	enter 1
	expect
	mret
	trapcause 2
	enter 0
	expect
	mret
	trapcause 2
	enter 0
	expect
	sret
	trapcause 2
# sret in S-mode: to U, SPIE to SIE.
	li t0, 0x122
	csrc mstatus, t0
	li t0, 0x20			# SPIE
	csrs mstatus, t0
	enter 1
	lla t0, 3f
	csrw sepc, t0
	sret
3:	expect				# in U-mode now
	csrr a0, sstatus
	trapcause 2
	csrr a0, sstatus
	li t0, 0x122
	and a0, a0, t0
	check a0, 0x22
# sret in M-mode is allowed, and TSR does not concern it.
	li t0, 0x122
	csrc mstatus, t0
	li t0, 1 << 22 | 1 << 8		# TSR, SPP=S
	csrs mstatus, t0
	lla t0, 4f
	csrw sepc, t0
	sret
4:	csrw sscratch, zero		# S-mode
	expect
	sret				# TSR
	trapcause 2
	li t0, 1 << 22
	csrc mstatus, t0
# TVM: satp and the fences trap in S-mode.
	li t0, 1 << 20
	csrs mstatus, t0
	enter 1
	expect
	csrr a0, satp
	trapcause 2
	enter 1
	expect
	csrw satp, zero
	trapcause 2
	enter 1
	expect
	sfence.vma
	trapcause 2
	enter 1
	expect
	sinval.vma zero, zero
	trapcause 2
	enter 1
	sfence.w.inval			# these two do not
	sfence.inval.ir
	back
	li t0, 1 << 20
	csrc mstatus, t0
	enter 1
	csrr a0, satp
	sfence.vma
	sfence.vma a0, a0
	sfence.w.inval
	sinval.vma a0, zero
	sfence.inval.ir
	back
	enter 0
	expect
	sfence.vma
	trapcause 2
	enter 0
	expect
	sinval.vma a0, a0
	trapcause 2
	enter 0
	expect
	sfence.w.inval
	trapcause 2
	enter 0
	expect
	sfence.inval.ir
	trapcause 2
# TW: wfi in S-mode that does not end soon traps; in M-mode it never does.
	li t0, 1 << 21
	csrs mstatus, t0
	enter 1
	expect
	wfi
	trapcause 2
	li t0, 1 << 21
	csrc mstatus, t0
	csrw mideleg, zero
	csrci mstatus, 8
	li t0, 2
	csrw mie, t0
	csrw mip, t0			# SSIP is pending and enabled: wfi goes on, MIE does not matter
	wfi
	csrw mip, zero
	csrw mie, zero
# misa and the widths of S and U: 64 bits.
	csrr a0, mstatus
	srli a0, a0, 32
	andi a0, a0, 15
	check a0, 10
