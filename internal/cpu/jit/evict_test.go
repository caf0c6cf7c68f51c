//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/memory"
)

// resident is the process's memory in bytes.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, rss int
	if _, err := fmt.Sscan(string(text), &size, &rss); err != nil {
		t.Fatal(err)
	}
	return rss * os.Getpagesize()
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one's cleanups have freed
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// sprawling is code that does not fit in a small code cache: a run of small
// loops over several pages. a0 counts rounds.
var sprawling = "start: addi a0, a0, 1\n" + strings.Repeat("li t0, 2\n1: addi a1, a1, 1\naddi t0, t0, -1\nbnez t0, 1b\n", 1500) + "j start\n"

// TestEvictions: ten thousand times the code cache fills up and is emptied;
// the guest notices nothing, and neither heap nor process grow.
func TestEvictions(t *testing.T) {
	want := uint64(10_000)
	if testing.Short() {
		want = 1000
	}
	m, v := machineOf(t, Options{Threshold: -1, CodeBytes: 16 << 10}, sprawling, cputest.Options{RAM: 1 << 20})
	evictions := func(n uint64) {
		for rounds := 0; v.stats.Evictions < n; rounds++ {
			run(t, v, 10_000)
			if rounds > 100_000 {
				t.Fatalf("this test shows nothing: %v", v.stats)
			}
		}
	}
	evictions(want / 10)
	heap0, rss0 := heap(), resident(t)
	evictions(want)
	heap1, rss1 := heap(), resident(t)
	const slack = 1 << 20
	if heap1 > heap0+slack || rss1 > rss0+8*slack {
		t.Errorf("from eviction %d to %d the heap grew from %d to %d bytes, the process from %d to %d", want/10, want, heap0, heap1, rss0, rss1)
	}
	h := m.Hart()
	if perRound := uint64(3000); h.X[11] < (h.X[10]-1)*perRound || h.X[11] > h.X[10]*perRound {
		t.Errorf("a0 %d, a1 %d", h.X[10], h.X[11])
	}
	t.Logf("%d evictions; heap %d then %d, process %d then %d", v.stats.Evictions, heap0, heap1, rss0, rss1)
}

// TestVCPUsAreFreed: the code memory of VCPUs that nobody has any more goes.
func TestVCPUsAreFreed(t *testing.T) {
	make16 := func() {
		t.Run("16", func(t *testing.T) { // whose end lets go of the machines
			for range 16 {
				_, v := machineOf(t, Options{CodeBytes: 1 << 20}, "loop: addi a0, a0, 1\nj loop\n", cputest.Options{RAM: memory.PageSize})
				run(t, v, 100_000)
			}
		})
	}
	mappings := func() int {
		for range 50 { // cleanups run on a goroutine of their own
			runtime.GC()
			runtime.Gosched()
		}
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Skip(err)
		}
		return strings.Count(string(text), "r-xs")
	}
	make16()
	before := mappings()
	for range 8 {
		make16()
	}
	if after := mappings(); after > before+16 {
		t.Errorf("%d executable mappings, then %d after 128 more VCPUs", before, after)
	}
}

// inTurn is code that changes an instruction of one page after the other, with
// a fence.i after each, and counts in a1 how often it ran what was there
// before.
const inTurn = `
	la s0, one
	la s1, two
	li s2, 0x00150513	# addi a0, a0, 1
	li s3, 0x00250513	# addi a0, a0, 2
	li a1, 0
	li a2, 0
	sw s2, 0(s0)
	sw s2, 0(s1)
	fence.i
loop:	jal ra, both
	li t0, 2
	bne a0, t0, bad
	sw s3, 0(s0)		# one is new, two stays
	fence.i
	jal ra, both
	li t0, 3
	bne a0, t0, bad
	sw s3, 0(s1)		# two is new, one stays
	fence.i
	jal ra, both
	li t0, 4
	bne a0, t0, bad
	sw s2, 0(s0)
	fence.i
	jal ra, both
	li t0, 3
	bne a0, t0, bad
	sw s2, 0(s1)
	fence.i
	addi a2, a2, 1
	j loop
bad:	addi a1, a1, 1
	j loop
both:	mv s4, ra
	li a0, 0
	jal ra, one
	jal ra, two
	mv ra, s4
	ret
	.balign 4096
	nop
one:	nop
	ret
	.balign 4096
	nop
two:	nop
	ret
`

// TestRewritingInTurn: a page that stayed the same over one fence.i is looked
// at in the next.
func TestRewritingInTurn(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, inTurn, cputest.Options{})
	for range 30 {
		run(t, v, 10_000)
	}
	if h := m.Hart(); h.X[11] != 0 || h.X[12] < 1000 {
		t.Errorf("%d wrong of %d rounds", h.X[11], h.X[12])
	}
}

// overlapping is code of which two blocks are made at two times: the second
// after a store that no fence.i has followed yet. a1 counts what is wrong.
const overlapping = `
	la s0, b
	li s2, 0x00150513	# addi a0, a0, 1
	li s3, 0x00250513	# addi a0, a0, 2
	li a1, 0
	li a2, 0
loop:	sw s2, 0(s0)
	fence.i
	li a0, 0
	jal ra, a
	addi a0, a0, -1
	snez a0, a0
	add a1, a1, a0
	sw s3, 0(s0)
	jal ra, b		# may be old or new
	fence.i
	li a0, 0
	jal ra, a
	addi a0, a0, -2
	snez a0, a0
	add a1, a1, a0
	addi a2, a2, 1
	j loop
	.balign 4096
a:	nop
b:	nop
	ret
`

// TestOverlappingBlocks: blocks that share bytes are each compared with memory.
func TestOverlappingBlocks(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, overlapping, cputest.Options{})
	run(t, v, 100_000)
	if h := m.Hart(); h.X[11] != 0 || h.X[12] < 1000 {
		t.Errorf("%d wrong of %d rounds", h.X[11], h.X[12])
	}
}
