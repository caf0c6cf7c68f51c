# Steps 5 and 6: a kernel that always wants to run.
#
# It prints that it is there and computes without end. It knows nothing of
# other machines, and asks for nothing: only the VMM's own timer can take the
# processor from it.

.equ SBI_DBCN,  0x4442434e

start:  li      a0, text_end - text
        la      a1, text
        li      a2, 0
        li      a6, 0
        li      a7, SBI_DBCN
        ecall
1:      addi    s0, s0, 1
        j       1b

text:   .ascii  "running\n"
text_end:
