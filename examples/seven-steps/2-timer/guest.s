# Step 2: a kernel that is interrupted by a timer.
#
# It sets its trap handler, asks for a timer interrupt in PERIOD ticks, allows
# it, and waits. The handler counts, prints and asks for the next one, TICKS
# times. PERIOD comes from --set period=10ms (in ticks of 100 ns), TICKS from
# --set ticks=N.

.equ SIE_STIE,    1 << 5        # sie: supervisor timer interrupts are enabled
.equ SSTATUS_SIE, 1 << 1        # sstatus: interrupts are enabled at all

.equ SBI_TIME,    0x54494d45    # the calls of the VMM: extension in a7,
.equ SBI_DBCN,    0x4442434e    # function in a6, arguments from a0
.equ SBI_SRST,    0x53525354

# s0 counts interrupts, s1 is how many there shall be, s2 when the next is due.
# The program keeps nothing in other registers while interrupts are enabled, so
# that the handler may use them without saving them.
start:  li      s0, 0
        li      s1, TICKS
        la      t0, trap
        csrw    stvec, t0       # its handler
        rdtime  s2
        call    set_timer
        li      t0, SIE_STIE
        csrs    sie, t0         # its interrupt bit
        csrsi   sstatus, SSTATUS_SIE

1:      wfi                     # until an interrupt is pending
        bltu    s0, s1, 1b

        li      a0, 0           # shut down
        li      a1, 0
        li      a6, 0
        li      a7, SBI_SRST
        ecall

# The timer is the VMM's: a guest asks for it.
set_timer:
        li      t0, PERIOD
        add     s2, s2, t0      # from when it was due, not from now: no drift
        mv      a0, s2
        li      a6, 0
        li      a7, SBI_TIME
        ecall                   # it also takes the pending interrupt back
        ret

# The VMM, or the processor for it, comes here when the time has come: sepc
# holds where the program was, scause why it stopped. sret goes back there.
        .balign 4
trap:   addi    s0, s0, 1
        li      a0, tick_end - tick
        la      a1, tick        # DBCN wants a physical address; so is this one
        li      a2, 0
        li      a6, 0
        li      a7, SBI_DBCN
        ecall
        bgeu    s0, s1, 1f
        call    set_timer
        sret
1:      li      t0, SIE_STIE    # enough: no more of them
        csrc    sie, t0
        sret

tick:   .ascii  "tick\n"
tick_end:
