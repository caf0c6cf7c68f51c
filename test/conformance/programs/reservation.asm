# LR and SC (unpriv §13.2).
	sd zero, (s11)
	sd zero, 8(s11)
	li a1, 5
	sc.w a0, a1, (s11)		# no reservation
	check a0, 1
	ld a2, (s11)
	check a2, 0
	lr.w a2, (s11)
	sc.w a0, a1, (s11)
	check a0, 0
	ld a2, (s11)
	check a2, 5
	li a1, 6
	sc.w a0, a1, (s11)		# the reservation is used up
	check a0, 1
	lr.d a2, (s11)
	check a2, 5
	addi a3, s11, 64
	sc.d a0, a1, (a3)		# another address, outside any reservation set
	check a0, 1
	sc.d a0, a1, (s11)		# a failed sc gives the reservation up too
	check a0, 1
	lr.d.aqrl a2, (s11)
	sc.d.rl a0, a1, (s11)
	check a0, 0
	ld a2, (s11)
	check a2, 6
	lr.w x0, (s11)			# rd may be x0
	sc.w x0, zero, (s11)
	lw a2, (s11)
	check a2, 0
	# A loop as compilers make it.
	li a4, 100
1:	lr.w a0, (s11)
	addi a0, a0, 2
	sc.w a1, a0, (s11)
	bnez a1, 1b
	addi a4, a4, -1
	bnez a4, 1b
	lw a0, (s11)
	check a0, 200
	# Waiting on a reservation ends, at once if there is none.
	wrs.nto
	lr.w a0, (s11)
	wrs.sto
	check a0, 200
