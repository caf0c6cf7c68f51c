//go:build linux && (amd64 || arm64)

package engines

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"doppel/internal/cpu/jit"
	"doppel/test/differential/repeat"
)

// options are the translators that are compared: one as it is used, and others
// that translate at once, and whose code memory is always full.
var options = []struct {
	name string
	jit.Options
}{
	{"usual", jit.Options{}},
	{"eager", jit.Options{Threshold: -1}},
	{"regions", jit.Options{Threshold: -1, Samples: 4, Slice: 20}},
	{"regions in long slices", jit.Options{Threshold: 2, Samples: 2, Slice: 300}},
	{"regions in 64 KiB", jit.Options{Threshold: -1, Samples: 3, Slice: 40, CodeBytes: 64 << 10}},
	{"1 MiB", jit.Options{Threshold: 1, CodeBytes: 1 << 20}},
	{"64 KiB", jit.Options{Threshold: -1, CodeBytes: 64 << 10}},
}

func need(tb testing.TB) {
	if !jit.Available() {
		tb.Skip("no translator on this host")
	}
}

// set is the machines that a few programs in a row are compared on.
type set struct {
	name     string
	machines []*machine
}

// sets makes for each translator: the interpreter, the translator, and both in
// turn.
func sets(tb testing.TB) (all []set) {
	for _, o := range options {
		j := translator(o.Options)
		all = append(all, set{o.name, []*machine{newMachine(tb, interpreter), newMachine(tb, j), newMachine(tb, interpreter, j, j)}})
	}
	return all
}

const length = 60_000 // instructions of a program

// check runs a program that was made from a seed.
func check(t testing.TB, s set, p *program, seed, length uint64) {
	t.Helper()
	events := schedule(rand.New(rand.NewPCG(seed, 1)), length)
	p.devices(events)
	if err := trial(p, events, s.machines); err != nil {
		if at, ok := p.written(s.machines[0].ram.Bytes()); ok {
			err = fmt.Errorf("%w\nThe program has written to its code at %#x: see TestCodeStays", err, at)
		}
		t.Fatalf("DOPPEL_SEED=%d, translator %s, theme %q, %v-mode, satp %#x: %v\n%s", seed, s.name, p.theme.name, p.mode, p.state.CSR.Satp, err,
			last(t, p, events, stopOf(err)))
	}
}

func trial(p *program, events []event, ms []*machine) error {
	for _, m := range ms {
		m.load(p.world)
	}
	return follow(events, ms...)
}

// run compares n programs, in rounds on the same machines, so that code of one
// program meets that of the ones before. As many rounds go on at once as the host
// has processors. It returns how many blocks and regions each kind of translator
// has made.
func run(t *testing.T, n int, length uint64, program func(seed uint64) *program) (blocks, regions map[string]uint64) {
	need(t)
	seed := repeat.Seed(t)
	blocks, regions = map[string]uint64{}, map[string]uint64{}
	var mu sync.Mutex // of both
	const round = 200
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ok := true; ok; {
				first := int(next.Add(round)) - round
				if first >= n {
					return
				}
				// What a round has made goes with its subtest, which is not Parallel:
				// those are kept by their parent.
				ok = t.Run(fmt.Sprintf("from %d", first), func(t *testing.T) {
					all := sets(t)
					for i := first; i < min(first+round, n); i++ {
						seed := seed + uint64(i)
						check(t, all[seed%uint64(len(all))], program(seed), seed, length)
					}
					mu.Lock()
					defer mu.Unlock()
					for _, s := range all {
						for _, m := range s.machines[1:] {
							for _, e := range m.engines {
								if v, ok := e.(*jit.VCPU); ok {
									blocks[s.name] += v.Stats().Blocks
									regions[s.name] += v.Stats().Regions
								}
							}
						}
					}
				})
			}
			next.Store(int64(n)) // one report is enough
		})
	}
	workers.Wait()
	return blocks, regions
}

