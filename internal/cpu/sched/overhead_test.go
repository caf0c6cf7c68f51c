package sched

import "testing"

// overheads is a host on which one machine spins and another does too, and
// wakes again and again besides. It returns what they get of the time, and what
// the wake-ups cost the process, each so much, which executes a part of the time
// for itself.
func overheads(t *testing.T, cost int64, other float64) (spins, wakes, burden float64) {
	m := newSim(t, 1)
	always := func(n int64) func() int64 { return func() int64 { return n } }
	spinner := m.spin(m.group(Share{}), Share{})
	g := m.group(Share{})
	busy := m.spin(g, Share{})
	wakeUps := int64(0)
	waker := m.task(g, Share{}, always(ms/5), func() int64 { wakeUps++; return ms / 2 })
	m.s.MeasureProcess(func() int64 {
		sum := wakeUps*cost + int64(other*float64(m.now))
		for _, k := range m.tasks {
			sum += k.v.paid.Load()
		}
		return sum
	})
	m.run(100 * ms)
	before := wakeUps
	got := m.shares(4000*ms, spinner, busy, waker)
	return got[0], got[1] + got[2], float64((wakeUps-before)*cost) / (4000 * ms)
}

// TestOverhead: what wake-ups cost the process is for those who wake.
func TestOverhead(t *testing.T) {
	for _, cost := range []int64{10_000, 40_000, 150_000} {
		spins, wakes, burden := overheads(t, cost, 0)
		if burden < .002 {
			t.Fatalf("wake-ups cost %.4f of the time only", burden)
		}
		closeTo(t, "what the machine that wakes uses, to the other", (wakes+indirect*burden)/spins, 1, .03)
	}
}

// TestOverheadIsBounded: what the process does for itself is nobody's debt, or
// everybody's; and a machine that wakes does not pay for it without end.
func TestOverheadIsBounded(t *testing.T) {
	m := newSim(t, 1)
	m.s.MeasureProcess(func() int64 { return m.now * 10 })
	a, b := m.spin(m.group(Share{}), Share{}), m.spin(m.group(Share{}), Share{})
	m.run(100 * ms)
	for _, got := range m.shares(2000*ms, a, b) {
		closeTo(t, "share", got, .5, .02)
	}
	for _, other := range []float64{.5, 50} {
		spins, wakes, _ := overheads(t, 0, other)
		if wakes/spins < 1./(1+mostOverhead)-.02 {
			t.Errorf("the process executes %v times as much: the machine that wakes gets %.3f, the other %.3f", other, wakes, spins)
		}
	}
}

// TestPaidLate: what is charged after it was seen is not shared out as well.
func TestPaidLate(t *testing.T) {
	m := newSim(t, 1)
	a, b := m.group(Share{}), m.group(Share{})
	v := a.NewVCPU(Share{}, func() {})
	executed := int64(0)
	m.s.MeasureProcess(func() int64 { return executed })
	look := func(changes int64) float64 {
		m.now += overheadTime
		a.changes, a.paid, b.changes, b.paid = changes, ms, changes, ms
		before := b.used
		m.s.shareOverhead(m.now)
		return b.used - before
	}
	look(1)
	executed += ms / 2
	if got := look(1); got != indirect*ms/4 {
		t.Errorf("half of half a millisecond was shared as %v", got)
	}
	m.s.overhead.paid += ms / 2 // of v, which was seen
	if got := look(1); got != 0 || m.s.overhead.advance != ms/2 {
		t.Errorf("what was paid late was shared as %v, and %d is kept", got, m.s.overhead.advance)
	}
	executed += ms
	if got := look(1); got != indirect*ms/4 {
		t.Errorf("a millisecond, of which a half was paid, was shared as %v", got)
	}
	v.Close()
}

// TestChanges: who has caused what runs to change.
func TestChanges(t *testing.T) {
	always := func(n int64) func() int64 { return func() int64 { return n } }
	m := newSim(t, 1)
	a, b := m.group(Share{}), m.group(Share{})
	m.spin(a, Share{})
	m.spin(b, Share{})
	m.run(1000 * ms)
	if slices := m.s.overhead.slices; slices < 10 || a.changes+b.changes > 2 { // they began
		t.Errorf("two that spin: %d and %d changes, %d slices", a.changes, b.changes, slices)
	}
	c := m.group(Share{})
	m.task(c, Share{}, always(ms/10), always(ms))
	before := m.s.overhead.slices
	m.run(1000 * ms)
	if slices := m.s.overhead.slices - before; c.changes < 2*slices || a.changes+b.changes > 2 {
		t.Errorf("one that wakes: %d changes, and %d and %d of others, %d slices", c.changes, a.changes, b.changes, slices)
	}
}

// TestBeside: what goroutines without a place execute for a group comes out of
// its share.
func TestBeside(t *testing.T) {
	m := newSim(t, 1)
	g := m.group(Share{})
	neighbour, k := m.spin(m.group(Share{}), Share{}), m.spin(g, Share{})
	const each, often = ms / 5, ms
	var work func()
	work = func() { g.Beside(each); m.after(often, work) }
	m.after(0, work)
	m.run(100 * ms)
	got := m.shares(2000*ms, neighbour, k)
	closeTo(t, "what the group has, to the neighbour", (got[1]+float64(each)/often)/got[0], 1, .03)
}

// TestOverheadOfSlices: what the ends of slices cost leaves machines of any
// weight their shares.
func TestOverheadOfSlices(t *testing.T) {
	m := newSim(t, 1)
	var all []*task
	for _, weight := range []int{100, 200, 400} {
		all = append(all, m.spin(m.group(Share{Weight: weight}), Share{}))
	}
	m.s.MeasureProcess(func() int64 {
		sum := m.now / 10
		for _, k := range m.tasks {
			sum += k.v.paid.Load()
		}
		return sum
	})
	m.run(100 * ms)
	for i, got := range m.shares(4000*ms, all...) {
		closeTo(t, "share", got, float64(int(1)<<i)/7, .01)
	}
}
