//go:build linux && (amd64 || arm64)

package jit

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/memory"
)

// loadA0 is the instruction li a0, k.
func loadA0(k uint32) uint32 { return k<<20 | 0x513 }

// TestWatchedCode: after every way to change code, and a fence.i, the new code
// runs; and while nobody changes it, fence.i compares nothing.
func TestWatchedCode(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, `
loop:	fence.i
	jal ra, target
	j loop
store:	sw a1, 0(a2)
	j store
	.balign 4096
target:	li a0, 0
	ret
	.balign 4096
	nop
`, cputest.Options{Harts: 2})
	other := m.CPUs[1].(*VCPU)
	target := m.Sym("target")
	off := target - cputest.Base
	call := func(rounds uint64) {
		v.h.PC = m.Sym("loop")
		run(t, v, 5*rounds)
	}
	storeBy := func(c *VCPU, k uint32) {
		c.h.PC, c.h.X[11], c.h.X[12] = m.Sym("store"), uint64(loadA0(k)), target
		run(t, c, 1)
	}
	word := func(k uint32) []byte { return binary.LittleEndian.AppendUint32(nil, loadA0(k)) }
	ways := []struct {
		name string
		do   func(k uint32)
	}{
		{"its own store", func(k uint32) { storeBy(v, k) }},
		{"WriteAt", func(k uint32) { m.Mem.WriteAt(word(k), memory.GPA(target)) }},
		{"a device's buffer", func(k uint32) {
			b, err := m.Mem.Slice(memory.GPA(target), 4)
			if err != nil {
				t.Fatal(err)
			}
			call(1) // looks at it between the marks
			copy(b, word(k))
			m.RAM.MarkDirtyRange(off, 4)
		}},
		{"memory changed while stopped", func(k uint32) {
			copy(m.RAM.Bytes()[off:], word(k))
			v.FlushTLB()
		}},
		{"another vCPU's store", func(k uint32) { storeBy(other, k) }}, // which holds the page from then on
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range uint32(400) {
		most := len(ways)
		if n < 300 {
			most-- // nobody else holds it yet
		}
		w := ways[rng.IntN(most)]
		k := n + 1
		w.do(k)
		rounds := uint64(1 + rng.IntN(3))
		if n%20 == 0 {
			rounds = 2 * maxKept // it gets quiet
		}
		call(rounds)
		if got := v.h.X[10]; got != uint64(k) {
			t.Fatalf("round %d: after %s, the code gave %d, want %d", n, w.name, got, k)
		}
		if n == 280 {
			before := v.stats.Compared
			call(10 * maxKept)
			if did := v.stats.Compared - before; did != 0 {
				t.Errorf("%d comparisons of code that nobody changes", did)
			}
		}
	}
	if v.stats.Stale < 300 {
		t.Errorf("this test shows nothing: %v", v.stats)
	}
}

// TestUnwatchedMeanwhile: another vCPU that forgets the page, and so ends its
// being watched, while this one lets go of it, does not hide this one's stores.
func TestUnwatchedMeanwhile(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, `
loop:	fence.i
	jal ra, target
	j loop
store:	sw a1, 0(a2)
	j store
	.balign 4096
target:	li a0, 0
	ret
`, cputest.Options{})
	target := m.Sym("target")
	off := target - cputest.Base
	rng := rand.New(rand.NewPCG(1, 2))
	rounds := uint32(1500)
	if testing.Short() {
		rounds = 300
	}
	for n := range rounds {
		k := n%1000 + 1
		v.h.PC, v.h.X[11], v.h.X[12] = m.Sym("store"), uint64(loadA0(k)), target
		run(t, v, 1)
		var wg sync.WaitGroup
		pause := rng.IntN(30_000)
		wg.Go(func() {
			for range pause {
				m.RAM.Watched(off) // takes time
			}
			m.RAM.UnwatchPage(off)
		})
		v.h.PC = m.Sym("loop")
		run(t, v, 5*2*maxKept)
		wg.Wait()
		if got := v.h.X[10]; got != uint64(k) {
			t.Fatalf("round %d: the code gave %d, want %d", n, got, k)
		}
	}
}

// TestWatchedCodeInParallel: one vCPU writes code that the other one runs.
func TestWatchedCodeInParallel(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, `
	la s0, target
	la s1, flag
	la s2, ack
	bnez a0, writer
reader:	lw t0, 0(s1)
	beq t0, s4, reader
	fence
	mv s4, t0
	fence.i
	jal ra, target
	beq a0, s4, 1f
	addi s5, s5, 1		# wrong
1:	addi s6, s6, 1
	fence
	sw s4, 0(s2)
	j reader
writer:	addi s3, s3, 1
	andi t0, s3, 0x3ff
	slli t1, t0, 20
	addi t1, t1, 0x513
	sw t1, 0(s0)
	fence
	sw t0, 0(s1)
1:	lw t2, 0(s2)
	bne t2, t0, 1b
	j writer
	.balign 4096
target:	li a0, 0
	ret
	.balign 4096
flag:	.word 0
ack:	.word 0
`, cputest.Options{Harts: 2})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		if e := m.CPUs[1].Run(1 << 60); e.Reason != cpu.ExitKicked {
			t.Errorf("exit %v: %v", e.Reason, e.Err)
		}
	}()
	// A host that has one processor for both gives the reader fewer rounds.
	const enough, least = 2000, 50
	for range 100_000 {
		run(t, v, 100_000)
		if v.h.X[22] >= enough || v.h.X[21] != 0 {
			break
		}
	}
	m.CPUs[1].Kick()
	wg.Wait()
	if wrong, all := v.h.X[21], v.h.X[22]; wrong != 0 || all < least {
		t.Errorf("%d wrong of %d", wrong, all)
	}
}
