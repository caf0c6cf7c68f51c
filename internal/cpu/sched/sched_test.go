package sched

import (
	"math"
	"math/rand/v2"
	"testing"
)

// closeTo fails unless got is want, give or take a part of it.
func closeTo(t *testing.T, what string, got, want, part float64) {
	t.Helper()
	if math.Abs(got-want) > part*want {
		t.Errorf("%s is %.4f, want %.4f within %.1f%%", what, got, want, 100*part)
	}
}

// TestShares: what CPU-bound machines get, by what they have and want. Each
// row is a machine.
func TestShares(t *testing.T) {
	type machine struct {
		share Share
		vcpus int
		want  float64 // of one processor, all vCPUs together
	}
	only := func(n ...int) []int { return n }
	for name, c := range map[string]struct {
		cpus     int
		machines []machine
	}{
		"1:2:4 on one": {1, []machine{{Share{Weight: 1}, 1, 1. / 7}, {Share{Weight: 2}, 1, 2. / 7}, {Share{Weight: 4}, 1, 4. / 7}}},
		"1:2:4 by hundreds, affinity 0": {2, []machine{
			{Share{Weight: 100, Affinity: only(0)}, 1, 1. / 7}, {Share{Weight: 200, Affinity: only(0)}, 1, 2. / 7}, {Share{Weight: 400, Affinity: only(0)}, 1, 4. / 7}}},
		"the widest range":   {1, []machine{{Share{Weight: 1}, 1, 1. / 101}, {Share{}, 1, 100. / 101}}},
		"three on two":       {2, []machine{{Share{}, 1, 2. / 3}, {Share{}, 1, 2. / 3}, {Share{}, 1, 2. / 3}}},
		"1:1:2 on two":       {2, []machine{{Share{}, 1, .5}, {Share{}, 1, .5}, {Share{Weight: 200}, 1, 1}}},
		"too much weight":    {2, []machine{{Share{Weight: 1000}, 1, 1}, {Share{}, 1, .5}, {Share{}, 1, .5}}},
		"a machine of many":  {1, []machine{{Share{}, 8, .5}, {Share{}, 1, .5}}},
		"many on two":        {2, []machine{{Share{}, 8, 1}, {Share{}, 1, 1}}},
		"five on three":      {3, []machine{{Share{}, 1, .6}, {Share{}, 1, .6}, {Share{}, 1, .6}, {Share{}, 1, .6}, {Share{}, 1, .6}}},
		"two of 2, one of 1": {2, []machine{{Share{}, 2, 2. / 3}, {Share{}, 2, 2. / 3}, {Share{}, 1, 2. / 3}}},
		"half":               {1, []machine{{Share{Cap: 500}, 1, .5}}},
		"half of two":        {2, []machine{{Share{Cap: 500}, 2, .5}}},
		"one and a half":     {2, []machine{{Share{Cap: 1500}, 2, 1.5}}},
		"1%":                 {1, []machine{{Share{Cap: 10}, 1, .01}}},
		"99%":                {1, []machine{{Share{Cap: 990}, 1, .99}}},
		"a cap of all":       {1, []machine{{Share{Cap: 1000}, 1, 1}}},
		"cap below share":    {1, []machine{{Share{Cap: 200}, 1, .2}, {Share{}, 1, .4}, {Share{}, 1, .4}}},
		"cap above share":    {1, []machine{{Share{Cap: 900}, 1, .5}, {Share{}, 1, .5}}},
		"caps that leave room": {2, []machine{
			{Share{Cap: 300}, 1, .3}, {Share{Cap: 400}, 1, .4}, {Share{Cap: 500}, 2, .5}}},
		"affinity": {2, []machine{
			{Share{Affinity: only(0)}, 1, .5}, {Share{Affinity: only(0)}, 1, .5}, {Share{Affinity: only(1)}, 1, 1}}},
		"affinity and one that may run anywhere": {2, []machine{
			{Share{Affinity: only(0)}, 1, 2. / 3}, {Share{Affinity: only(0, 1)}, 1, 2. / 3}, {Share{}, 1, 2. / 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newSim(t, c.cpus)
			var all []*task
			for _, mc := range c.machines {
				g := m.group(mc.share)
				for range mc.vcpus {
					all = append(all, m.spin(g, mc.share))
				}
			}
			m.run(300 * ms) // from wherever they begin
			got := m.shares(10_000*ms, all...)
			i := 0
			for n, mc := range c.machines {
				sum := 0.0
				for range mc.vcpus {
					sum += got[i]
					if got[i] < mc.want/float64(mc.vcpus)/2 {
						t.Errorf("vCPU %d of machine %d got %.4f: it starves", i, n, got[i])
					}
					i++
				}
				part := .03
				if mc.share.Cap != 0 {
					part = .02
				}
				closeTo(t, "share of machine "+string(rune('A'+n)), sum, mc.want, part)
			}
		})
	}
}

// TestAffinity: nobody ever runs where it may not.
func TestAffinity(t *testing.T) {
	m := newSim(t, 3)
	for i := range 7 {
		share := Share{Affinity: []int{i % 3, (i + i/3) % 3}}
		g := m.group(share)
		m.task(g, share, func() int64 { return m.rand.Int64N(5 * ms) }, func() int64 { return m.rand.Int64N(5 * ms) })
	}
	m.run(2_000 * ms) // check looks
}

// TestWakeUp: one that sleeps most of the time runs at once when it wakes,
// beside any number of others that never sleep.
func TestWakeUp(t *testing.T) {
	m := newSim(t, 2)
	for range 8 {
		m.spin(m.group(Share{}), Share{})
	}
	k := m.task(m.group(Share{}), Share{}, func() int64 { return 200_000 }, func() int64 { return 9 * ms })
	m.run(100 * ms) // all have just woken at first
	k.latency, k.ran = 0, 0
	m.run(5_000 * ms)
	if k.latency > 2*m.late {
		t.Errorf("it waited up to %d ns", k.latency)
	}
	if want := int64(5_000 * ms / (9_200_000 + m.late) * 200_000); k.ran < want*9/10 {
		t.Errorf("it ran %d ns, want about %d", k.ran, want)
	}
}

// TestSleepersDoNotHoard: who has slept, however long, gets no more than a
// slice in advance.
func TestSleepersDoNotHoard(t *testing.T) {
	for _, long := range []int64{20 * ms, 100 * ms, 20_000 * ms} {
		m := newSim(t, 1)
		g := m.group(Share{})
		var all []*task
		for range 2 {
			all = append(all, m.spin(m.group(Share{}), Share{}))
		}
		busy := []int64{ms, 10_000 * ms}
		c := m.task(g, Share{}, func() int64 {
			b := busy[0]
			busy = busy[1:]
			return b
		}, func() int64 { return long })
		for len(busy) > 0 {
			m.run(ms)
		}
		got := m.shares(90*ms, append(all, c)...)
		if got[2] < 1./3-.04 || got[2] > 1./3+.06 {
			t.Errorf("after %d ms: the one that slept gets %.3f", long/ms, got[2])
		}
	}
}

// TestNewcomers: who was alone for long, undisturbed, is not behind for it when
// others come.
func TestNewcomers(t *testing.T) {
	for cpus := 1; cpus <= 2; cpus++ {
		m := newSim(t, cpus)
		var all []*task
		for range cpus {
			all = append(all, m.spin(m.group(Share{}), Share{}))
		}
		m.run(5_000 * ms)
		for range cpus {
			all = append(all, m.spin(m.group(Share{}), Share{}))
		}
		for i, got := range m.shares(60*ms, all...) {
			if math.Abs(got-.5) > .07 {
				t.Errorf("%d processors: task %d gets %.3f at first", cpus, i, got)
			}
		}
	}
}

// TestSteal: a processor whose vCPUs sleep takes those that wait for another.
func TestSteal(t *testing.T) {
	m := newSim(t, 4)
	g := m.group(Share{})
	var all []*task
	for range 4 { // all begin while only one processor is looked at
		all = append(all, m.spin(g, Share{}))
	}
	m.run(10 * ms)
	for _, got := range m.shares(1000*ms, all...) {
		closeTo(t, "share of each of four on four", got, 1, .001)
	}
}

// TestAlone: a vCPU that nobody waits for is never disturbed, and costs no
// timer.
func TestAlone(t *testing.T) {
	m := newSim(t, 2)
	kicks := 0
	for range 2 {
		k := m.spin(m.group(Share{}), Share{})
		kick := k.v.kick
		k.v.kick = func() { kicks++; kick() }
	}
	m.run(ms)
	before := m.seq
	m.run(10_000 * ms)
	if kicks != 0 || m.seq != before {
		t.Errorf("%d kicks, %d events", kicks, m.seq-before)
	}
}

// TestUsage: waiting and running add up to the time that passes.
func TestUsage(t *testing.T) {
	m := newSim(t, 1)
	capped := Share{Cap: 300}
	a, b := m.spin(m.group(Share{}), Share{}), m.spin(m.group(capped), capped)
	for range 50 {
		m.run(7 * ms)
		for _, k := range []*task{a, b} {
			if ran, waited := k.v.Usage(); ran+waited != m.now {
				t.Fatalf("ran %d and waited %d in %d", ran, waited, m.now)
			}
		}
	}
	if ran, waited := b.v.Usage(); waited < 2*ran {
		t.Errorf("capped at 30%%: ran %d, waited %d", ran, waited)
	}
}

// TestDeaf: a vCPU that does not give way loses its processor all the same, and
// pays for the time.
func TestDeaf(t *testing.T) {
	m := newSim(t, 1)
	a, b := m.spin(m.group(Share{}), Share{}), m.spin(m.group(Share{}), Share{})
	a.deaf = 500 * ms
	m.run(slice + 2*grace)
	if ran, _ := b.v.Usage(); ran == 0 {
		t.Error("the one behind it waits for ever")
	}
	a.deaf = 0
	m.run(2000 * ms)
	got := m.shares(1000*ms, a, b)
	closeTo(t, "share afterwards", got[0], .5, .03)
}

// TestYieldToSibling: the one that was interrupted runs, and on this processor.
func TestYieldToSibling(t *testing.T) {
	m := newSim(t, 2)
	g := m.group(Share{})
	other := m.spin(m.group(Share{Weight: MaxWeight}), Share{})
	a := m.spin(g, Share{})
	b := m.spin(g, Share{})
	m.run(50 * ms)
	for i := range 200 {
		m.run(m.rand.Int64N(4 * ms))
		for _, k := range []*task{a, b} {
			u := a
			if k == a {
				u = b
			}
			if k.v.state != running || !k.running || u.v.state != queued {
				continue
			}
			p := k.v.proc
			k.stop()
			if k.v.YieldToSibling() {
				t.Fatalf("%d: nobody to yield to", i)
			}
			if p.running != u.v || k.v.state != queued || u.v.preempted {
				t.Fatalf("%d: runs %v, waits %v", i, u.v.state, k.v.state)
			}
			break
		}
		m.check()
	}
	other.kill()
	m.run(10 * ms)
	if a.v.state != running || b.v.state != running {
		t.Fatal("two on two do not both run")
	}
	if !a.v.YieldToSibling() {
		t.Error("gave way to one that runs")
	}
}

// TestArrivals: whoever comes, goes, sleeps, is capped or bound to processors,
// nobody starves and check holds after each event.
func TestArrivals(t *testing.T) {
	for seed := range uint64(12) {
		arrivals(t, seed)
	}
}

func FuzzArrivals(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(arrivals)
}

func arrivals(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	m := newSim(t, 1+r.IntN(4))
	m.rand = r
	var groups []*Group
	var shares []Share
	for range 1 + r.IntN(6) {
		share := Share{Weight: 20 + r.IntN(400)}
		if r.IntN(3) == 0 {
			share.Cap = 10 + r.IntN(2000)
		}
		if r.IntN(3) == 0 {
			share.Affinity = []int{r.IntN(len(m.s.procs)), r.IntN(len(m.s.procs))}
		}
		groups, shares = append(groups, m.group(share)), append(shares, share)
	}
	upTo := func(n int64) func() int64 { return func() int64 { return 1 + r.Int64N(n) } }
	for range 40 {
		switch n := r.IntN(len(groups)); r.IntN(4) {
		case 0:
			m.spin(groups[n], shares[n])
		case 1:
			k := m.task(groups[n], shares[n], upTo(8*ms), upTo(8*ms))
			if r.IntN(4) == 0 {
				k.deaf = r.Int64N(3 * grace)
			}
		case 2:
			m.task(groups[n], shares[n], upTo(500_000), upTo(500_000))
		case 3:
			if len(m.tasks) > 0 {
				k := m.tasks[r.IntN(len(m.tasks))]
				if !k.dead {
					k.kill()
				}
			}
		}
		m.run(r.Int64N(40 * ms))
	}
	// Who wants to run does so before long: at most as long as one of the least
	// weight waits beside all others.
	var before []int64
	for _, k := range m.tasks {
		ran, _ := k.v.Usage()
		before = append(before, ran)
	}
	m.run(4_000 * ms)
	for i, k := range m.tasks {
		if ran, waited := k.v.Usage(); !k.dead && ran == before[i] {
			t.Errorf("seed %d: task %d (weight %v, cap %d) did not run in 4 s: %v, ran %d, waited %d", seed, i, k.v.group.weight, k.v.group.tokens.rate, k.v.state, ran, waited)
		}
	}
}