// TestPrograms compares random programs.
func TestPrograms(t *testing.T) {
	n := repeat.Count(t, 1500, 300)
	blocks, regions := run(t, n, length, newProgram)
	t.Logf("blocks translated: %v; regions: %v", blocks, regions)
	for _, o := range options {
		if !t.Failed() && n > 100 && (blocks[o.name] < uint64(n) || o.Samples > 0 && regions[o.name] < uint64(n)/20) {
			t.Errorf("only %d blocks and %d regions were made by %s: this test shows nothing", blocks[o.name], regions[o.name], o.name)
		}
	}
}

// TestAddresses compares accesses through every shape of address. RAM lies
// between guards, so that an access outside ends the process.
func TestAddresses(t *testing.T) {
	run(t, repeat.Count(t, 150, 40), 2*length, newAddresses)
}

// TestContexts compares loops between which translations change.
func TestContexts(t *testing.T) {
	n := repeat.Count(t, 150, 40)
	_, regions := run(t, n, 3*length, newContexts)
	t.Logf("regions: %v", regions)
	if !t.Failed() && n > 100 && regions["regions"] < 20 {
		t.Errorf("only %d regions were made: this test shows nothing", regions["regions"])
	}
}

// TestEveryStop: a short program may stop after every one of its instructions.
// Its code is warm, so that the translator runs it.
func TestEveryStop(t *testing.T) {
	need(t)
	seed := repeat.Seed(t)
	for i := range repeat.Count(t, 10, 4) {
		seed := seed + uint64(i)
		p := newProgram(seed)
		const total = 1200
		a, b := newMachine(t, interpreter), newMachine(t, translator(jit.Options{Threshold: -1, Samples: 3 - 4*(i%2), Slice: 20}))
		for _, m := range []*machine{a, b} {
			m.load(p.world)
			for range 20 {
				if _, err := m.run(total); err != nil {
					t.Fatalf("DOPPEL_SEED=%d: %v", seed, err)
				}
			}
		}
		for n := uint64(1); n < total; n++ {
			events := []event{{budget: n, line: -1}, {budget: total - n, line: -1}}
			if err := trial(p, events, []*machine{a, b}); err != nil {
				t.Fatalf("DOPPEL_SEED=%d, theme %q, %d of %d instructions: %v\n%s", seed, p.theme.name, n, total, err, last(t, p, events, stopOf(err)))
			}
		}
	}
}

// TestCanFail: the comparison sees a difference in a register, in memory, in
// where Run stops and in how.
func TestCanFail(t *testing.T) {
	for name, spoil := range map[string]func(*machine){
		"register": func(m *machine) { m.cpu().Hart().F[31] ^= 1 },
		"csr":      func(m *machine) { m.cpu().Hart().CSR.Mhpmcounter[3]++ },
		"memory":   func(m *machine) { m.ram.Bytes()[ramSize-1]++ },
		"count":    func(m *machine) { m.cpu().Hart().Instret++ },
	} {
		caught := 0
		for seed := range uint64(4) {
			p := newProgram(seed)
			a, b := newMachine(t, interpreter), newMachine(t, interpreter)
			a.load(p.world)
			b.load(p.world)
			events := schedule(rand.New(rand.NewPCG(seed, 1)), 1000)
			if err := follow(events, a, b); err != nil {
				t.Errorf("two interpreters differ: %v", err)
			}
			spoil(b)
			if follow(events[:1], a, b) != nil {
				caught++
			}
		}
		if caught == 0 {
			t.Errorf("%s: a difference went unseen", name)
		}
	}
}

// TestProgramsGetFar: programs do what their themes say, rather than fault at
// once: nearly all instructions of clean themes retire.
func TestProgramsGetFar(t *testing.T) {
	seen := map[string]bool{}
	clean, retired := 0, uint64(0)
	for seed := range uint64(200) {
		p := newProgram(seed)
		seen[p.theme.name] = true
		if !p.theme.clean {
			continue
		}
		m := newMachine(t, interpreter)
		m.load(p.world)
		if _, err := m.run(10_000); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		clean++
		retired += m.cpu().Instructions()
	}
	if len(seen) != len(themes) || retired < uint64(clean)*7500 {
		t.Errorf("themes %v; of 10000 instructions %d retire", seen, retired/uint64(max(clean, 1)))
	}
}
