# Step 1: a kernel that only computes.
#
# It adds the numbers from 1 to LIMIT, writes the sum to the serial port and
# switches the machine off. It starts in supervisor mode at 0x80200040, behind
# the header that tells a loader what it is. LIMIT comes from --set limit=N.

.equ UART,      0x10000000      # a byte stored here is sent
.equ FINISHER,  0x100000        # a word stored here ends the machine
.equ PASS,      0x5555

start:  li      s0, 0           # the sum
        li      s1, LIMIT

# Nearly all of the guest's life: three instructions that use nothing but
# registers. They run as they are; the VMM does not hear of them.
1:      add     s0, s0, s1
        addi    s1, s1, -1
        bnez    s1, 1b

# The sum in decimal, from the last digit to the first. These stores go to
# memory, which is the guest's own: no exit either.
        la      t0, end
        li      t1, 10
2:      remu    t2, s0, t1
        addi    t2, t2, '0'
        addi    t0, t0, -1
        sb      t2, 0(t0)
        divu    s0, s0, t1
        bnez    s0, 2b

# The same instruction, sb, but where it points there is no memory: the VMM
# has to act as if there was a serial port. Each of these stores is an exit.
        li      t1, UART
        la      t3, newline
3:      lbu     t2, 0(t0)
        sb      t2, 0(t1)
        addi    t0, t0, 1
        bleu    t0, t3, 3b

        li      t0, FINISHER
        li      t1, PASS
        sw      t1, 0(t0)
4:      j       4b              # the machine ends before it gets far

text:   .space  20              # the digits of a 64-bit number
end:
newline:
        .byte   '\n'
