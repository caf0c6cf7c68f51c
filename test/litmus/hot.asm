# Each hart runs a loop of its own around its part, which is hot enough for any
# engine to do its best. In each round it says how far it is, waits until no
# other is more than a window behind, lets some time pass, and runs its part on
# variables of the round's own.
#
# a0, a1 and a6: x, y and z, zero at first; t2 is 1, t3 is 2; a2 to a5: what a
# part read; s0 to s8, sp and gp belong to the driver.
	csrr s0, mhartid
	la t0, harts
	slli t1, s0, 3
	add t0, t0, t1
	ld t0, (t0)
	li s1, 0			# round
	li s2, VARIABLES
	li s3, RESULTS
	slli t1, s0, 5
	add s3, s3, t1
	li s4, PROGRESS			# of each hart, and then the window and the number of rounds
	ld s5, 64 * HARTS(s4)
	ld s8, 64 * HARTS + 8(s4)
	addi s6, s0, 1			# pseudo-random
	li s7, 32 * HARTS
	li t2, 1
	li t3, 2
	jr t0
end:	fence rw, rw
	li t0, FINISHER
	sw zero, (t0)
	j end
	.align 3
