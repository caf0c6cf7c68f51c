package sched

import "testing"

// TestOverhead: what wake-ups cost the process is for those who wake.
func TestOverhead(t *testing.T) {
	const cost = 40_000                          // of a wake-up, to the process
	for name, other := range map[string]float64{ // what the process executes besides, of the time
		"wake-ups": 0, "and something else": .5} {
		t.Run(name, func(t *testing.T) {
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
			burden := float64((wakeUps-before)*cost) / (4000 * ms)
			if other > 0 {
				burden = float64((wakeUps-before)*wakeUpCost) / (4000 * ms)
			}
			if burden < .01 {
				t.Fatalf("wake-ups cost %.4f of the time only", burden)
			}
			closeTo(t, "what the machine that wakes uses, to the other", (got[1]+got[2]+burden)/got[0], 1, .03)
		})
	}
}

// TestOverheadIsBounded: what the process does for itself is nobody's debt.
func TestOverheadIsBounded(t *testing.T) {
	m := newSim(t, 1)
	m.s.MeasureProcess(func() int64 { return m.now * 10 })
	a, b := m.spin(m.group(Share{}), Share{}), m.spin(m.group(Share{}), Share{})
	m.run(100 * ms)
	for _, got := range m.shares(2000*ms, a, b) {
		closeTo(t, "share", got, .5, .02)
	}
}
