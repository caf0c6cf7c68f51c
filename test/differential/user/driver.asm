# Runs random programs. Each has a block that holds the state it starts from
# and takes the one it ends with; image.go knows the layout. A program is
# entered through "enter" with gp at the block's middle and t0 as link, loads
# its own t0, runs, stores its t0 and comes back through "leave".
#
# As a Linux program it starts at "start", writes every final state to standard
# output and exits. On bare memory it starts at "boot" in M-mode, and the
# machine serves the system calls itself.

# finisher is where a store ends the run.
.equ finisher, 0x100000
.equ sys_write, 64
.equ sys_exit, 93

start:
	lla t0, first
	jr t0

# enter: makes the state of the block at gp the hart's, but for t0.
enter:
	sd t0, IN_X-MIDDLE(gp)		# the place of x0
	lla t1, scratch
	addi t2, gp, IN_SCRATCH-MIDDLE
	li t3, SCRATCH_SIZE
	sc.d zero, zero, (t1)		# gives up a reservation that a program left
1:	ld t4, (t2)
	sd t4, (t1)
	addi t1, t1, 8
	addi t2, t2, 8
	addi t3, t3, -8
	bnez t3, 1b
	ld t1, IN_FCSR-MIDDLE(gp)
	fscsr t1
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fld f\n, IN_F-MIDDLE+8*\n(gp)
	.endr
	.irp n, 1,2,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld x\n, IN_X-MIDDLE+8*\n(gp)
	.endr
	ld t0, IN_X-MIDDLE(gp)
	jr t0

# leave: stores the hart's state to the block and goes on with the next program.
leave:
	.irp n, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd x\n, OUT+IN_X-MIDDLE+8*\n(gp)
	.endr
	sd t0, IN_X-MIDDLE(gp)
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fsd f\n, OUT+IN_F-MIDDLE+8*\n(gp)
	.endr
	frcsr t1
	sd t1, OUT+IN_FCSR-MIDDLE(gp)
	lla t1, scratch
	addi t2, gp, OUT+IN_SCRATCH-MIDDLE
	li t3, SCRATCH_SIZE
1:	ld t4, (t1)
	sd t4, (t2)
	addi t1, t1, 8
	addi t2, t2, 8
	addi t3, t3, -8
	bnez t3, 1b
	li a7, sys_write
	li a0, 1
	addi a1, gp, OUT-MIDDLE
	li a2, OUT_SIZE
	ecall
	ld t0, IN_X-MIDDLE(gp)
	jr t0

.equ scratch, SCRATCH
.equ first, PROGRAMS

# boot: in M-mode. mode (mstatus.MPP) and root (satp) say how the programs run.
	.align 6
boot:
	lla t0, trap
	csrw mtvec, t0
	li t0, -1
	csrw pmpaddr0, t0
	csrwi pmpcfg0, 0x1f		# all memory, NAPOT, RWX
	li t0, 0xf0			# CBIE, CBCFE, CBZE
	csrw menvcfg, t0
	csrw senvcfg, t0
	li t0, 0x6000			# FS
	csrs mstatus, t0
	ld t0, mode
	csrs mstatus, t0
	ld t0, root
	csrw satp, t0
	sfence.vma
	lla t0, start
	csrw mepc, t0
	mret
	.align 3
mode:	.dword 0
root:	.dword 0

# trap: a write has nothing to do here, an exit or anything unexpected ends the run.
	.align 2
trap:
	csrw mscratch, t0
	csrr t0, mcause
	addi t0, t0, -8			# from U-mode, S-mode or M-mode
	sltiu t0, t0, 4
	beqz t0, 1f
	addi t0, a7, -sys_write
	bnez t0, 1f
	csrr t0, mepc
	addi t0, t0, 4
	csrw mepc, t0
	csrr t0, mscratch
	mret
1:	li t0, finisher
	sd a7, (t0)
2:	j 2b
