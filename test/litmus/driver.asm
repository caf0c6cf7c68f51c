# All harts go through ROUNDS rounds. In each they meet, run their parts of the
# test on variables of the round's own, and store what they read. a0, a1: the
# variables x and y, zero at first, and a6 z; a2 to a5: what a part read; s0 to s5 and gp
# belong to the driver.
	li sp, 0
	csrr s0, mhartid
	li s1, 0			# round
	li s2, VARIABLES
	li s3, RESULTS
	slli t0, s0, 5
	add s3, s3, t0
round:
	li t0, HARTS			# meet: the last one to come opens the gate
	mul t0, t0, s1
	addi t0, t0, HARTS
	la s4, meeting
	li t1, 1
	amoadd.w.aqrl zero, t1, (s4)
1:	lw t1, (s4)
	blt t1, t0, 1b
	fence rw, rw
	mv a0, s2
	addi a1, s2, 64
	addi a6, s2, 128
	li a2, 0
	li a3, 0
	li a4, 0
	li a5, 0
	li t2, 1
	li t3, 2
	la t0, parts
	slli t1, s0, 3
	add t0, t0, t1
	ld t0, (t0)
	jalr ra, t0
	sd a2, 0(s3)
	sd a3, 8(s3)
	sd a4, 16(s3)
	sd a5, 24(s3)
	addi s2, s2, 192
	addi s3, s3, 32 * HARTS
	addi s1, s1, 1
	li t0, ROUNDS
	bne s1, t0, round
	fence rw, rw
	li t0, FINISHER
	sw zero, (t0)
2:	j 2b
	.align 3
meeting: .dword 0
