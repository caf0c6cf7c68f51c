//go:build linux

package cputest

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"doppel/internal/cpu"
)

// The kernels run for ever; each leaves the processor's caches warm.
var benchKernels = map[string]string{
	"sieve": `
	la s0, buffer
	li s1, 65536
again:	mv t0, s0
	add t1, s0, s1
	li t2, 1
1:	sb t2, 0(t0)
	addi t0, t0, 1
	bltu t0, t1, 1b
	li t0, 2
2:	add t1, s0, t0
	lbu t2, 0(t1)
	beqz t2, 4f
	slli t1, t0, 1
3:	bgeu t1, s1, 4f
	add t2, s0, t1
	sb zero, 0(t2)
	add t1, t1, t0
	j 3b
4:	addi t0, t0, 1
	li t1, 256
	bltu t0, t1, 2b
	j again
`,
	// Shell sort of 4096 numbers from a linear congruential generator.
	"sort": `
again:	la s0, buffer
	li s1, 4096
	li t0, 0
	li t1, 12345
	li t2, 1103515245
1:	mul t1, t1, t2
	addi t1, t1, 1013
	srli t3, t1, 16
	slli t4, t0, 3
	add t4, t4, s0
	sd t3, 0(t4)
	addi t0, t0, 1
	blt t0, s1, 1b
	li s2, 1024
gap:	mv s3, s2
outer:	slli t0, s3, 3
	add t0, t0, s0
	ld s4, 0(t0)
	mv s5, s3
inner:	blt s5, s2, place
	sub t1, s5, s2
	slli t2, t1, 3
	add t2, t2, s0
	ld t3, 0(t2)
	bleu t3, s4, place
	slli t4, s5, 3
	add t4, t4, s0
	sd t3, 0(t4)
	mv s5, t1
	j inner
place:	slli t4, s5, 3
	add t4, t4, s0
	sd s4, 0(t4)
	addi s3, s3, 1
	blt s3, s1, outer
	srli s2, s2, 1
	bnez s2, gap
	j again
`,
	// Bitwise CRC-32 of 4096 bytes.
	"crc": `
again:	la s0, buffer
	li s1, 4096
	add s1, s1, s0
	li a0, -1
	li a1, 0xedb88320
1:	lbu t0, 0(s0)
	xor a0, a0, t0
	li t1, 8
2:	andi t2, a0, 1
	neg t2, t2
	and t2, t2, a1
	srliw a0, a0, 1
	xor a0, a0, t2
	addi t1, t1, -1
	bnez t1, 2b
	addi s0, s0, 1
	bltu s0, s1, 1b
	j again
`,
	// Calls and returns: Fibonacci of 20.
	"calls": `
	la sp, buffer+65536
again:	li a0, 20
	call fib
	j again
fib:	li t0, 2
	blt a0, t0, 1f
	addi sp, sp, -32
	sd ra, 0(sp)
	sd s0, 8(sp)
	mv s0, a0
	addi a0, a0, -1
	call fib
	sd a0, 16(sp)
	addi a0, s0, -2
	call fib
	ld t0, 16(sp)
	add a0, a0, t0
	ld ra, 0(sp)
	ld s0, 8(sp)
	addi sp, sp, 32
1:	ret
`,
	// Doubles: a polynomial.
	"float": `
	li t0, 3
	fcvt.d.l fa1, t0
	fcvt.d.l fa0, zero
again:	li t1, 1000
1:	fmadd.d fa0, fa0, fa1, fa1
	fdiv.d fa2, fa1, fa0
	fadd.d fa0, fa2, fa1
	fmul.d fa3, fa0, fa1
	addi t1, t1, -1
	bnez t1, 1b
	j again
`,
}

// benchSv39 enters S-mode with the RAM mapped at its own address by pages of
// 4 KiB, then goes on at kernel.
const benchSv39 = `
	la t0, tables
	la t1, tables+4096	# level 1
	srli t2, t1, 2
	ori t2, t2, 1
	sd t2, 16(t0)		# 0x80000000 is the third GiB
	la t3, tables+8192	# level 0, eight of them
	li t4, 8
	mv t5, t1
1:	srli t2, t3, 2
	ori t2, t2, 1
	sd t2, 0(t5)
	addi t5, t5, 8
	li t6, 4096
	add t3, t3, t6
	addi t4, t4, -1
	bnez t4, 1b
	la t3, tables+8192
	li t4, 4096
	li t5, 0x80000000
1:	srli t2, t5, 2
	ori t2, t2, 0xcf
	sd t2, 0(t3)
	addi t3, t3, 8
	li t6, 4096
	add t5, t5, t6
	addi t4, t4, -1
	bnez t4, 1b
	srli t0, t0, 12
	li t1, 8<<60
	or t0, t0, t1
	csrw satp, t0
	sfence.vma
	li t0, -1
	csrw pmpaddr0, t0
	li t0, 0x1f
	csrw pmpcfg0, t0
	la t0, kernel
	csrw mepc, t0
	li t0, 0x6800		# MPP = S, FS = dirty
	csrw mstatus, t0
	mret
	.balign 4096
tables:	.zero 4096*10
kernel:
`

const benchBare = `
	li t0, 0x6000
	csrw mstatus, t0
`

// threadNs is the processor time of the calling thread: others use the
// machine as well.
func threadNs() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// Benchmark reports how many million instructions a second an engine makes.
func Benchmark(b *testing.B, newEngine New) {
	for _, mode := range []struct{ name, prologue string }{{"bare", benchBare}, {"sv39", benchSv39}} {
		for _, name := range []string{"sieve", "sort", "crc", "calls", "float"} {
			b.Run(fmt.Sprintf("%s/%s", mode.name, name), func(b *testing.B) {
				m := NewMachine(b, newEngine, mode.prologue+benchKernels[name]+"\n.balign 4096\nbuffer: .zero 65536\n", Options{})
				const budget = 2_000_000
				run := func() {
					if e := m.CPUs[0].Run(budget); e.Reason != cpu.ExitBudget {
						b.Fatalf("exit %v at pc %#x, cause %#x", e.Reason, m.Hart().PC, m.Hart().CSR.Mcause)
					}
				}
				run()
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				b.ResetTimer()
				start := threadNs()
				for range b.N {
					run()
				}
				ns := threadNs() - start
				b.ReportMetric(float64(b.N)*budget*1000/float64(max(ns, 1)), "MIPS")
			})
		}
	}
}
