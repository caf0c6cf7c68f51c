# Step 3: a kernel and one user thread, which calls it.
#
# The kernel makes an address space, drops to user mode and serves two system
# calls: write (a7 = 1: a0 text, a1 bytes) and exit (a7 = 2). The thread writes
# HELLOS times, from --set hellos=N, and then, unless --set peek=0, reads the
# kernel's memory, which it must not.

.equ USER,      0x400000        # the thread's page, as the thread sees it
.equ PAGE,      4096

# Bits of a page table entry.
.equ V,         1 << 0          # valid
.equ RW,        3 << 1          # may be read and written
.equ X,         1 << 3          # may be executed
.equ U,         1 << 4          # user mode's: the kernel's pages have this at 0
.equ AD,        3 << 6          # accessed and dirty: nothing to note

.equ SATP_SV39, 8 << 60
.equ SSTATUS_SPP, 1 << 8        # sret goes to supervisor mode; 0: to user mode
.equ USER_ECALL,  8             # scause

.equ SBI_DBCN,  0x4442434e
.equ SBI_SRST,  0x53525354

start:  la      t0, trap
        csrw    stvec, t0
        la      t0, root        # address translation on: from here on all
        srli    t0, t0, 12      # addresses go through the table below
        li      t1, SATP_SV39
        or      t0, t0, t1
        csrw    satp, t0
        sfence.vma
        li      t0, SSTATUS_SPP
        csrc    sstatus, t0
        li      t0, USER
        csrw    sepc, t0
        sret                    # to user mode, at USER

# The thread keeps what it needs in s registers, which the kernel leaves alone.
        .balign 4
trap:   csrr    t0, scause
        li      t1, USER_ECALL
        bne     t0, t1, fault
        csrr    t0, sepc        # behind the ecall
        addi    t0, t0, 4
        csrw    sepc, t0
        li      t0, 1
        beq     a7, t0, sys_write
        j       shutdown        # exit, and whatever else

# What a thread says is not to be trusted: the text must lie in its page.
sys_write:
        li      t0, USER
        sub     t0, a0, t0
        li      t1, PAGE
        bgtu    t0, t1, bad
        sub     t1, t1, t0
        bgtu    a1, t1, bad
        la      t1, user        # where the page is for the VMM
        add     t0, t0, t1
        mv      t1, a1
        call    print
        li      a0, 0
        sret
bad:    li      a0, -1
        sret

fault:  la      t0, sorry
        li      t1, sorry_end - sorry
        call    print
shutdown:
        li      a0, 0
        li      a1, 0
        li      a6, 0
        li      a7, SBI_SRST
        ecall

print:  mv      a0, t1          # t1 bytes at t0
        mv      a1, t0
        li      a2, 0
        li      a6, 0
        li      a7, SBI_DBCN
        ecall
        ret

sorry:  .ascii  "kernel: the thread has touched what is not its own; it is ended\n"
sorry_end:

# The address space (Sv39, three levels of 512 entries): the kernel's gigabyte
# is where it is without translation, and the thread has one page at USER.
        .balign PAGE
root:   .dword  (middle >> 12) << 10 | V
        .dword  0
        .dword  (0x80000000 >> 12) << 10 | AD | X | RW | V
        .space  PAGE - 3 * 8
middle: .dword  0, 0            # USER is in the third 2 MiB
        .dword  (leaf >> 12) << 10 | V
        .space  PAGE - 3 * 8
leaf:   .dword  (user >> 12) << 10 | AD | U | X | RW | V
        .space  PAGE - 8

# ---- user mode ----
        .balign PAGE
user:   li      s0, HELLOS
1:      beqz    s0, 2f
        la      a0, hello
        li      a1, hello_end - hello
        li      a7, 1
        ecall                   # write
        addi    s0, s0, -1
        j       1b
2:      li      t0, PEEK
        beqz    t0, 3f
        li      t0, 0x80200000
        ld      t0, 0(t0)       # the kernel's
3:      li      a7, 2
        ecall                   # exit

hello:  .ascii  "hello from user mode\n"
hello_end:
        .balign PAGE
