package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"doppel/internal/cpu/sched"
	"doppel/internal/memory"
)

// Programs for supervisor mode.
const (
	spin = "1:	addi s1, s1, 1\n	j 1b\n"

	// tell keeps the instructions retired in memory, and has steal time at steal.
	tell = `
	la   a0, steal
	li   a1, 0
	li   a2, 0
	li   a6, 0
	li   a7, 0x535441
	ecall
	la   s0, count
1:	addi s1, s1, 1
	sd   s1, 0(s0)
	j    1b
	.align 6
steal:	.zero 64
count:	.dword 0
`
	// naps sleeps for 200 microseconds, over and over.
	naps = `
	li   t0, 1<<5
	csrw sie, t0
	la   s0, count
1:	csrr a0, time
	li   t1, 2000
	add  a0, a0, t1
	csrw stimecmp, a0
	wfi
	ld   t2, 0(s0)
	addi t2, t2, 1
	sd   t2, 0(s0)
	j    1b
	.align 3
count:	.dword 0
`
	// both starts hart 1 at other, with what %HART1% says.
	both = `
	li   a0, 1
	la   a1, other
	li   a2, 0
	li   a6, 0
	li   a7, 0x48534d
	ecall
	la   s0, count
	la   s1, turn
%HART0%
other:	la   s0, count
	la   s1, turn
%HART1%
	.align 6
turn:	.dword 0
	.align 6
count:	.dword 0
`
)

// first is the number of one processor.
func first() []int { return Processors()[:1] }

