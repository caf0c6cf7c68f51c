# Doppel's own guest: what `doppel run` boots when it is given nothing.
#
# It is a supervisor-mode kernel of one page, laid out as Linux lays out its
# Image, started by the SBI at 0x80200000 with a0 = hart number and a1 = device
# tree. It shows, one after another, the things a VMM must get right: traps,
# memory, the timer, software and external interrupts, the console; then it
# offers a prompt.
#
# Register use: s0 hart number, s1 end of RAM, s2 this hart's PLIC context
# registers. Functions take a0..a2, may change t0..t6 and a0..a7.

.equ UART,          0x10000000      # NS16550A
.equ UART_RBR,      0               # receive buffer (read)
.equ UART_THR,      0               # transmit holding (write)
.equ UART_IER,      1               # interrupt enable; bit 0: data received
.equ UART_FCR,      2               # FIFO control (write); bit 0: FIFOs on
.equ UART_LSR,      5               # line status; bit 0: data, bit 4: break, bit 5: THR empty
.equ UART_IRQ,      10

.equ PLIC,          0x0c000000
.equ PLIC_ENABLE,   PLIC + 0x2000   # 0x80 bytes a context
.equ PLIC_CONTEXT,  PLIC + 0x200000 # 0x1000 bytes a context
.equ PLIC_CLAIM,    4

.equ FINISHER,      0x100000        # the test finisher ends the machine
.equ FINISH_FAIL,   0x3333          # with the status in the upper half word

.equ RAM,           0x80000000
.equ LOADED,        RAM + 0x200000
.equ PROBE_STEP,    0x100000        # RAM is counted in MiB
.equ TICKS_PER_MS,  10000           # the time CSR counts at 10 MHz

.equ SIP_SSIP,      1 << 1
.equ SIE_ALL,       1 << 1 | 1 << 5 | 1 << 9
.equ SSTATUS_SIE,   1 << 1

.equ SBI_BASE,      0x10
.equ SBI_TIME,      0x54494d45
.equ SBI_IPI,       0x735049
.equ SBI_SRST,      0x53525354

.equ INPUT_SIZE,    256             # bytes of the receive ring, a power of two
.equ LINE_SIZE,     80

# ---- Image header (Documentation/arch/riscv/boot-image-header.rst) ----
_start:
        j       start
        .word   0
        .dword  0x200000            # load offset from the start of RAM
        .dword  image_end - _start
        .dword  0                   # flags: little-endian
        .word   2                   # header version 0.2
        .word   0
        .dword  0
        .ascii  "RISCV\0\0\0"
        .ascii  "RSC\x05"
        .word   0

start:  la      sp, stack_top
        mv      s0, a0
        la      t0, trap
        csrw    stvec, t0
        li      t0, UART
        li      t1, 1
        sb      t1, UART_FCR(t0)            # a break comes with what follows it;
                                            # now, as a byte that waits is lost
        la      a0, msg_hello
        call    puts

        call    show_processor
        call    show_memory
        call    show_timer
        call    show_software
        call    show_console
        la      a0, msg_help
        call    puts

# ---- the prompt ----
prompt: la      a0, msg_prompt
        call    puts
        call    read_line
        la      a0, line
        lbu     t0, 0(a0)
        beqz    t0, prompt
        la      s3, commands
1:      ld      a1, 0(s3)           # name; the table ends with 0
        beqz    a1, 2f
        la      a0, line
        call    word_equal          # a1 = the rest of the line
        bnez    a0, 3f
        addi    s3, s3, 16
        j       1b
2:      la      a0, msg_unknown
        call    puts
        j       prompt
3:      ld      t0, 8(s3)
        mv      a0, a1
        jalr    t0
        j       prompt

cmd_help:
        la      a0, msg_help
        tail    puts

cmd_info:
        addi    sp, sp, -16
        sd      ra, 0(sp)
        call    show_processor
        call    show_memory
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

cmd_time:
        addi    sp, sp, -16
        sd      ra, 0(sp)
        la      a0, msg_up
        call    puts
        rdtime  a0
        li      t0, TICKS_PER_MS
        divu    a0, a0, t0
        call    put_dec
        la      a0, msg_up_ms
        call    puts
        rdinstret a0
        call    put_dec
        la      a0, msg_instructions
        call    puts
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

