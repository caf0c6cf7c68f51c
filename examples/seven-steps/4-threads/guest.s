# Step 4: a kernel that shares its processor among user threads.
#
# The first thread makes THREADS - 1 more; each counts for itself. A timer
# interrupt every SLICE ticks takes the processor from one and gives it to the
# next, round robin, for ROUNDS rounds; then the kernel prints how far each has
# come. They come from --set threads=N, slice=5ms and rounds=N.
#
# With BOMB the first thread makes threads that make threads, without end, and
# the kernel says nothing. MOST is how many it has room for.
#
# Address translation, as in step 3, is left out.

.equ SIE_STIE,  1 << 5
.equ SSTATUS_SPP, 1 << 8
.equ USER_ECALL, 8

.equ SYS_SPAWN, 1               # system call: a0 is where the new thread starts

.equ SBI_TIME,  0x54494d45
.equ SBI_DBCN,  0x4442434e
.equ SBI_SRST,  0x53525354

# A thread, while it does not run, is its registers: x1 to x31 at 8 to 248 and
# its pc at 0. sscratch points to that of the thread that runs.
.equ PC,        0
.equ S1,        9 * 8
.equ A0,        10 * 8
.equ A7,        17 * 8
.equ THREAD,    256             # bytes of one

.macro each op                  # all registers but x31, by t6
        \op ra, 8(t6)
        \op sp, 16(t6)
        \op gp, 24(t6)
        \op tp, 32(t6)
        \op t0, 40(t6)
        \op t1, 48(t6)
        \op t2, 56(t6)
        \op s0, 64(t6)
        \op s1, 72(t6)
        \op a0, 80(t6)
        \op a1, 88(t6)
        \op a2, 96(t6)
        \op a3, 104(t6)
        \op a4, 112(t6)
        \op a5, 120(t6)
        \op a6, 128(t6)
        \op a7, 136(t6)
        \op s2, 144(t6)
        \op s3, 152(t6)
        \op s4, 160(t6)
        \op s5, 168(t6)
        \op s6, 176(t6)
        \op s7, 184(t6)
        \op s8, 192(t6)
        \op s9, 200(t6)
        \op s10, 208(t6)
        \op s11, 216(t6)
        \op t3, 224(t6)
        \op t4, 232(t6)
        \op t5, 240(t6)
.endm

start:  la      t0, trap
        csrw    stvec, t0
        li      t0, SIE_STIE
        csrs    sie, t0
        li      t0, SSTATUS_SPP # to user mode, where interrupts are always on
        csrc    sstatus, t0
        la      t0, threads     # the first thread
        la      t1, first
        sd      t1, PC(t0)
        csrw    sscratch, t0
        li      t0, 1
        sd      t0, count, t1
        call    set_timer
        j       resume

# ---- from user mode to the kernel and back ----
        .balign 4
trap:   csrrw   t6, sscratch, t6        # now t6 is the thread, sscratch its t6
        each    sd
        csrr    t0, sscratch
        sd      t0, 31 * 8(t6)
        csrr    t0, sepc
        sd      t0, PC(t6)
        csrw    sscratch, t6
        mv      s0, t6                  # s0: the thread that ran
        csrr    t0, scause
        bltz    t0, timer               # the only interrupt
        li      t1, USER_ECALL
        bne     t0, t1, shutdown        # a fault: nobody makes one here
        ld      t0, PC(s0)              # a system call: go on behind it
        addi    t0, t0, 4
        sd      t0, PC(s0)
        ld      t0, A7(s0)
        li      t1, SYS_SPAWN
        bne     t0, t1, resume
        call    spawn
resume: csrr    t6, sscratch            # the thread that runs next
        ld      t0, PC(t6)
        csrw    sepc, t0
        each    ld
        ld      t6, 31 * 8(t6)
        sret

# ---- the scheduler ----
timer:  call    next
        li      t0, ROUNDS
        beqz    t0, 2f                  # without end, and silent
        call    announce
        ld      t0, switches
        addi    t0, t0, 1
        sd      t0, switches, t1
        li      t1, ROUNDS * THREADS
        bgeu    t0, t1, report
2:      call    set_timer
        j       resume

next:   addi    t0, s0, THREAD          # the one behind, or the first
        ld      t1, count
        li      t2, THREAD
        mul     t1, t1, t2
        la      t2, threads
        add     t1, t1, t2
        bltu    t0, t1, 1f
        mv      t0, t2
1:      csrw    sscratch, t0
        ret

spawn:  ld      t0, count
        li      t1, -1                  # what the thread gets: no room
        li      t2, MOST
        bgeu    t0, t2, 2f
        mv      t1, t0                  # or the new one's number
        li      t2, THREAD
        mul     t2, t0, t2
        la      t3, threads
        add     t2, t2, t3
        ld      t3, A0(s0)
        sd      t3, PC(t2)
        sd      zero, S1(t2)
        addi    t0, t0, 1
        sd      t0, count, t3
2:      sd      t1, A0(s0)
        ret

set_timer:
        rdtime  a0
        li      t0, SLICE
        add     a0, a0, t0
        li      a6, 0
        li      a7, SBI_TIME
        ecall
        ret

# ---- what it prints ----
announce:                               # "thread B": of the one that is next
        mv      s2, ra
        csrr    a0, sscratch
        call    name
        la      a0, runs
        li      a1, runs_end - runs
        call    print
        jr      s2

report: la      s3, threads             # "B 123456": how far each has come
        ld      s4, count
1:      mv      a0, s3
        call    name
        ld      a0, S1(s3)
        call    decimal
        addi    s3, s3, THREAD
        addi    s4, s4, -1
        bnez    s4, 1b
shutdown:
        li      a0, 0
        li      a1, 0
        li      a6, 0
        li      a7, SBI_SRST
        ecall

name:   la      t0, threads             # a0: thread; letters A to Z, and again
        sub     t0, a0, t0
        srli    t0, t0, 8
        li      t1, 26
        remu    t0, t0, t1
        addi    t0, t0, 'A'
        sb      t0, letter, t1
        sb      t0, letter2, t1
        ret

decimal:                                # a0, behind "thread B has counted to "
        mv      s2, ra
        la      t0, number_end
        li      t1, 10
        li      t2, '\n'
        sb      t2, 0(t0)
1:      remu    t2, a0, t1
        divu    a0, a0, t1
        addi    t2, t2, '0'
        addi    t0, t0, -1
        sb      t2, 0(t0)
        bnez    a0, 1b
        mv      s5, t0
        la      a0, counted
        li      a1, counted_end - counted
        call    print
        mv      a0, s5
        la      t0, number_end
        sub     a1, t0, s5
        addi    a1, a1, 1
        call    print
        jr      s2

print:  mv      t0, a0                  # a0: text, a1: bytes
        mv      a0, a1
        mv      a1, t0
        li      a2, 0
        li      a6, 0
        li      a7, SBI_DBCN
        ecall
        ret

# ---- user mode ----
first:  li      t0, BOMB
        bnez    t0, bomb
        li      s0, THREADS - 1
1:      beqz    s0, worker
        la      a0, worker
        li      a7, SYS_SPAWN
        ecall
        addi    s0, s0, -1
        j       1b

worker: addi    s1, s1, 1
        j       worker

bomb:   la      a0, bomb
        li      a7, SYS_SPAWN
        ecall
        j       bomb

# ---- data ----
runs:   .ascii  "thread "
letter: .ascii  "A runs\n"
runs_end:
counted:
        .ascii  "thread "
letter2:
        .ascii  "A has counted to "
counted_end:
number: .space  20
number_end:
        .byte   0
        .balign 8
count:  .dword  0
switches:
        .dword  0
        .balign 256
threads:                                # to the end of what is used of memory
