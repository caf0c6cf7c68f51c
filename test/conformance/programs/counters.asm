# Counters, their enables and the supervisor's timer (priv §3.1.10 to §3.1.12, Sstc).
	csrw mcountinhibit, zero
	csrr a0, minstret
	csrr a1, minstret
	sub a1, a1, a0
	check a1, 1
	csrr a0, mcycle
	csrr a1, cycle
	bgtu a0, a1, bad
	li a0, 1000
	csrw minstret, a0
	csrr a1, instret		# the write itself does not count
	check a1, 1000
	csrwi mcountinhibit, 5
	csrr a0, minstret
	nop
	csrr a1, minstret
	bne a0, a1, bad
	csrr a0, mcycle
	nop
	csrr a1, mcycle
	bne a0, a1, bad
	csrw mcountinhibit, zero
	csrr a0, mcountinhibit
	check a0, 0
	csrwi mcountinhibit, 2		# time cannot be held
	csrr a0, mcountinhibit
	check a0, 0
	csrr a0, time
1:	csrr a1, time
	beq a0, a1, 1b			# it runs
	bgtu a0, a1, bad
# mcounteren opens them to S, scounteren to U.
	csrw mcounteren, zero
	csrw scounteren, zero
	enter 1
	expect
	csrr a0, cycle
	trapcause 2
	enter 1
	expect
	csrr a0, time
	trapcause 2
	csrwi mcounteren, 2
	enter 1
	csrr a0, time
	expect
	csrr a0, instret
	trapcause 2
	enter 0
	expect
	csrr a0, time
	trapcause 2
	csrwi scounteren, 2
	enter 0
	csrr a0, time
	back
	csrwi mcounteren, 7
	csrwi scounteren, 7
	enter 0
	csrr a0, cycle
	csrr a0, instret
	back
# Sstc: stimecmp needs menvcfg.STCE and mcounteren.TM below M.
	csrw menvcfg, zero
	enter 1
	expect
	csrr a0, stimecmp
	trapcause 2
	li t0, 1 << 63
	csrw menvcfg, t0
	csrw mcounteren, zero
	enter 1
	expect
	csrr a0, stimecmp
	trapcause 2
	csrwi mcounteren, 2
	enter 1
	li a0, -1
	csrw stimecmp, a0
	csrr a1, sip
	csrw stimecmp, zero		# long past: pending
	csrr a2, sip
	back
	csrr a3, mip
	andi a3, a3, 0x20
	check a3, 0x20
	li t0, 0x20
	csrw mideleg, t0
	csrr a2, sip
	andi a2, a2, 0x20
	check a2, 0x20
	li a0, -1
	csrw stimecmp, a0
	csrr a2, mip
	andi a2, a2, 0x20
	check a2, 0
# It interrupts S-mode.
	li t0, 0x20
	csrw mie, t0
	csrr a0, time
	addi a0, a0, 50
	csrw stimecmp, a0
	csrsi sstatus, 2
	lla tp, 8f
	lla t0, expired
	csrw stvec, t0
	enter 1
2:	pause			# gives the host time, however fast the engine
	j 2b
	.align 2
expired:
	csrr a0, scause
	csrr a1, time
	li a2, -1
	csrw stimecmp, a2
	back
	check a0, 1 << 63 | 5
	csrw mie, zero
	csrw mideleg, zero
	li t0, 0xf0
	csrw menvcfg, t0
	j 9f
bad:	jal gp, fail
9:
# The seed is read by a write only, and by M-mode only unless mseccfg says so (unpriv §34.2).
	expect
	csrrs a0, seed, zero
	trapcause 2
	csrrw a0, seed, zero
	srli a0, a0, 30
	enter 1
	expect
	csrrw a0, seed, zero
	trapcause 2
	enter 0
	expect
	csrrw a0, seed, zero
	trapcause 2