cmd_echo:
        addi    sp, sp, -16
        sd      ra, 0(sp)
        call    puts
        la      a0, msg_newline
        call    puts
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

cmd_trap:                           # an instruction that no hart has
        la      a0, msg_trap
        addi    sp, sp, -16
        sd      ra, 0(sp)
        call    puts
        sb      zero, expected, t0
        .word   0xffffffff
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

cmd_exit:                           # a0: text of the status
        li      t1, 0
        li      t2, 10
1:      lbu     t0, 0(a0)
        addi    t0, t0, -'0'
        bgeu    t0, t2, 2f
        mul     t1, t1, t2
        add     t1, t1, t0
        addi    a0, a0, 1
        j       1b
2:      slli    t1, t1, 16
        li      t0, FINISH_FAIL
        or      t1, t1, t0
        li      t0, FINISHER
        sw      t1, 0(t0)
        ret

cmd_reboot:
        li      a0, 1               # cold reboot
        j       system_reset
cmd_poweroff:
        li      a0, 0               # shutdown
system_reset:
        li      a1, 0               # no reason
        li      a6, 0
        li      a7, SBI_SRST
        ecall
        ret                         # only if the SBI refuses

# ---- the demonstrations ----

show_processor:
        addi    sp, sp, -16
        sd      ra, 0(sp)
        la      a0, msg_hart
        call    puts
        mv      a0, s0
        call    put_dec
        la      a0, msg_sbi
        call    puts
        li      a7, SBI_BASE
        li      a6, 0               # get_spec_version: major in bits 30:24
        ecall
        sd      a1, 8(sp)
        srli    a0, a1, 24
        andi    a0, a0, 0x7f
        call    put_dec
        li      a0, '.'
        call    putc
        ld      a0, 8(sp)
        li      t0, 0xffffff
        and     a0, a0, t0
        call    put_dec
        la      a0, msg_newline
        call    puts
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

# Counts RAM by reading on from this program to the first address that faults
# (below it may lie firmware that must not be read), then tests 1 MiB with a
# pattern and its complement.
show_memory:
        addi    sp, sp, -16
        sd      ra, 0(sp)
        la      a0, msg_memory
        call    puts
        li      s1, LOADED
        li      t1, PROBE_STEP
        sb      zero, faulted, t0
        li      t0, 1
        sb      t0, expected, t2
1:      ld      t2, 0(s1)           # faults past the end; the handler skips it
        lbu     t0, faulted
        bnez    t0, 2f
        add     s1, s1, t1
        j       1b
2:      sb      zero, expected, t0
        li      a0, RAM
        sub     a0, s1, a0
        srli    a0, a0, 20
        call    put_dec
        la      a0, msg_mib
        call    puts

        li      t0, PROBE_STEP
        sub     t0, s1, t0          # the last MiB, where nobody lives
        li      t3, 0               # 0, then all ones: the complement
1:      mv      t1, t0
2:      xor     t2, t1, t3
        sd      t2, 0(t1)
        addi    t1, t1, 8
        bltu    t1, s1, 2b
        mv      t1, t0
3:      xor     t2, t1, t3
        ld      t4, 0(t1)
        bne     t4, t2, 4f
        addi    t1, t1, 8
        bltu    t1, s1, 3b
        not     t3, t3
        bnez    t3, 1b
        la      a0, msg_ok
        j       5f
4:      la      a0, msg_bad
5:      call    puts
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

# Five timer interrupts, ten milliseconds apart.
show_timer:
        addi    sp, sp, -32
        sd      ra, 0(sp)
        sd      s4, 16(sp)
        la      a0, msg_timer
        call    puts
        rdtime  s4
        sd      zero, ticks, t0
        csrwi   sie, 0
        li      t0, SIE_ALL
        csrs    sie, t0
        csrsi   sstatus, SSTATUS_SIE
        call    arm_timer
1:      wfi
        ld      t0, ticks
        li      t1, 5
        bltu    t0, t1, 1b
        csrci   sstatus, SSTATUS_SIE
        rdtime  a0
        sub     a0, a0, s4
        li      t0, TICKS_PER_MS
        divu    a0, a0, t0
        call    put_dec
        la      a0, msg_ms
        call    puts
        ld      s4, 16(sp)
        ld      ra, 0(sp)
        addi    sp, sp, 32
        ret

