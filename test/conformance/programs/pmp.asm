# Physical memory protection (priv §3.7).
	.equ page, 0x80300000
	li a0, page
	li t0, (page + 0x1000) >> 2
	csrw pmpaddr0, t0		# entry 0: TOR from 0 to page+0x1000, see below
	csrw pmpcfg0, zero
# Entry 1 opens everything to S and U; entry 0 is a page.
	li t0, -1
	csrw pmpaddr1, t0
	li t0, page >> 2 | 0x1ff	# NAPOT, 4 KiB
	csrw pmpaddr0, t0
	li t0, 0x1f << 8 | 0x18		# entry 0 NAPOT, no permission
	csrw pmpcfg0, t0
	ld a1, (a0)			# M-mode is not concerned
	enter 1
	expect
	ld a1, (a0)
	trapped 5, page
	enter 1
	expect
	sd a1, 0x7f8(a0)
	trapcause 7
	enter 1
	expect
	jr a0
	trapped 1, page
	enter 1
	li a2, page + 0x1000
	ld a1, (a2)
	ld a1, -8(a0)
# An access that lies partly in an entry fails.
	expect
	ld a1, -4(a0)
	trapcause 5
	li t0, 0x1f << 8 | 0x19		# R
	csrw pmpcfg0, t0
	enter 1
	ld a1, (a0)
	expect
	sd a1, (a0)
	trapped 7, page
	enter 0
	expect
	amoadd.d a1, a1, (a0)
	trapcause 7
	enter 0
	lr.d a1, (a0)
	expect
	sc.d a1, a1, (a0)
	trapcause 7
	li t0, 0x1f << 8 | 0x1b		# RW
	csrw pmpcfg0, t0
	enter 0
	sd a1, (a0)
	expect
	jr a0
	trapcause 1
# MPRV: M-mode's data accesses take S's permissions.
	li t0, 0x1f << 8 | 0x18
	csrw pmpcfg0, t0
	li t0, 0x1800
	csrc mstatus, t0
	li t0, 1 << 17
	csrs mstatus, t0
	lla tp, 8f
	ld a1, (a0)
	jal gp, fail
8:	check s8, 5
	li t0, 1 << 17
	csrc mstatus, t0
# TOR: [pmpaddr0, pmpaddr1).
	csrw pmpcfg0, zero
	li t0, page >> 2
	csrw pmpaddr0, t0
	li t0, (page + 16) >> 2
	csrw pmpaddr1, t0
	li t0, -1
	csrw pmpaddr2, t0
	li t0, 0x1f << 16 | 0x09 << 8	# entry 1 TOR, R
	csrw pmpcfg0, t0
	enter 1
	sd a1, 16(a0)
	sd a1, -8(a0)
	ld a1, 8(a0)
	expect
	sd a1, 8(a0)
	trapcause 7
# NA4. An aligned access that the entry holds a part of fails.
	li t0, page >> 2
	csrw pmpaddr1, t0
	li t0, 0x1f << 16 | 0x10 << 8
	csrw pmpcfg0, t0
	enter 1
	lw a1, 4(a0)
	expect
	lw a1, (a0)
	trapcause 5
	enter 1
	expect
	ld a1, (a0)
	trapcause 5
# No match: S and U have nothing, M all.
	csrw pmpcfg0, zero
	ld a1, (a0)
	lla tp, 8f
	li t5, 0x1800
	csrc mstatus, t5
	lla t5, 1f
	csrw mepc, t5
	mret
1:	jal gp, fail
8:	check s8, 1
# W without R is reserved: never read back.
	li t0, 2
	csrw pmpcfg2, t0
	csrr a0, pmpcfg2
	andi a0, a0, 3
	li t0, 2
	beq a0, t0, bad
# Locked: for M as well, and until reset.
	li t0, -1
	csrw pmpaddr3, t0
	li t0, 0x1f << 24
	csrw pmpcfg0, t0
	li t0, page >> 2 | 0x1ff
	csrw pmpaddr2, t0
	li t0, 0x99 << 16
	csrs pmpcfg0, t0
	li a0, page
	ld a1, (a0)
	expect
	sd a1, (a0)
	trapped 7, page
	csrw pmpaddr2, zero
	csrr a1, pmpaddr2
	check a1, page >> 2 | 0x1ff
	li t0, 0xff << 16
	csrc pmpcfg0, t0
	csrr a1, pmpcfg0
	srli a1, a1, 16
	andi a1, a1, 0xff
	check a1, 0x99
	j 9f
bad:	jal gp, fail
9:
