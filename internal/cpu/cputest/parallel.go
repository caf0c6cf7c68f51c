package cputest

import (
	"runtime"
	"sync"

	"doppel/internal/cpu"
)

// parallel runs all harts, each on its own goroutine, until each spins at the
// label done. Every program here counts its rounds, so that it ends.
func (m *Machine) parallel(limit uint64) {
	m.T.Helper()
	var wg sync.WaitGroup
	at := m.Sym("done")
	stuck := make([]uint64, len(m.CPUs))
	for i, c := range m.CPUs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := uint64(0); c.Hart().PC != at; n += 10_000 {
				if e := c.Run(10_000); e.Reason != cpu.ExitBudget || n > limit {
					stuck[i] = c.Hart().PC
					return
				}
				runtime.Gosched()
			}
		}()
	}
	wg.Wait()
	for i, pc := range stuck {
		if pc != 0 {
			m.T.Fatalf("hart %d is at pc %#x, never at done", i, pc)
		}
	}
}

// Data of the parallel programs, each in a cache line of its own.
const parallelData = `
	.balign 64
a:	.dword 0, 0, 0, 0, 0, 0, 0, 0
b:	.dword 0, 0, 0, 0, 0, 0, 0, 0
c:	.dword 0, 0, 0, 0, 0, 0, 0, 0
d:	.dword 0, 0, 0, 0, 0, 0, 0, 0
e:	.dword 0, 0, 0, 0, 0, 0, 0, 0
`

// checkParallelAMO: increments by four harts are all there.
func checkParallelAMO(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la a1, a
	la a2, b+4
	la a3, c
	li s0, 400000
	li t0, 1
	li t2, 3
1:	amoadd.d x0, t0, (a1)
	amoadd.w x0, t2, (a2)
	amoxor.d x0, s0, (a3)
	addi s0, s0, -1
	bnez s0, 1b
done:	j done
`+parallelData, Options{Harts: 4})
	m.parallel(1 << 28)
	m.want("sum of doublewords", m.U64(m.Sym("a")), 1600000)
	m.want("sum of words", m.U64(m.Sym("b")), 4800000<<32)
	m.want("exclusive or", m.U64(m.Sym("c")), 0) // four harts: each value came four times
}

// checkParallelLRSC: a counter and a lock made of LR and SC.
func checkParallelLRSC(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la a1, a
	la a2, b
	la a3, c
	la a4, d
	li s0, 50000
1:	lr.d t0, (a1)
	addi t0, t0, 1
	sc.d t1, t0, (a1)
	bnez t1, 1b
	li t2, 1
2:	lr.w.aq t0, (a2)	# lock
	beqz t0, 4f
	pause
	j 2b
4:	sc.w t1, t2, (a2)
	bnez t1, 2b
	ld t3, 0(a3)		# the lock guards two plain counters
	addi t3, t3, 1
	sd t3, 0(a3)
	ld t4, 0(a4)
	addi t4, t4, 1
	sd t4, 0(a4)
	amoswap.w.rl x0, x0, (a2)
	addi s0, s0, -1
	bnez s0, 1b
done:	j done
`+parallelData, Options{Harts: 3})
	m.parallel(1 << 28)
	m.want("counter", m.U64(m.Sym("a")), 150000)
	m.want("first counter under the lock", m.U64(m.Sym("c")), 150000)
	m.want("second counter under the lock", m.U64(m.Sym("d")), 150000)
}

// checkParallelCAS: pairs that amocas.q changes are never seen in halves.
func checkParallelCAS(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la a1, a
	la a2, b
	la a3, e
	li s0, 50000
1:	amocas.q t3, t3, (a1)	# reads a pair: stores at most what is there
	bne t3, t4, bad
	addi s2, t3, 1
	mv s3, s2
	mv s4, t3
	amocas.q t3, s2, (a1)
	bne t3, t4, bad
	bne t3, s4, 1b
2:	ld t3, 0(a2)
	mv t4, t3
	addi t5, t3, 1
	amocas.d t3, t5, (a2)
	bne t3, t4, 2b
	addi s0, s0, -1
	bnez s0, 1b
done:	j done
bad:	sd t3, 0(a3)
	li t0, 1
	sd t0, 8(a3)
	j done
`+parallelData, Options{Harts: 3})
	m.parallel(1 << 28)
	m.want("a pair in halves", m.U64(m.Sym("e")+8), 0)
	m.want("pairs", m.U64(m.Sym("a")), 150000)
	m.want("second halves", m.U64(m.Sym("a")+8), 150000)
	m.want("doublewords", m.U64(m.Sym("b")), 150000)
}

// checkParallelFence: with a fence between its store and its load, one of two
// harts sees the other's store (unpriv §17: SB with fences).
func checkParallelFence(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la a1, a
	la a2, b
	beqz a0, 1f
	la a1, b
	la a2, a
1:	la a3, c		# how often both came
	la a4, d		# the loads of both
	la a5, e
	slli t0, a0, 3
	add a4, a4, t0
	li s0, 1		# the round
	li s1, 20000
round:	li t1, 1
	amoadd.d x0, t1, (a3)
	slli t2, s0, 2
	addi t2, t2, -2		# both are here: 4*round-2
2:	ld t3, 0(a3)
	bge t3, t2, go
	pause
	j 2b
go:	sd s0, 0(a1)
	fence rw, rw
	ld t4, 0(a2)
	sd t4, 0(a4)
	fence rw, rw
	amoadd.d x0, t1, (a3)
	addi t2, t2, 2
3:	ld t3, 0(a3)
	bge t3, t2, judge
	pause
	j 3b
judge:	la t5, d
	ld t3, 0(t5)
	ld t4, 8(t5)
	beq t3, s0, good
	beq t4, s0, good
	amoadd.d x0, t1, (a5)	# neither saw the other
good:	amoadd.d x0, x0, (a3)
	addi s0, s0, 1
	ble s0, s1, next
done:	j done
next:	la t5, d+16		# the loads are not written again before both have judged
	amoadd.d x0, t1, (t5)
	addi t2, s0, -1
	slli t2, t2, 1
4:	ld t3, 0(t5)
	bge t3, t2, round
	pause
	j 4b
`+parallelData, Options{Harts: 2})
	m.parallel(1 << 28)
	m.want("rounds in which neither saw the other", m.U64(m.Sym("e")), 0)
}

// checkParallelCode: a hart executes what another has written, after a flag
// and its own fence.i.
func checkParallelCode(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la a1, a		# the version that is written
	la a2, b		# the version that has been executed
	la a3, patch
	la a4, e
	li s0, 1
	li s1, 5000
	bnez a0, reader
writer:	slli t0, s0, 12
	li t1, 0x537		# lui a0, version
	or t0, t0, t1
	sw t0, 0(a3)
	fence rw, rw
	sd s0, 0(a1)
1:	ld t0, 0(a2)
	beq t0, s0, 2f
	pause
	j 1b
2:	addi s0, s0, 1
	ble s0, s1, writer
	j done
reader:	ld t0, 0(a1)
	beq t0, s0, 3f
	pause
	j reader
3:	fence r, rw
	fence.i
	call sub
	srli a0, a0, 12
	beq a0, s0, 4f
	sd a0, 0(a4)
4:	sd s0, 0(a2)
	addi s0, s0, 1
	ble s0, s1, reader
done:	j done
	.balign 4
sub:	nop
patch:	nop
	ret
`+parallelData, Options{Harts: 2})
	m.parallel(1 << 28)
	m.want("a version that was not the newest", m.U64(m.Sym("e")), 0)
}