arm_timer:                          # the next tick, ten milliseconds from now
        rdtime  a0
        li      t0, 10 * TICKS_PER_MS
        add     a0, a0, t0
        li      a6, 0
        li      a7, SBI_TIME
        ecall
        ret

# An interprocessor interrupt from this hart to itself.
show_software:
        addi    sp, sp, -16
        sd      ra, 0(sp)
        la      a0, msg_software
        call    puts
        sd      zero, softs, t0
        csrsi   sstatus, SSTATUS_SIE
        li      a0, 1               # hart mask, relative to a1
        mv      a1, s0
        li      a6, 0
        li      a7, SBI_IPI
        ecall
1:      ld      t0, softs
        beqz    t0, 1b
        la      a0, msg_ok
        call    puts
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

# Turns on the receive interrupt: UART to PLIC to this hart's S-mode context,
# which is number 2 * hart + 1.
show_console:
        addi    sp, sp, -16
        sd      ra, 0(sp)
        la      a0, msg_console
        call    puts
        slli    t0, s0, 1
        addi    t0, t0, 1
        li      t1, PLIC
        li      t2, 1
        sw      t2, UART_IRQ * 4(t1)        # priority 1
        slli    t3, t0, 7
        li      t1, PLIC_ENABLE
        add     t1, t1, t3
        li      t2, 1 << UART_IRQ
        sw      t2, 0(t1)
        slli    t3, t0, 12
        li      s2, PLIC_CONTEXT
        add     s2, s2, t3
        sw      zero, 0(s2)                 # threshold 0
        li      t0, UART
        li      t1, 1
        sb      t1, UART_IER(t0)
        csrsi   sstatus, SSTATUS_SIE
        la      a0, msg_ok
        call    puts
        ld      ra, 0(sp)
        addi    sp, sp, 16
        ret

# ---- traps ----
        .balign 4
trap:   addi    sp, sp, -144
        sd      ra, 0(sp)
        sd      t0, 8(sp)
        sd      t1, 16(sp)
        sd      t2, 24(sp)
        sd      t3, 32(sp)
        sd      t4, 40(sp)
        sd      t5, 48(sp)
        sd      t6, 56(sp)
        sd      a0, 64(sp)
        sd      a1, 72(sp)
        sd      a2, 80(sp)
        sd      a3, 88(sp)
        sd      a4, 96(sp)
        sd      a5, 104(sp)
        sd      a6, 112(sp)
        sd      a7, 120(sp)

        csrr    t0, scause
        bgez    t0, exception
        andi    t0, t0, 0xff
        li      t1, 5
        beq     t0, t1, timer
        li      t1, 9
        beq     t0, t1, external
        csrci   sip, SIP_SSIP               # software
        ld      t0, softs
        addi    t0, t0, 1
        sd      t0, softs, t1
        j       trap_return

timer:  ld      t0, ticks
        addi    t0, t0, 1
        sd      t0, ticks, t1
        li      t1, 5
        bltu    t0, t1, 1f
        li      t1, 1 << 5                  # enough: no more timer interrupts
        csrc    sie, t1
        j       trap_return
1:      call    arm_timer
        j       trap_return

external:
        lw      t3, PLIC_CLAIM(s2)
        beqz    t3, trap_return             # somebody else took it
        li      t0, UART
1:      lbu     t2, UART_LSR(t0)
        andi    t1, t2, 1
        beqz    t1, 2f
        lbu     t1, UART_RBR(t0)
        andi    t2, t2, 1 << 4
        bnez    t2, break
        la      t4, input
        ld      t5, input_head
        andi    t6, t5, INPUT_SIZE - 1
        add     t4, t4, t6
        sb      t1, 0(t4)
        addi    t5, t5, 1
        sd      t5, input_head, t6
        ld      t6, input_tail
        sub     t6, t5, t6
        li      t4, INPUT_SIZE
        bltu    t6, t4, 1b                  # full: leave the rest in the UART,
        sb      zero, UART_IER(t0)          # getc asks for it again
