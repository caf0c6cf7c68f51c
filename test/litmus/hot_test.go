package litmus

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/jit"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
)

//go:embed hot.asm
var hotDriver string

const (
	// roundsEnv is how many rounds of each shape TestHot runs.
	roundsEnv = "DOPPEL_LITMUS"

	maxBatch   = 8192 // rounds between two looks at the outcomes
	stride     = 256  // bytes from a round's variables to the next one's
	progressAt = bare.Base + 0x8_0000
)

// hot runs a shape's parts in loops.
type hot struct {
	*shape
	ms    []*bare.Machine
	reads []read
}

// hotPart is what hart i of a shape executes.
func (s *shape) hotPart(i int) string {
	var w strings.Builder
	fmt.Fprintf(&w, "hart%d:\n\tsd s1, %d(s4)\n", i, 64*i)
	for j := range s.parts {
		if j != i {
			fmt.Fprintf(&w, "wait%d_%d:\n\tld t0, %d(s4)\n\tadd t0, t0, s5\n\tblt t0, s1, wait%d_%d\n", i, j, 64*j, i, j)
		}
	}
	fmt.Fprintf(&w, `
	slli t0, s6, 13
	xor s6, s6, t0
	srli t0, s6, 7
	xor s6, s6, t0
	slli t0, s6, 17
	xor s6, s6, t0
	andi t0, s6, 15
delay%d:
	addi t0, t0, -1
	bgez t0, delay%d
	mv a0, s2
	addi a1, s2, 64
	addi a6, s2, 128
	li a2, 0
	li a3, 0
	li a4, 0
	li a5, 0
	%s
	sd a2, 0(s3)
	sd a3, 8(s3)
	sd a4, 16(s3)
	sd a5, 24(s3)
	addi s2, s2, %d
	add s3, s3, s7
	addi s1, s1, 1
	blt s1, s8, hart%d
	sd s1, %d(s4)
	j end
`, i, i, strings.ReplaceAll(s.parts[i], "\n", "\n\t"), stride, i, 64*i)
	return w.String()
}

func newHot(t *testing.T, s *shape, e bare.Engine) *hot {
	src := hotDriver + "harts:\n"
	for i := range s.parts {
		src += fmt.Sprintf("\t.dword hart%d\n", i)
	}
	for i := range s.parts {
		src += s.hotPart(i)
	}
	p, err := asm.Assemble(src, asm.Options{Origin: bare.Base, Symbols: map[string]uint64{"HARTS": uint64(len(s.parts)),
		"VARIABLES": variablesAt, "RESULTS": resultsAt, "PROGRESS": progressAt, "FINISHER": finisher}})
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	h := &hot{shape: s, ms: bare.NewHarts(t, e, bare.Config{}, len(s.parts)), reads: make([]read, len(s.parts))}
	h.ms[0].Load(bare.Base, p.Code)
	for _, m := range h.ms {
		m.Start(bare.Base)
	}
	return h
}

// batch is a number of rounds in which no hart gets further ahead of another
// than window. The less, the more often they meet, and wait.
type batch struct{ rounds, window uint64 }

var batches = [...]batch{{maxBatch, 16}, {1024, 0}, {maxBatch, 200}, {2048, 1}}

func (h *hot) run(t *testing.T, b batch) error {
	ram := h.ms[0].RAM
	clear(ram[variablesAt-bare.Base:][:maxBatch*stride])
	for i := range h.ms {
		clear(ram[progressAt-bare.Base+64*uint64(i):][:8])
	}
	limits := ram[progressAt-bare.Base+64*uint64(len(h.ms)):]
	binary.LittleEndian.PutUint64(limits, b.window)
	binary.LittleEndian.PutUint64(limits[8:], b.rounds)
	errs := make([]error, len(h.ms))
	var wg sync.WaitGroup
	for i, m := range h.ms {
		ended := false
		m.Hart.PC = bare.Base
		m.MMIO = func(a cpu.MMIO) (uint64, bool) {
			ended = a.Addr == finisher && a.Write
			return 0, ended
		}
		wg.Go(func() {
			errs[i] = m.Run(1<<40, 1<<13, func() bool { runtime.Gosched(); return ended })
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	word := func(addr uint64) uint64 { return binary.LittleEndian.Uint64(ram[addr-bare.Base:]) }
	for n := range b.rounds {
		for i := range h.reads {
			for k := range h.reads[i] {
				h.reads[i][k] = word(resultsAt + n*32*uint64(len(h.ms)) + 32*uint64(i) + 8*uint64(k))
			}
		}
		x, y := word(variablesAt+stride*n), word(variablesAt+stride*n+64)
		if h.forbidden(h.reads, x, y) {
			return fmt.Errorf("round %d with a window of %d: the harts read %d, x is %#x and y is %#x", n, b.window, h.reads, x, y)
		}
	}
	return nil
}

// regions is how many regions the translators of all harts have made.
func (h *hot) regions() (n uint64) {
	for _, m := range h.ms {
		if c, ok := m.VCPU.(cpu.Counter); ok {
			for _, c := range c.Counts() {
				if c.Name == "regions" {
					n += c.N
				}
			}
		}
	}
	return n
}

// TestHot runs the shapes many more times than TestShapes, in loops that
// become regions where the engine has them. How much harts meet is up to the
// host: with other work on it, those that wait for one that rests only wait.
func TestHot(t *testing.T) {
	rounds := 0
	if text := os.Getenv(roundsEnv); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 {
			t.Fatalf("%s: %q is not a number from 1", roundsEnv, text)
		}
	}
	type run struct {
		bare.Engine
		rounds  int
		regions bool // must be made
	}
	var runs []run
	if !testing.Short() || rounds != 0 {
		for _, e := range bare.Engines {
			runs = append(runs, run{e, 1, false})
		}
	}
	if jit.Available() {
		// Of the hosts, amd64 has regions.
		runs = append(runs, run{bare.JIT("jit in long slices", jit.Options{Threshold: 1, CodeBytes: 1 << 20, Samples: 1, Slice: 1000}),
			2 * maxBatch, runtime.GOARCH == "amd64"})
	}
	for _, e := range runs {
		if rounds != 0 {
			e.rounds = rounds
		}
		for i := range shapes {
			s := &shapes[i]
			t.Run(e.Name+"/"+s.name, func(t *testing.T) {
				h := newHot(t, s, e.Engine)
				for n, done := 0, 0; done < e.rounds; n++ {
					b := batches[n%len(batches)]
					if err := h.run(t, b); err != nil {
						t.Fatal(err)
					}
					done += int(b.rounds)
				}
				if e.regions && h.regions() == 0 {
					t.Error("no loop became a region")
				}
			})
		}
	}
}
