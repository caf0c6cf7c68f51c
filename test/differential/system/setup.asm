# Sets a hart's state from the table at TABLE and enters the program. What the
# program before left must not matter: MPRV, interrupts, translation and PMP go
# off first. CSRS is filled in by program.go.
	csrwi mstatus, 0
	csrwi mie, 0
	csrw satp, zero
	csrw pmpcfg0, zero
	lla t6, TABLE
	sc.d zero, zero, (t6)		# gives up a reservation
	li t5, 0x6000
	csrs mstatus, t5
	ld t5, FCSR(t6)
	csrw fcsr, t5
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fmv.d.x f\n, zero
	.endr
CSRS
	ld t5, MSTATUS(t6)
	csrw mstatus, t5
	sfence.vma
	.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	ld x\n, X+8*\n(t6)
	.endr
	ld t6, X+8*31(t6)
	mret