2:      sw      t3, PLIC_CLAIM(s2)
        j       trap_return

# A break and a key are a command to the kernel, as to Linux (magic SysRq).
# Nothing needs to be written out here: only the ends are known.
break:  lbu     t2, UART_RBR(t0)
        li      t1, 'o'
        beq     t2, t1, cmd_poweroff
        li      t1, 'b'
        beq     t2, t1, cmd_reboot
        j       1b

# An exception is either expected (the memory probe) or told to the user; the
# instruction is skipped in both cases. Only 4-byte instructions can get here.
exception:
        lbu     t1, expected
        bnez    t1, 1f
        la      a0, msg_exception
        call    puts
        csrr    a0, scause
        call    put_dec
        la      a0, msg_at
        call    puts
        csrr    a0, sepc
        call    put_hex
        la      a0, msg_tval
        call    puts
        csrr    a0, stval
        call    put_hex
        la      a0, msg_newline
        call    puts
1:      li      t0, 1
        sb      t0, faulted, t1
        csrr    t0, sepc
        addi    t0, t0, 4
        csrw    sepc, t0

trap_return:
        ld      ra, 0(sp)
        ld      t0, 8(sp)
        ld      t1, 16(sp)
        ld      t2, 24(sp)
        ld      t3, 32(sp)
        ld      t4, 40(sp)
        ld      t5, 48(sp)
        ld      t6, 56(sp)
        ld      a0, 64(sp)
        ld      a1, 72(sp)
        ld      a2, 80(sp)
        ld      a3, 88(sp)
        ld      a4, 96(sp)
        ld      a5, 104(sp)
        ld      a6, 112(sp)
        ld      a7, 120(sp)
        addi    sp, sp, 144
        sret

# ---- console ----

putc:   li      t0, UART                    # a0: byte
1:      lbu     t1, UART_LSR(t0)
        andi    t1, t1, 1 << 5
        beqz    t1, 1b
        sb      a0, UART_THR(t0)
        ret

puts:   mv      t2, a0                      # a0: text, ended by 0
        mv      t3, ra
1:      lbu     a0, 0(t2)
        beqz    a0, 2f
        addi    t2, t2, 1
        li      t0, '\n'
        bne     a0, t0, 3f
        li      a0, '\r'                    # a raw terminal wants both
        call    putc
        li      a0, '\n'
3:      call    putc
        j       1b
2:      jr      t3

put_dec:                                    # a0: unsigned number
        li      t2, 10
        j       put_number
put_hex:                                    # a0: number, shown as 0x...
        addi    sp, sp, -16
        sd      ra, 0(sp)
        sd      a0, 8(sp)
        la      a0, msg_0x
        call    puts
        ld      a0, 8(sp)
        ld      ra, 0(sp)
        addi    sp, sp, 16
        li      t2, 16
put_number:                                 # a0: number, t2: base
        addi    sp, sp, -80
        sd      ra, 0(sp)
        addi    t3, sp, 79
        sb      zero, 0(t3)
1:      remu    t0, a0, t2
        divu    a0, a0, t2
        la      t1, digits
        add     t1, t1, t0
        lbu     t1, 0(t1)
        addi    t3, t3, -1
        sb      t1, 0(t3)
        bnez    a0, 1b
        mv      a0, t3
        call    puts
        ld      ra, 0(sp)
        addi    sp, sp, 80
        ret

# Waits for a byte. Interrupts are off between the look and the wfi, so that
# none is lost; wfi ends for a pending one all the same.
getc:   csrci   sstatus, SSTATUS_SIE
        ld      t0, input_tail
        ld      t1, input_head
        bne     t0, t1, 1f
        wfi
        csrsi   sstatus, SSTATUS_SIE
        j       getc
1:      la      t1, input
        andi    t2, t0, INPUT_SIZE - 1
        add     t1, t1, t2
        lbu     a0, 0(t1)
        addi    t0, t0, 1
        sd      t0, input_tail, t1
        li      t0, UART
        li      t1, 1
        sb      t1, UART_IER(t0)
        csrsi   sstatus, SSTATUS_SIE
        ret

# Reads a line into `line`, with echo and backspace.
read_line:
        addi    sp, sp, -32
        sd      ra, 0(sp)
        sd      s4, 8(sp)
        la      s4, line
1:      call    getc
        li      t0, '\r'
        beq     a0, t0, 3f
        li      t0, '\n'
        beq     a0, t0, 3f
        li      t0, 127
        beq     a0, t0, 2f
        li      t0, 8
        beq     a0, t0, 2f
        li      t0, ' '
        bltu    a0, t0, 1b                  # other control characters
        la      t0, line + LINE_SIZE - 1
        bgeu    s4, t0, 1b                  # the line is full
        sb      a0, 0(s4)
        addi    s4, s4, 1
        call    putc
        j       1b
2:      la      t0, line
        beq     s4, t0, 1b
        addi    s4, s4, -1
        la      a0, msg_rubout
        call    puts
        j       1b
3:      sb      zero, 0(s4)
        la      a0, msg_newline
        call    puts
        ld      s4, 8(sp)
        ld      ra, 0(sp)
        addi    sp, sp, 32
        ret

# Compares the first word of the text a0 with the word a1. Returns a0 = 1 if
# they are the same, and then a1 = what follows the word and one blank.
word_equal:
1:      lbu     t0, 0(a0)
        lbu     t1, 0(a1)
        beqz    t1, 2f
        bne     t0, t1, 3f
        addi    a0, a0, 1
        addi    a1, a1, 1
        j       1b
2:      mv      a1, a0
        li      a0, 1
        beqz    t0, 4f
        li      t1, ' '
        bne     t0, t1, 3f
        addi    a1, a1, 1
        ret
3:      li      a0, 0
4:      ret

# ---- data ----
        .balign 8
commands:
        .dword  name_help, cmd_help
        .dword  name_info, cmd_info
        .dword  name_time, cmd_time
        .dword  name_echo, cmd_echo
        .dword  name_trap, cmd_trap
        .dword  name_exit, cmd_exit
        .dword  name_reboot, cmd_reboot
        .dword  name_poweroff, cmd_poweroff
        .dword  0

ticks:      .dword 0
softs:      .dword 0
input_head: .dword 0                # bytes ever put in
input_tail: .dword 0                # bytes ever taken out
expected:   .byte 0                 # 1: skip a fault without a word
faulted:    .byte 0                 # a fault was skipped

name_help:      .asciz "help"
name_info:      .asciz "info"
name_time:      .asciz "time"
name_echo:      .asciz "echo"
name_trap:      .asciz "trap"
name_exit:      .asciz "exit"
name_reboot:    .asciz "reboot"
name_poweroff:  .asciz "poweroff"
digits:         .ascii "0123456789abcdef"

msg_hello:      .asciz "\nThis is the small guest inside Doppel: one page of RISC-V assembly on a\nwhole software machine. To boot Debian instead: doppel run debian:trixie\n\n"
msg_hart:       .asciz "processor    hart "
msg_sbi:        .asciz ", supervisor mode, SBI "
msg_memory:     .asciz "memory       "
msg_mib:        .asciz " MiB; pattern test of the last one: "
msg_timer:      .asciz "timer        5 interrupts, 10 ms apart, took "
msg_ms:         .asciz " ms\n"
msg_software:   .asciz "software     interrupt from this hart to itself: "
msg_console:    .asciz "console      receive interrupt through the PLIC: "
msg_ok:         .asciz "ok\n"
msg_bad:        .asciz "BAD\n"
msg_help:       .asciz "\nhelp info time echo TEXT trap exit STATUS reboot poweroff\n"
msg_prompt:     .asciz "> "
msg_newline:    .asciz "\n"
msg_rubout:     .asciz "\b \b"
msg_unknown:    .asciz "no such command; try help\n"
msg_up:         .asciz "up "
msg_up_ms:      .asciz " ms, "
msg_instructions: .asciz " instructions\n"
msg_trap:       .asciz "executing an instruction that does not exist...\n"
msg_exception:  .asciz "exception "
msg_at:         .asciz " at pc "
msg_tval:       .asciz ", value "
msg_0x:         .asciz "0x"

        .balign 16
input:  .zero   INPUT_SIZE
line:   .zero   LINE_SIZE
        .balign 16
        .zero   8192
stack_top:
image_end:
