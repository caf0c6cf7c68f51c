# Hart 0 changes code and mappings that the others execute and use in hot loops,
# and tells them by remote fences (SBI RFENCE), or by an interrupt whose handler
# executes fence.i. What is changed has a version. The order is: announce the
# version, change, fence, commit. What another hart then finds is no older than
# what was committed before it looked, and no newer than what was announced
# after it had looked.
#
# Symbols given: HARTS, ROUNDS, EVERY (rounds after which all harts must have
# passed their loops).
#
# s0: hart, s1: state, s2: progress of this hart, s5: the remapped data page,
# s6: the remapped code page.

	.equ DATA, 0x40000000		# virtual
	.equ CODE, 0x40001000
	.equ COMMIT, 0			# of state: of each kind of change, 64 bytes apart
	.equ ANNOUNCE, 0x100
	.equ ACKS, 0x200
	.equ READY, 0x240
	.equ STOP, 0x280
	.equ FAILED, 0x2c0		# kind, found, committed, announced
	.equ PROGRESS, 0x300		# of each hart, 64 bytes apart

	# A Linux image's header.
	j start
	nop
	.dword 0x200000, image_size - 0x80200000, 0
	.word 2, 0
	.dword 0, 0x5643534952
	.word 0x05435352, 0

	.align 2
start:	mv s0, a0
	la s1, state
	li s5, DATA
	li s6, CODE
	la t0, level1
	srli t0, t0, 2
	ori t0, t0, 1
	la t1, root
	sd t0, 8(t1)
	li t0, 0x80000000 >> 2 | 0xcf
	sd t0, 16(t1)
	la t0, level0
	srli t0, t0, 2
	ori t0, t0, 1
	la t1, level1
	sd t0, 0(t1)
	li s10, 1			# the round, and version
	call mapData
	call writeCode
	call mapCode
	call patch
	fence.i
	call commitAll
	li s3, 1			# start the others
1:	li t0, HARTS
	bge s3, t0, 2f
	mv a0, s3
	la a1, worker
	li a2, 0
	li a6, 0
	li a7, 0x48534d
	ecall
	bnez a0, bad0
	addi s3, s3, 1
	j 1b
2:	call paging
3:	ld t0, READY(s1)		# wait for them
	li t1, HARTS - 1
	blt t0, t1, 3b
	li s11, 0
round:	addi s10, s10, 1
	fence rw, rw
	sd s10, ANNOUNCE + 0(s1)
	sd s10, ANNOUNCE + 64(s1)
	fence rw, rw
	call patch
	call writeCode			# where no mapping leads, but did
	fence rw, rw
	andi t0, s10, 3
	li t1, 2
	beq t0, t1, byIPI
	li a0, (1 << HARTS) - 1		# remote fence.i by mask, or for all
	li a1, 0
	bnez t0, 1f
	li a1, -1
1:	li a6, 0
	li a7, 0x52464e43
	ecall
	bnez a0, bad0
	j fenced
byIPI:	sd zero, ACKS(s1)
	fence rw, rw
	li a0, (1 << HARTS) - 2
	li a1, 0
	li a6, 0
	li a7, 0x735049
	ecall
	bnez a0, bad0
	fence.i
1:	ld t0, ACKS(s1)
	li t1, HARTS - 1
	bne t0, t1, 1b
fenced:	fence rw, rw
	sd s10, COMMIT + 0(s1)
	sd s10, COMMIT + 64(s1)

	# The data page: nobody may store to what it was before, afterwards.
	sd s10, ANNOUNCE + 128(s1)
	fence rw, rw
	call mapData
	li a2, DATA
	call shoot
	call oldSum
	bnez s11, 1f
	mv s11, a0			# the page's first sum
1:	mv s8, a0
	mv s9, a1			# where it is
	fence rw, rw
	sd s10, COMMIT + 128(s1)

	# The code page.
	sd s10, ANNOUNCE + 192(s1)
	fence rw, rw
	call mapCode
	li a2, CODE
	call shoot
	fence rw, rw
	sd s10, COMMIT + 192(s1)

	li t0, EVERY			# now and then let all get on
	remu t0, s10, t0
	bnez t0, 3f
	li t0, 1
1:	slli t1, t0, 6
	add t1, t1, s1
	ld t2, PROGRESS(t1)
	addi t2, t2, 100
2:	ld t3, PROGRESS(t1)
	blt t3, t2, 2b
	addi t0, t0, 1
	li t3, HARTS
	blt t0, t3, 1b
3:	mv a0, s9			# the old data page once more
	call sum
	bne a0, s8, badOld
	li t0, ROUNDS
	blt s10, t0, round
	li t0, 1
	sd t0, STOP(s1)
1:	ld t0, READY(s1)
	bnez t0, 1b
	li a1, 0
off:	li a0, 0
	li a6, 0
	li a7, 0x53525354
	ecall
	j off

badOld:	li t0, 6
	sd t0, FAILED(s1)
	sd a0, FAILED + 8(s1)
	sd s8, FAILED + 16(s1)
	sd s10, FAILED + 24(s1)
	li a1, 1
	j off
bad0:	li t0, 7
	sd t0, FAILED(s1)
	li a1, 1
	j off

# shoot fences the page a2: its range, with an address space, or all.
shoot:	li a0, -1
	li a1, -1
	li a3, 4096
	li a4, 1
	li a7, 0x52464e43
	li t0, 3
	remu t0, s10, t0
	li a6, 1
	beqz t0, 1f
	li a6, 2
	addi t0, t0, -1
	beqz t0, 1f
	li a6, 1
	li a2, 0
	li a3, -1
1:	ecall
	bnez a0, bad0
	ret

