# Permissions of cache-block instructions (unpriv §19.2.5, priv §3.1.18), and instruction fetch after stores.
	csrw menvcfg, zero
	csrw senvcfg, zero
	sd s11, (s11)
	mv a0, s11
	cbo.zero (a0)			# M-mode needs no permission
	cbo.clean (a0)
	cbo.flush (a0)
	cbo.inval (a0)
	ld a1, (s11)
	check a1, 0
	enter 1
	expect
	cbo.zero (a0)
	trapcause 2
	enter 1
	expect
	cbo.clean (a0)
	trapcause 2
	enter 1
	expect
	cbo.flush (a0)
	trapcause 2
	enter 1
	expect
	cbo.inval (a0)
	trapcause 2
	li t0, 0xf0
	csrw menvcfg, t0
	enter 1
	cbo.zero (a0)
	cbo.clean (a0)
	cbo.flush (a0)
	cbo.inval (a0)
	back
	mv a0, s11
	enter 0
	expect
	cbo.zero (a0)
	trapcause 2
	enter 0
	expect
	cbo.inval (a0)
	trapcause 2
	csrw senvcfg, t0
	li t0, 0x80
	csrw senvcfg, t0
	enter 0
	cbo.zero (a0)
	expect
	cbo.flush (a0)
	trapcause 2
	li t0, 0xf0
	csrw senvcfg, t0
	enter 0
	cbo.zero (a0)
	cbo.clean (a0)
	cbo.flush (a0)
	cbo.inval (a0)
	back
# prefetches never trap.
	li a0, 0x40000000
	prefetch.r (a0)
	prefetch.w (a0)
	prefetch.i (a0)
# Code that was stored runs after fence.i.
	lla a0, patch
	lw a1, new
	li a2, 0
	li a3, 2
1:	fence.i
	jal ra, patch
	sw a1, (a0)
	addi a3, a3, -1
	bnez a3, 1b
	check a2, 11
	j 9f
patch:	addi a2, a2, 1
	ret
new:	addi a2, a2, 10
9:
