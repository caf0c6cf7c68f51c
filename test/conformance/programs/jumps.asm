# Jumps and links: targets, links, bit 0 of jalr, auipc (unpriv §2.5.1).
	auipc a0, 0
	lla a1, begin
	auipc a2, 0
	sub a2, a2, a0
	check a2, 12
	auipc a3, 0xfffff
	auipc a4, 0
	sub a3, a4, a3
	check a3, 0x1004
	jal ra, 1f
2:	jal gp, fail
1:	lla a0, 2b
	bne ra, a0, 2b
	lla a0, 3f + 1
	jalr ra, 0(a0)
4:	jal gp, fail
3:	lla a1, 4b
	bne ra, a1, 4b
	lla t0, 5f - 16
	jalr t0, 16(t0)			# link and base may be one
6:	jal gp, fail
5:	lla a1, 6b
	bne t0, a1, 6b
	lla a0, 7f
	c.jalr a0
8:	jal gp, fail
7:	lla a1, 8b
	addi a1, a1, -0
	bne ra, a1, 8b
	lla a0, 9f
	c.jr a0
	jal gp, fail
9:
# Branches backwards and a loop.
	li a0, 0
	li a1, 10
1:	addi a0, a0, 3
	addi a1, a1, -1
	bnez a1, 1b
	check a0, 30
