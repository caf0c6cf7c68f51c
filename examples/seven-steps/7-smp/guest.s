# Step 7: a kernel on several virtual CPUs.
#
# Hart 0 starts the others. Each adds 1 to one counter COUNT times, under a
# lock, or with --set lock=0 without. The last to finish wakes hart 0 by an
# interprocessor interrupt, which prints the counter. HARTS and COUNT come from
# --set harts=N and count=N.

.equ SIE_SSIE,  1 << 1          # sie, sip: software interrupts
.equ SBI_IPI,   0x735049
.equ SBI_HSM,   0x48534d
.equ SBI_DBCN,  0x4442434e
.equ SBI_SRST,  0x53525354

start:  li      s0, 1           # the next hart to start
1:      li      t0, HARTS
        bgeu    s0, t0, 2f
        mv      a0, s0
        la      a1, add         # where it starts, in supervisor mode
        li      a2, 0
        li      a6, 0
        li      a7, SBI_HSM
        ecall                   # hart_start
        addi    s0, s0, 1
        j       1b

2:      li      a0, 0           # hart 0 adds as well
        la      ra, wait
        j       count_up

# A hart that was started has its number in a0.
add:    la      ra, stop
count_up:
        la      s1, lock
        la      s2, counter
        li      s3, COUNT
        li      s4, LOCK
3:      beqz    s4, 5f
4:      li      t0, 1
        amoswap.w.aq t0, t0, (s1)       # take the lock: what was there?
        bnez    t0, 4b                  # somebody else's
5:      ld      t0, 0(s2)               # these three are one step only if
        addi    t0, t0, 1               # nobody comes between
        sd      t0, 0(s2)
        beqz    s4, 6f
        amoswap.w.rl zero, zero, (s1)   # give the lock back
6:      addi    s3, s3, -1
        bnez    s3, 3b

        la      t0, finished
        li      t1, 1
        amoadd.d.aqrl t0, t1, (t0)
        li      t1, HARTS - 1
        bne     t0, t1, 7f
        li      a0, 1                   # the last: wake hart 0
        li      a1, 0
        li      a6, 0
        li      a7, SBI_IPI
        ecall
7:      jr      ra

stop:   li      a6, 1                   # hart_stop
        li      a7, SBI_HSM
        ecall

# wfi returns when an enabled interrupt is pending, even while sstatus.SIE is 0
# and it is not taken: no handler is needed.
wait:   csrsi   sie, SIE_SSIE
8:      csrr    t0, sip
        andi    t0, t0, SIE_SSIE
        bnez    t0, 9f
        wfi
        j       8b

9:      ld      a0, counter             # in decimal
        la      t0, digits_end
        li      t1, 10
10:     remu    t2, a0, t1
        divu    a0, a0, t1
        addi    t2, t2, '0'
        addi    t0, t0, -1
        sb      t2, 0(t0)
        bnez    a0, 10b
        la      a1, text_end
        sub     a0, a1, t0
        mv      a1, t0
        li      a2, 0
        li      a6, 0
        li      a7, SBI_DBCN
        ecall
        li      a0, 0
        li      a1, 0
        li      a6, 0
        li      a7, SBI_SRST
        ecall

digits: .space  20
digits_end:
        .ascii  " increments\n"
text_end:
        .balign 64
lock:   .dword  0
        .balign 64
counter:
        .dword  0
        .balign 64
finished:
        .dword  0
