//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv/hart"
)

func machineOf(t *testing.T, o Options, src string, mo cputest.Options) (*cputest.Machine, *VCPU) {
	t.Helper()
	m := cputest.NewMachine(t, engineOf(o), src, mo)
	return m, m.CPUs[0].(*VCPU)
}

func run(t *testing.T, v *VCPU, n uint64) {
	t.Helper()
	if e := v.Run(n); e.Reason != cpu.ExitBudget {
		t.Fatalf("exit %v (%v) at pc %#x, mcause %#x", e.Reason, e.Err, v.h.PC, v.h.CSR.Mcause)
	}
}

// rewriting is code that changes an instruction of each of two pages in every
// round of a loop, and counts in a1 how often it saw what it had not written.
const rewriting = `
	la s0, one
	la s1, two
	li s2, 0x00150513	# addi a0, a0, 1
	li s3, 0x00250513	# addi a0, a0, 2
	li a1, 0
	li a2, 0
loop:	sw s2, 0(s0)
	sw s3, 0(s1)
	fence.i
	li a0, 0
	jal ra, one
	jal ra, two
	li t0, 3
	beq a0, t0, 1f
	addi a1, a1, 1
1:	sw s3, 0(s0)
	sw s2, 0(s1)
	fence.i
	li a0, 0
	jal ra, one
	jal ra, one
	jal ra, two
	li t0, 5
	beq a0, t0, 1f
	addi a1, a1, 1
1:	addi a2, a2, 1
	j loop
	.balign 4096
	nop
one:	nop
	ret
	.balign 4096
	nop
two:	nop
	ret
`

// TestRewriting: code that rewrites code in other pages in a loop always runs
// what it has written, and the code cache empties itself when that fills it.
func TestRewriting(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1, CodeBytes: 64 << 10}, rewriting, cputest.Options{})
	var before, after runtime.MemStats
	for round := range 60 {
		run(t, v, 100_000)
		if round == 9 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	h := m.Hart()
	if h.X[11] != 0 || h.X[12] < 100_000 {
		t.Errorf("%d wrong of %d rounds", h.X[11], h.X[12])
	}
	if v.stats.Evictions < 100 || v.stats.Stale < 1000 {
		t.Errorf("this test shows nothing: %v", v.stats)
	}
	if after.HeapAlloc > before.HeapAlloc+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes in %d evictions", before.HeapAlloc, after.HeapAlloc, v.stats.Evictions)
	}
}

// collections says how long garbage collections take while work is done on as
// many goroutines as there are functions.
func collections(n int, work ...func(stop *atomic.Bool)) []time.Duration {
	var stop atomic.Bool
	var ended, started sync.WaitGroup
	for _, w := range work {
		started.Add(1)
		ended.Go(func() {
			started.Done()
			w(&stop)
		})
	}
	started.Wait()
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		runtime.GC()
		took[i] = time.Since(start)
	}
	stop.Store(true)
	ended.Wait()
	slices.Sort(took)
	return took
}

// TestCollector: while all vCPUs spin in generated code, the garbage collector
// goes on as it does beside as many goroutines of plain Go.
func TestCollector(t *testing.T) {
	const harts, rounds = 2, 60
	m := cputest.NewMachine(t, engineOf(Options{}), "loop: addi a1, a1, 1\nj loop\n", cputest.Options{Harts: harts})
	var spin, vcpus []func(*atomic.Bool)
	for _, c := range m.CPUs {
		vcpus = append(vcpus, func(stop *atomic.Bool) {
			for !stop.Load() {
				if e := c.Run(1 << 26); e.Reason != cpu.ExitBudget {
					t.Errorf("exit %v", e.Reason)
					return
				}
			}
		})
		spin = append(spin, func(stop *atomic.Bool) {
			for !stop.Load() {
			}
		})
	}
	control := collections(rounds, spin...)
	took := collections(rounds, vcpus...)
	half, usual := took[rounds/2], control[rounds/2]
	t.Logf("collections beside code: median %v, longest %v; beside Go: median %v, longest %v", half, took[rounds-1], usual, control[rounds-1])
	// Slices take 10 microseconds. What remains is the host's scheduling,
	// which the control has too.
	if half > 4*usual+2*time.Millisecond {
		t.Errorf("a collection takes %v beside generated code and %v beside Go", half, usual)
	}
	// On a busy host the collector waits for a processor; without slices it
	// would wait for ever.
	if took[rounds-1] > 5*time.Second {
		t.Errorf("a collection took %v", took[rounds-1])
	}
	for _, c := range m.CPUs {
		if v := c.(*VCPU); v.stats.Slices == 0 {
			t.Errorf("not translated: %v", v.stats)
		}
	}
}

