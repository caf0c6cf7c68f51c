package sched

import "testing"

// simMeter is a task's thread, of which the host executes a part only.
type simMeter struct {
	k     *task
	part  float64 // of the time with a processor
	waits bool    // because the thread waits for something else
	after int64   // executed each time that it has given its processor up

	start, more int64
}

// measured gives a task a meter.
func (k *task) measured(part float64) *simMeter {
	k.meter = &simMeter{k: k, part: part}
	k.v.SetMeter(k.meter)
	return k.meter
}

func (m *simMeter) all() int64 {
	ran := m.k.ran
	if m.k.running {
		ran += m.k.m.now - m.k.began
	}
	return int64(float64(ran)*m.part) + m.more
}

// later is when the processor has been given up.
func (m *simMeter) later() {
	m.more += m.after
	m.k.v.Settle()
}

func (m *simMeter) Start()          { m.start = m.all() }
func (m *simMeter) Executed() int64 { return m.all() - m.start }
func (m *simMeter) Waits() bool     { return m.waits }
func (m *simMeter) Moved() bool     { return false }

func (m *simMeter) Waited() (bool, int64) { return m.waits, 0 }

// executed lets time pass and returns what tasks' threads execute.
func (m *sim) executed(d int64, tasks ...*task) (all []float64) {
	for _, k := range tasks {
		all = append(all, -float64(k.meter.all()))
	}
	m.run(d)
	for i, k := range tasks {
		all[i] += float64(k.meter.all())
	}
	return all
}

// TestHostIsBusy: of what the host leaves, machines have their shares, whomever
// it takes it from.
func TestHostIsBusy(t *testing.T) {
	for name, parts := range map[string][2]float64{"nothing": {1, 1}, "from one": {1, .4}, "from both": {.2, .5}, "from all": {.1, .1}} {
		t.Run(name, func(t *testing.T) {
			m := newSim(t, 1)
			a, b := m.spin(m.group(Share{}), Share{}), m.spin(m.group(Share{Weight: 2 * DefaultWeight}), Share{})
			a.measured(parts[0])
			b.measured(parts[1])
			m.run(100 * ms)
			got := m.executed(4000*ms, a, b)
			closeTo(t, "what the second executes to the first", got[1]/got[0], 2, .03)
			for _, k := range []*task{a, b} {
				if ran, waited := k.v.Usage(); ran+waited != m.now {
					t.Errorf("ran %d and waited %d in %d", ran, waited, m.now)
				}
			}
		})
	}
}

// TestWaitsForSomethingElse: who keeps a processor without executing pays.
func TestWaitsForSomethingElse(t *testing.T) {
	for name, add := range map[string]func(m *sim, g *Group) *task{
		"vCPU":   func(m *sim, g *Group) *task { return m.spin(g, Share{}) },
		"worker": func(m *sim, g *Group) *task { return m.worker(g, nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newSim(t, 1)
			neighbour := m.spin(m.group(Share{}), Share{})
			neighbour.measured(1)
			add(m, m.group(Share{})).measured(0).waits = true
			m.run(100 * ms)
			closeTo(t, "share of the neighbour", m.shares(2000*ms, neighbour)[0], .5, .03)
		})
	}
}

// TestSettle: what is executed without a processor is charged afterwards.
func TestSettle(t *testing.T) {
	m := newSim(t, 1)
	neighbour, g := m.spin(m.group(Share{}), Share{}), m.group(Share{})
	neighbour.measured(1)
	spinner := m.spin(g, Share{})
	spinner.measured(1)
	always := func(n int64) func() int64 { return func() int64 { return n } }
	w := m.worker(g, always(ms), always(ms))
	w.measured(1).after = 2 * ms
	m.run(200 * ms)
	got := m.executed(4000*ms, neighbour, spinner, w)
	closeTo(t, "what the machine with the worker executes to the other", (got[1]+got[2])/got[0], 1, .05)
}

// TestDeafIsMeasured: what one that lost its processor executes is charged when
// it notices.
func TestDeafIsMeasured(t *testing.T) {
	m := newSim(t, 1)
	neighbour := m.spin(m.group(Share{}), Share{})
	neighbour.measured(1)
	w := m.worker(m.group(Share{}), nil, nil)
	w.measured(1)
	w.deaf = 20 * ms
	m.run(200 * ms)
	before, at := w.v.Executed(), w.meter.all()
	m.run(4000 * ms)
	closeTo(t, "what it pays for", float64(w.v.Executed()-before), float64(w.meter.all()-at), .02)
}

// TestAloneForLong: who was alone, unmeasured, is not behind for it.
func TestAloneForLong(t *testing.T) {
	m := newSim(t, 1)
	a := m.spin(m.group(Share{}), Share{})
	a.measured(1)
	m.run(5000 * ms)
	b := m.spin(m.group(Share{}), Share{})
	b.measured(1)
	for i, got := range m.shares(60*ms, a, b) {
		if got < .43 || got > .57 {
			t.Errorf("task %d gets %.3f at first", i, got)
		}
	}
}
