package sched

import "testing"

// worker adds one to a group.
func (m *sim) worker(g *Group, busy, sleep func() int64) *task {
	k := m.task(g, Share{}, busy, sleep)
	k.v.grace, k.v.worker = workerGrace, true
	return k
}

// TestWorkers: what workers do comes out of their group's share, whether they
// are many, or sleep, or do not listen.
func TestWorkers(t *testing.T) {
	always := func(n int64) func() int64 { return func() int64 { return n } }
	for name, add := range map[string]func(m *sim, g *Group){
		"none": func(*sim, *Group) {},
		"busy": func(m *sim, g *Group) { m.worker(g, nil, nil) },
		"four": func(m *sim, g *Group) {
			for range 4 {
				m.worker(g, always(ms), always(ms/10))
			}
		},
		"in turn": func(m *sim, g *Group) { // each one's sleep is the others' time
			for range 5 {
				m.worker(g, always(ms), always(5*ms))
			}
		},
		"often": func(m *sim, g *Group) { m.worker(g, always(ms/5), always(ms/5)) },
		"deaf":  func(m *sim, g *Group) { m.worker(g, nil, nil).deaf = 10 * ms },
	} {
		t.Run(name, func(t *testing.T) {
			m := newSim(t, 1)
			neighbour, g := m.spin(m.group(Share{}), Share{}), m.group(Share{})
			m.spin(g, Share{})
			add(m, g)
			m.run(100 * ms)
			got := m.shares(2000*ms, neighbour)
			closeTo(t, "share of the neighbour", got[0], .5, .02)
			if ran, waited, _ := g.Workers(); len(g.vcpus) > 1 && (ran == 0 || waited == 0) {
				t.Errorf("workers ran %d and waited %d", ran, waited)
			}
		})
	}
}

// TestDeafWorker: one that waits for something else does not keep a processor.
func TestDeafWorker(t *testing.T) {
	m := newSim(t, 1)
	w, v := m.worker(m.group(Share{}), nil, nil), m.spin(m.group(Share{}), Share{})
	w.deaf = 500 * ms
	m.run(slice + workerGrace + ms)
	if ran, _ := v.v.Usage(); ran == 0 {
		t.Error("the one behind it waits")
	}
}

// TestAloneGroup tells whether a group has rivals.
func TestAloneGroup(t *testing.T) {
	m := newSim(t, 1)
	a := m.group(Share{})
	if !a.Alone() {
		t.Error("one group is not alone")
	}
	b := m.group(Share{Cap: 500})
	if a.Alone() || b.Alone() {
		t.Error("one of two is alone")
	}
	a.Close()
	if b.Alone() {
		t.Error("nobody looks at a cap")
	}
}
