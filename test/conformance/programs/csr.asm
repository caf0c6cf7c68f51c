# Access to CSRs (unpriv §6, priv §2.1).
	li a1, 0x5a
	csrw mscratch, a1
	li a1, 0x0f
	csrrw a0, mscratch, a1
	check a0, 0x5a
	csrrs a0, mscratch, zero
	check a0, 0x0f
	li a1, 0xf0
	csrrs a0, mscratch, a1
	check a0, 0x0f
	li a1, 0x3c
	csrrc a0, mscratch, a1
	check a0, 0xff
	csrrwi a0, mscratch, 31
	check a0, 0xc3
	csrrsi a0, mscratch, 0
	check a0, 31
	csrrci a0, mscratch, 1
	check a0, 31
	csrrsi a0, mscratch, 1
	check a0, 30
	csrr a0, mscratch
	check a0, 31
	li a0, 7
	csrrw a0, mscratch, a0		# rd and rs1 the same
	check a0, 31
	csrr a0, mscratch
	check a0, 7
# The upper two bits of the number: read only; the next: the privilege.
	csrr a0, mhartid
	check a0, 0
	expect
	csrw mhartid, a0
	trapcause 2
	expect
	csrrs a0, mhartid, a1		# rs1 is not x0: a write, whatever its value
	trapcause 2
	expect
	csrrci a0, mvendorid, 1
	trapcause 2
	csrrci a0, mvendorid, 0		# no write
	csrrs a0, 0xf11, zero
	expect
	csrr a0, 0x7ff			# no such register
	trapcause 2
	expect
	csrr a0, 0x5c0
	trapcause 2
	enter 0
	expect
	csrr a0, sscratch
	trapcause 2
	enter 0
	expect
	csrr a0, mscratch
	trapcause 2
	enter 1
	expect
	csrr a0, mscratch
	trapcause 2
	enter 1
	li a1, 21
	csrw sscratch, a1
	csrr a0, sscratch
	back
	check a0, 21
# A register is not changed, and rd neither, by an access that traps.
	li a0, 99
	expect
	csrrw a0, 0x7ff, zero
	trapcause 2
	check a0, 99
# fcsr and its parts.
	li a1, 0xff
	csrw fcsr, a1
	csrr a0, fflags
	check a0, 31
	csrr a0, frm
	check a0, 7
	csrwi fflags, 2
	csrr a0, fcsr
	check a0, 0xe2
	csrwi frm, 1
	csrr a0, fcsr
	check a0, 0x22
	li a1, -1
	csrw fcsr, a1
	csrr a0, fcsr
	check a0, 0xff
	csrwi fcsr, 0
# WARL fields.
	li a1, -1
	csrw mtvec, a1
	csrr a0, mtvec
	andi a0, a0, 2			# modes 2 and 3 are reserved
	check a0, 0
	lla a1, mtrap
	csrw mtvec, a1
	csrr a0, mtvec
	bne a0, a1, 1f
	li a1, -1
	csrw mepc, a1
	csrr a0, mepc
	check a0, -2			# C: bit 0 only
	csrw sepc, a1
	csrr a0, sepc
	check a0, -2
	li a1, 0x800			# MPP 1 is S
	li a2, 0x1800
	csrc mstatus, a2
	csrs mstatus, a1
	csrr a0, mstatus
	and a0, a0, a2
	check a0, 0x800
	li a1, 0x1000			# 2 is reserved: another legal value stays or comes
	csrc mstatus, a2
	csrs mstatus, a1
	csrr a0, mstatus
	and a0, a0, a2
	beq a0, a1, 1f
	li a1, 0xf << 60		# a reserved mode: satp as it was
	csrw satp, zero
	csrw satp, a1
	csrr a0, satp
	check a0, 0
	csrw medeleg, zero
	li a1, 1 << 11			# ecall from M-mode cannot be delegated
	csrs medeleg, a1
	csrr a0, medeleg
	check a0, 0
	csrr a0, misa
	srli a0, a0, 62
	check a0, 2			# MXL: 64
	csrr a0, misa
	li a1, 0x14112d			# A C D F I M S U
	and a0, a0, a1
	check a0, 0x14112d
	j 2f
1:	jal gp, fail
2:
# sstatus, sie and sip are views of mstatus, mie and mip.
	csrw sie, zero
	csrwi mideleg, 0
	li a1, 0x222
	csrw mie, a1
	csrr a0, sie
	check a0, 0
	csrw mideleg, a1
	csrr a0, sie
	check a0, 0x222
	li a1, 1 << 18 | 1 << 19
	csrs sstatus, a1
	csrr a0, mstatus
	and a0, a0, a1
	check a0, 1 << 18 | 1 << 19
	csrc mstatus, a1
	csrr a0, sstatus
	and a0, a0, a1
	check a0, 0
	li a1, 0x1888			# M-mode's fields are not in sstatus
	csrw sstatus, zero
	csrs mstatus, a1
	csrr a0, sstatus
	and a0, a0, a1
	check a0, 0
	csrw mie, zero
	csrwi mideleg, 0
	li t0, 0x6000
	csrs mstatus, t0