# patch writes the version to two functions, this page's and another's.
patch:	slli t0, s10, 12
	li t1, 0x537			# lui a0, version
	or t0, t0, t1
	la t1, near
	sw t0, 0(t1)
	la t1, far
	sw t0, 0(t1)
	ret

# dataPage and codePage are those of version a0.
dataPage: andi a0, a0, 3
	slli a0, a0, 12
	la t0, datas
	add a0, a0, t0
	ret
codePage: andi a0, a0, 3
	slli a0, a0, 12
	la t0, codes
	add a0, a0, t0
	ret

mapData: mv t6, ra
	mv a0, s10
	call dataPage
	sd s10, (a0)
	fence rw, rw
	srli a0, a0, 2
	ori a0, a0, 0xc7
	la t0, level0
	sd a0, 0(t0)
	fence rw, rw
	jr t6
mapCode: mv t6, ra
	mv a0, s10
	call codePage
	srli a0, a0, 2
	ori a0, a0, 0xcb
	la t0, level0
	sd a0, 8(t0)
	fence rw, rw
	jr t6
writeCode: mv t6, ra
	mv a0, s10
	call codePage
	slli t0, s10, 12
	li t1, 0x537
	or t0, t0, t1
	sw t0, (a0)
	li t0, 0x8067			# ret
	sw t0, 4(a0)
	jr t6

# oldSum sums up what workers have stored to the data page before the present
# one, at a1.
oldSum:	mv t6, ra
	addi a0, s10, -1
	call dataPage
	mv ra, t6
	mv a1, a0
sum:	mv t0, a0
	li t1, HARTS
	li a0, 0
1:	ld t2, 64(t0)
	add a0, a0, t2
	addi t0, t0, 64
	addi t1, t1, -1
	bnez t1, 1b
	ret

commitAll:
	li t0, 1
	sd t0, COMMIT + 0(s1)
	sd t0, COMMIT + 64(s1)
	sd t0, COMMIT + 128(s1)
	sd t0, COMMIT + 192(s1)
	sd t0, ANNOUNCE + 0(s1)
	sd t0, ANNOUNCE + 64(s1)
	sd t0, ANNOUNCE + 128(s1)
	sd t0, ANNOUNCE + 192(s1)
	fence rw, rw
	ret

paging:	la t0, root
	srli t0, t0, 12
	li t1, 8 << 60 | 1 << 44	# Sv39, address space 1
	or t0, t0, t1
	csrw satp, t0
	sfence.vma
	ret

	.align 2
handler: csrci sip, 2
	fence.i
	addi sp, sp, -16
	sd t0, 0(sp)
	sd t1, 8(sp)
	la t0, state + ACKS
	li t1, 1
	amoadd.d.aqrl zero, t1, (t0)
	ld t0, 0(sp)
	ld t1, 8(sp)
	addi sp, sp, 16
	sret

worker:	mv s0, a0
	la s1, state
	slli t0, s0, 6
	add s2, s1, t0
	la sp, stacks
	slli t0, s0, 8
	add sp, sp, t0
	li s5, DATA
	li s6, CODE
	addi s7, s5, 0			# this hart's place in the data page
	slli t0, s0, 6
	add s7, s7, t0
	call paging
	la t0, handler
	csrw stvec, t0
	csrwi sie, 2
	csrsi sstatus, 2
	li t0, 1
	addi t1, s1, READY
	amoadd.d.aqrl zero, t0, (t1)
	la s9, far
loop:	li s8, 1
	ld s3, COMMIT + 0(s1)
	fence r, rw
	call near
	ld s4, ANNOUNCE + 0(s1)
	srli a0, a0, 12
	bltu a0, s3, bad
	bltu s4, a0, bad

	li s8, 2
	ld s3, COMMIT + 64(s1)
	fence r, rw
	jalr s9
	ld s4, ANNOUNCE + 64(s1)
	srli a0, a0, 12
	bltu a0, s3, bad
	bltu s4, a0, bad

	li s8, 3
	ld s3, COMMIT + 128(s1)
	fence r, rw
	ld a0, (s5)
	sd s3, 64(s7)
	fence r, rw
	ld s4, ANNOUNCE + 128(s1)
	bltu a0, s3, bad
	bltu s4, a0, bad

	li s8, 4
	ld s3, COMMIT + 192(s1)
	fence r, rw
	jalr s6
	ld s4, ANNOUNCE + 192(s1)
	srli a0, a0, 12
	bltu a0, s3, bad
	bltu s4, a0, bad

	li s8, 5
	ld s3, COMMIT + 192(s1)
	fence r, rw
	call CODE
	ld s4, ANNOUNCE + 192(s1)
	srli a0, a0, 12
	bltu a0, s3, bad
	bltu s4, a0, bad

	ld t0, PROGRESS(s2)
	addi t0, t0, 1
	sd t0, PROGRESS(s2)
	ld t0, STOP(s1)
	beqz t0, loop
	csrci sstatus, 2
	li t0, -1
	addi t1, s1, READY
	amoadd.d.aqrl zero, t0, (t1)
	li a6, 1
	li a7, 0x48534d
	ecall
bad:	sd s8, FAILED(s1)
	sd a0, FAILED + 8(s1)
	sd s3, FAILED + 16(s1)
	sd s4, FAILED + 24(s1)
	fence rw, rw
	li a1, 1
	j off

	.align 2
near:	lui a0, 0
	ret

	.align 12
root:	.space 4096
level1:	.space 4096
level0:	.space 4096
far:	lui a0, 0
	ret
	.align 12
codes:	.space 4 * 4096
datas:	.space 4 * 4096
state:	.space 4096
stacks:	.space 4096
image_size:
