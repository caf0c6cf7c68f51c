# The state of the floating-point unit (priv §3.1.6.6) and reserved rounding modes (unpriv §20.2).
	li t0, 0x6000
	csrc mstatus, t0		# FS off
	expect
	fadd.d fa0, fa1, fa2
	trapcause 2
	expect
	fld fa0, (s11)
	trapcause 2
	expect
	c.fld fa0, (s0)
	trapcause 2
	expect
	fmv.x.d a0, fa0
	trapcause 2
	expect
	csrr a0, fcsr
	trapcause 2
	expect
	csrwi fflags, 0
	trapcause 2
	expect
	csrr a0, frm
	trapcause 2
	csrr a0, mstatus
	srli a0, a0, 63
	check a0, 0			# SD
	li t0, 0x4000
	csrs mstatus, t0		# clean
	fmv.x.d a0, fa0
	csrr a0, mstatus
	srli a0, a0, 13
	andi a0, a0, 3
	fmv.d.x fa0, zero
	csrr a0, mstatus
	srli a0, a0, 13
	andi a0, a0, 3
	check a0, 3			# dirty
	csrr a0, mstatus
	srli a0, a0, 63
	check a0, 1
	li t0, 0x6000
	csrc mstatus, t0
	li t0, 0x2000
	csrs mstatus, t0		# initial
	csrwi fflags, 1
	csrr a0, mstatus
	srli a0, a0, 13
	andi a0, a0, 3
	check a0, 3
	li t0, 0x6000
	csrc mstatus, t0
	li t0, 0x2000
	csrs mstatus, t0
	fmv.d.x fa1, zero
	li t0, 0x6000
	csrc mstatus, t0
	li t0, 0x4000
	csrs mstatus, t0
	csrwi fcsr, 0
	fdiv.d fa0, fa1, fa1		# raises a flag
	csrr a0, mstatus
	srli a0, a0, 13
	andi a0, a0, 3
	check a0, 3
# Rounding modes 5 and 6, and 7 when frm is one of those.
	expect
	.word 0x02c5d553		# fadd.d fa0, fa1, fa2 with rm 5
	trapcause 2
	expect
	.word 0x02c5e553
	trapcause 2
	csrwi frm, 5
	expect
	fadd.d fa0, fa1, fa2
	trapcause 2
	csrwi frm, 7
	expect
	fadd.d fa0, fa1, fa2
	trapcause 2
	fadd.d fa0, fa1, fa2, rne	# its own mode: frm does not matter
	fsgnj.d fa0, fa1, fa2
	csrwi frm, 0
	fadd.d fa0, fa1, fa2
	csrwi fflags, 0
# fcvtmod.w.d with another rounding mode than rtz is reserved.
	expect
	.word 0xc2858553
	trapcause 2