// TestMoreSlices: a region that begins its slices itself ends them as soon as
// the engine would.
func TestMoreSlices(t *testing.T) {
	if !hasRegions {
		t.Skip("no regions on this host")
	}
	// So many would take a second and more.
	_, v := machineOf(t, Options{Threshold: -1, Samples: 1, More: 1 << 19}, "loop: addi a1, a1, 1\nxor a2, a2, a1\naddi a3, a3, -3\nj loop\n", cputest.Options{})
	run(t, v, 1<<24) // the region is made again
	for range 3 {
		before, exits := v.Instructions(), v.stats.Slices
		timer := time.AfterFunc(2*time.Millisecond, v.Kick)
		e := v.Run(1 << 40)
		timer.Stop()
		did := int64(v.Instructions() - before)
		if e.Reason != cpu.ExitKicked || did > 1<<18*v.slice {
			t.Errorf("exit %v after %d instructions", e.Reason, did)
		}
		if n := int64(v.stats.Slices - exits); n < did/v.slice-1 || n > did/v.slice+1 {
			t.Errorf("%d slices of %d instructions counted for %d", n, v.slice, did)
		}
	}
	v.own = 2
	for n := range uint64(20) {
		before, budget := v.Instructions(), uint64(v.slice)*n/2+n
		run(t, v, budget)
		if did := v.Instructions() - before; did != budget {
			t.Errorf("%d instructions for a budget of %d", did, budget)
		}
	}
}

// TestEngineChange: an engine goes on where another has stopped.
func TestEngineChange(t *testing.T) {
	m, v := machineOf(t, Options{}, "loop: addi a1, a1, 1\naddi a2, a2, 3\nj loop\n", cputest.Options{})
	run(t, v, 100_001)
	other, err := New(hart.Config{ID: 0, Memory: m.Mem, Clock: m.Clock}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	other.h.State = v.h.State
	other.h.Refresh()
	run(t, other, 100_001)
	if x := other.h.X; x[11] != 66668 || x[12] != 3*66667 {
		t.Errorf("a1 %d, a2 %d", x[11], x[12])
	}
}

// TestPanic: a bug of ours ends Run with an error that says where the guest
// was.
func TestPanic(t *testing.T) {
	_, v := machineOf(t, Options{Threshold: -1}, "la s0, loop\nloop: ld a1, 0(s0)\nj loop\n", cputest.Options{})
	run(t, v, 1000)
	v.code.blocks = nil
	v.FlushTLB() // the load asks for a block by its number
	e := v.Run(1000)
	if e.Reason != cpu.ExitError || e.Err == nil {
		t.Fatalf("exit %v (%v)", e.Reason, e.Err)
	}
	text := e.Err.Error()
	if want := fmt.Sprintf("in the page %#x: ", uint64(cputest.Base)); !strings.HasPrefix(text, "BUG: translator at guest pc 0x8000000") || !strings.Contains(text, want) || !strings.Contains(text, "dispatch.go") {
		t.Errorf("%s", text)
	}
}

// TestGroups: what a hot block has led to is translated with it and linked, and
// what was never gone to is not.
func TestGroups(t *testing.T) {
	m, v := machineOf(t, Options{Samples: -1}, `
	li s0, 0
loop:	addi s0, s0, 1
	andi t0, s0, 1
	beqz t0, even
	addi s1, s1, 1
	j both
even:	addi s2, s2, 1
both:	andi t0, s0, 3
	bnez t0, loop
	bltz s0, never
	addi s3, s3, 1
	j loop
never:	addi s4, s4, 1
	j loop
`, cputest.Options{})
	run(t, v, 100_000)
	x := &m.Hart().X
	if d := x[9] - x[18]; d > 1 || x[19] != x[8]/4 || x[20] != 0 {
		t.Errorf("s0 to s4 are %d", append([]uint64{x[8], x[9]}, x[18:21]...))
	}
	if s := v.stats; s.Links > 4 || s.Cold > 8 || s.Blocks < 4 || s.Blocks > 7 {
		t.Errorf("%d links, %d times cold, %d blocks: %v", s.Links, s.Cold, s.Blocks, s)
	}
	if p := v.code.pages[v.code.key(cputest.Base)]; p.block(m.Sym("never")-cputest.Base) != nil {
		t.Error("what never runs is translated")
	}
}