// word returns what a program keeps at its last label.
func word(t *testing.T, m *Machine, back int) uint64 {
	t.Helper()
	v, err := m.mem.LoadU64(m.plan.programs[0].End - memory.GPA(back))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// meter counts what machines have had of the processors since it was made.
type meter struct {
	machines []*Machine
	usage    [][]Usage
	insns    []uint64
	start    time.Time
}

func newMeter(machines ...*Machine) *meter {
	m := &meter{machines: machines}
	m.usage, m.insns = m.look()
	m.start = time.Now()
	return m
}

func (m *meter) look() (usage [][]Usage, insns []uint64) {
	for _, machine := range m.machines {
		machine.Counts() // and brings vCPUs out of Run, so that they are counted
		s := machine.Stats()
		var us []Usage
		for _, c := range s.CPUs {
			us = append(us, c.Usage)
		}
		usage, insns = append(usage, us), append(insns, s.Instructions())
	}
	return usage, insns
}

// read returns for each vCPU what it has had, and for each machine what it has
// executed.
func (m *meter) read() (usage [][]Usage, insns []uint64, elapsed float64) {
	usage, insns = m.look()
	for i := range usage {
		insns[i] -= m.insns[i]
		for j := range usage[i] {
			usage[i][j].Running -= m.usage[i][j].Running
			usage[i][j].Waiting -= m.usage[i][j].Waiting
			usage[i][j].Executed -= m.usage[i][j].Executed
		}
	}
	return usage, insns, float64(time.Since(m.start))
}

// figure is a share that was measured.
type figure struct {
	name            string
	got, want, part float64
}

// converge looks at the shares of a time that grows. On a host that is busy
// otherwise the beginning and the end of a short time weigh too much; what is
// wrong stays wrong.
func converge(t *testing.T, figures func() []figure) {
	t.Helper()
	late := time.Duration(0)
	for wait, round := shareTime, 0; ; round++ {
		late = max(late, sleep(wait))
		all := figures()
		good := true
		for _, f := range all {
			good = good && math.Abs(f.got-f.want) <= f.part*f.want
		}
		for _, f := range all {
			if good || round == 5 {
				t.Logf("%s: %.4f, want %.4f within %.0f%%", f.name, f.got, f.want, 100*f.part)
			}
		}
		switch {
		case good:
			return
		case round == 5 && late > mostLate:
			t.Skipf("the host did not run this process for %v: shares cannot be measured", late)
		case round == 5:
			t.Error("these are not as they are to be")
			return
		}
		wait += wait / 2
	}
}

// mostLate is how late timers may be for shares to be measured; the scheduler
// makes up for more than that.
const mostLate = 100 * time.Millisecond

// sleep returns by how much a timer was late meanwhile.
func sleep(d time.Duration) (late time.Duration) {
	const step = time.Millisecond
	for end := time.Now().Add(d); time.Now().Before(end); {
		start := time.Now()
		time.Sleep(step)
		late = max(late, time.Since(start)-step)
	}
	return late
}

// shareTime is for how long shares are measured at least.
const shareTime = time.Second

// TestWeights: three machines on one processor get what their weights say, of
// its time and of instructions.
func TestWeights(t *testing.T) {
	var all []*Machine
	for _, weight := range []int{100, 200, 400} {
		cfg := kernel(t, spin)
		cfg.Share = sched.Share{Weight: weight, Affinity: first()}
		m, _, _ := start(t, cfg)
		all = append(all, m)
	}
	meter := newMeter(all...)
	shares := func(what string, of func(i int, usage [][]Usage, insns []uint64) uint64) {
		converge(t, func() (fs []figure) {
			usage, insns, _ := meter.read()
			var sum float64
			for i := range all {
				sum += float64(of(i, usage, insns))
			}
			for i, want := range []float64{1. / 7, 2. / 7, 4. / 7} {
				fs = append(fs, figure{fmt.Sprintf("machine %d's %s", i, what), float64(of(i, usage, insns)) / sum, want, .03})
			}
			return fs
		})
	}
	shares("time", func(i int, usage [][]Usage, _ []uint64) uint64 { return usage[i][0].Executed })
	shares("instructions", func(i int, _ [][]Usage, insns []uint64) uint64 { return insns[i] })
}

// TestCap: a machine does not get more than its cap, and not less.
func TestCap(t *testing.T) {
	for _, c := range []struct {
		cpus, cap int
		engine    string
	}{{1, 500, "auto"}, {1, 500, "interp"}, {2, 700, "auto"}, {1, 50, "auto"}} {
		cfg := kernel(t, strings.NewReplacer("%HART0%", spin, "%HART1%", spin).Replace(both))
		if c.cpus == 1 {
			cfg = kernel(t, spin)
		}
		cfg.CPUs, cfg.Engine = c.cpus, c.engine
		cfg.Share = sched.Share{Cap: c.cap}
		m, _, _ := start(t, cfg)
		meter := newMeter(m)
		converge(t, func() []figure {
			usage, _, elapsed := meter.read()
			ran := 0.0
			for _, u := range usage[0] {
				ran += float64(u.Running)
			}
			return []figure{{fmt.Sprintf("cap of %d on %d, %s", c.cap, c.cpus, c.engine), ran / elapsed, float64(c.cap) / 1000, .02}}
		})
		m.Close()
	}
}

// TestShareErrors: what cannot be is told before anything is built.
func TestShareErrors(t *testing.T) {
	for _, c := range []struct {
		share       sched.Share
		field, want string
	}{
		{sched.Share{Weight: -1}, "CPUWeight", "1 to 10000"},
		{sched.Share{Weight: 10001}, "CPUWeight", "1 to 10000"},
		{sched.Share{Cap: 1001}, "CPUCap", "1% to 100%"},
		{sched.Share{Cap: 9}, "CPUCap", "1% to 100%"},
		{sched.Share{Affinity: []int{5000}}, "CPUAffinity", "no processor 5000"},
	} {
		cfg := kernel(t, spin)
		cfg.Share = c.share
		_, err := New(cfg)
		var e *ConfigError
		if !errors.As(err, &e) || e.Field != c.field || !strings.Contains(e.Reason, c.want) {
			t.Errorf("%+v: %v", c.share, err)
		}
	}
}

// TestStealTime: two machines on one processor: each guest is told that about
// half of the time was stolen, and what it is told is what it has waited.
func TestStealTime(t *testing.T) {
	var all []*Machine
	for range 2 {
		cfg := kernel(t, tell)
		cfg.Share.Affinity = first()
		m, _, _ := start(t, cfg)
		all = append(all, m)
	}
	steal := func(m *Machine) uint64 {
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		defer m.Resume()
		b := make([]byte, 17)
		if err := m.mem.ReadAt(b, m.plan.programs[0].End-memory.GPA(8+64)); err != nil {
			t.Fatal(err)
		}
		if seq := binary.LittleEndian.Uint32(b); seq&1 != 0 {
			t.Errorf("sequence is %d while nothing is written", seq)
		}
		return binary.LittleEndian.Uint64(b[8:])
	}
	eventually(t, "steal time", func() bool { return steal(all[0]) > 0 && steal(all[1]) > 0 })
	before := []uint64{steal(all[0]), steal(all[1])}
	meter := newMeter(all...)
	converge(t, func() (fs []figure) {
		usage, _, elapsed := meter.read()
		for i, m := range all {
			fs = append(fs, figure{"steal time", float64(steal(m)-before[i]) / elapsed, .5, .05},
				figure{"steal time beside waiting", float64(steal(m)-before[i]) / float64(usage[i][0].Waiting), 1, .05})
		}
		return fs
	})
}

// TestWakeUps: a machine that sleeps and wakes beside others that do not sleep
// runs for each of its timers, and it is counted how late.
func TestWakeUps(t *testing.T) {
	cfg := kernel(t, naps)
	cfg.Share.Affinity = first()
	m, _, _ := start(t, cfg)
	for range 3 {
		cfg := kernel(t, spin)
		cfg.Share.Affinity = first()
		start(t, cfg)
	}
	time.Sleep(shareTime)
	if err := m.Pause(); err != nil {
		t.Fatal(err)
	}
	var counted uint64
	s := m.Stats()
	for i, n := range s.WakeUps {
		counted += n
		if n != 0 {
			t.Logf("under %v: %d", time.Duration(1)<<i, n)
		}
	}
	// Some come while the vCPU runs still, or goes to sleep; the last is perhaps
	// not in memory yet.
	if n := word(t, m, 8); counted == 0 || counted > n+1 {
		t.Errorf("%d wake-ups counted of %d", counted, n)
	}
}

// ping is for a hart that waits until turn is its own, adds to count, and gives
// the turn away.
func ping(hart int, wait string) string {
	return fmt.Sprintf(`
	li   s2, %d
1:	ld   t0, 0(s1)
	beq  t0, s2, 2f
%s
	j    1b
2:	ld   t1, 0(s0)
	addi t1, t1, 1
	sd   t1, 0(s0)
	xori t0, t0, 1
	fence rw, w
	sd   t0, 0(s1)
	j    1b
`, hart, wait)
}

// TestDirectedYield: two vCPUs on one processor wait for each other in loops.
// With a hint in them they take turns far faster than slices end.
func TestDirectedYield(t *testing.T) {
	for _, engine := range []string{"interp", "auto"} {
		turns := map[string]uint64{}
		machines := map[string]*Machine{}
		waits := []string{"nop", "pause", "wrs.nto", "wrs.sto"}
		for _, wait := range waits {
			cfg := kernel(t, strings.NewReplacer("%HART0%", ping(0, wait), "%HART1%", ping(1, wait)).Replace(both))
			cfg.CPUs, cfg.Engine = 2, engine
			cfg.Share.Affinity = first()
			m, _, _ := start(t, cfg)
			eventually(t, "a turn", func() bool { return word(t, m, 8) > 2 })
			m.Pause()
			machines[wait] = m
		}
		// A host that is busy otherwise may be slow to change threads.
		good := false
		for round := 0; round < 10 && !good; round++ {
			good = true
			for _, wait := range waits {
				m := machines[wait]
				was := word(t, m, 8)
				m.Resume()
				time.Sleep(shareTime / 5)
				m.Pause()
				turns[wait] += word(t, m, 8) - was
				good = good && (wait == "nop" || turns[wait] > 4*turns["nop"])
			}
		}
		t.Log(engine, turns)
		if !good {
			t.Errorf("%s: the hints are of no use: %v", engine, turns)
		}
		for _, m := range machines {
			m.Close()
		}
	}
}

// TestFenceOfWaiting: a remote fence does not wait for a vCPU that waits for a
// processor.
func TestFenceOfWaiting(t *testing.T) {
	fences := `
1:	li   a0, 2
	li   a1, 0
	li   a2, 0
	li   a3, -1
	li   a6, 1
	li   a7, 0x52464e43
	ecall
	ld   t1, 0(s0)
	addi t1, t1, 1
	sd   t1, 0(s0)
	j    1b
`
	cfg := kernel(t, strings.NewReplacer("%HART0%", fences, "%HART1%", spin).Replace(both))
	cfg.CPUs = 2
	cfg.Share.Affinity = first()
	m, _, _ := start(t, cfg)
	eventually(t, "a fence", func() bool { return word(t, m, 8) > 2 })
	was := word(t, m, 8)
	meter := newMeter(m)
	time.Sleep(shareTime / 3)
	usage, _, _ := meter.read()
	n := word(t, m, 8) - was
	const slice = 3e6 // of the scheduler
	if slices := float64(usage[0][1].Running) / slice; float64(n) < 20*slices {
		t.Errorf("%d fences while the other vCPU ran %.0f slices", n, slices)
	}
	t.Logf("%d fences, usage %+v", n, usage[0])
}

// TestPauseOfWaiting: a machine whose vCPUs wait for a processor, or for their
// cap, can be paused, saved, reset and closed.
func TestPauseOfWaiting(t *testing.T) {
	for range 2 {
		cfg := kernel(t, spin)
		cfg.Share.Affinity = first()
		start(t, cfg)
	}
	cfg := kernel(t, strings.NewReplacer("%HART0%", spin, "%HART1%", spin).Replace(both))
	cfg.CPUs = 2
	cfg.Share = sched.Share{Weight: 1, Cap: 10, Affinity: first()}
	m, _, ended := start(t, cfg)
	for range 20 {
		time.Sleep(time.Millisecond)
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		before := m.Stats()
		if _, err := m.SaveState(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		after := m.Stats()
		for i := range before.CPUs {
			if after.CPUs[i].Usage != before.CPUs[i].Usage {
				t.Errorf("a paused machine's vCPU has gone from %+v to %+v", before.CPUs[i].Usage, after.CPUs[i].Usage)
			}
		}
		if err := m.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
