package sched

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
)

// sim is a host whose time is simulated: nothing happens but events, one after
// another. After each the scheduler's state is checked.
type sim struct {
	t      *testing.T
	now    int64
	events events
	seq    int
	s      *Scheduler
	tasks  []*task
	rand   *rand.Rand
	checks int
	late   int64 // timers and vCPUs answer up to so much late
}

type event struct {
	at  int64
	seq int
	fn  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

const ms = 1_000_000

func newSim(t *testing.T, cpus int) *sim {
	m := &sim{t: t, rand: rand.New(rand.NewPCG(1, 2)), late: 20_000}
	var numbers []int
	for i := range cpus {
		numbers = append(numbers, i)
	}
	m.s = New(numbers, m)
	return m
}

// Now and NewTimer implement Time.
func (m *sim) Now() int64 { return m.now }

func (m *sim) NewTimer(fn func()) Timer { return &simTimer{m: m, fn: fn} }

type simTimer struct {
	m   *sim
	fn  func()
	gen int
}

func (t *simTimer) Reset(after int64) {
	t.gen++
	gen := t.gen
	t.m.after(after+t.m.delay(), func() {
		if gen == t.gen {
			t.fn()
		}
	})
}

func (t *simTimer) Stop() { t.gen++ }

func (m *sim) delay() int64 {
	if m.late == 0 {
		return 0
	}
	return m.rand.Int64N(m.late)
}

func (m *sim) after(wait int64, fn func()) {
	m.seq++
	heap.Push(&m.events, event{m.now + max(wait, 0), m.seq, fn})
}

// run lets time pass.
func (m *sim) run(d int64) {
	end := m.now + d
	for len(m.events) > 0 && m.events[0].at <= end {
		e := heap.Pop(&m.events).(event)
		m.now = e.at
		e.fn()
		m.check()
		if m.t.Failed() {
			m.t.Fatalf("at %d ns", m.now)
		}
	}
	m.now = end
}

// task is a vCPU that runs for a while, sleeps for a while, and so on.
type task struct {
	m           *sim
	v           *VCPU
	name        string
	busy, sleep func() int64 // busy nil: for ever
	deaf        int64        // how much later than others it answers

	gen     int
	left    int64
	began   int64
	running bool
	dead    bool
	meter   *simMeter

	ran     int64 // as the task itself sees it
	latency int64 // the longest from waking up to running
	woke    int64
}

func (m *sim) group(share Share) *Group { return m.s.NewGroup(share) }

func (m *sim) spin(g *Group, share Share) *task { return m.task(g, share, nil, nil) }

func (m *sim) task(g *Group, share Share, busy, sleep func() int64) *task {
	k := &task{m: m, busy: busy, sleep: sleep, woke: -1, name: fmt.Sprint(len(m.tasks))}
	k.v = g.newVCPU(share, k.kicked, func() { gen := k.gen; m.after(0, func() { k.granted(gen) }) })
	m.tasks = append(m.tasks, k)
	m.after(0, k.wake)
	return k
}

func (k *task) wake() {
	if k.dead {
		return
	}
	k.left = never / 2
	if k.busy != nil {
		k.left = k.busy()
	}
	k.woke = k.m.now
	k.v.Ready()
}

func (k *task) granted(gen int) {
	if k.dead || gen != k.gen {
		return
	}
	k.gen++
	k.running, k.began = true, k.m.now
	if k.woke >= 0 {
		k.latency = max(k.latency, k.m.now-k.woke)
		k.woke = -1
	}
	k.v.Begin()
	k.finish()
	if k.v.GiveWay() { // before it was there
		k.answer(k.gen)
	}
}

// finish ends what there is to do in time.
func (k *task) finish() {
	if gen := k.gen; k.busy != nil {
		k.m.after(k.left, func() { k.done(gen) })
	}
}

func (k *task) stop() {
	k.running = false
	k.gen++
	k.ran += k.m.now - k.began
	k.left -= k.m.now - k.began
}

func (k *task) done(gen int) {
	if gen != k.gen || !k.running {
		return
	}
	k.stop()
	k.v.Block()
	if k.meter != nil {
		k.meter.later()
	}
	k.m.after(k.sleep(), k.wake)
}

// kicked is called with the scheduler's lock held.
func (k *task) kicked() { gen := k.gen; k.m.after(k.m.delay()+k.deaf, func() { k.answer(gen) }) }

func (k *task) answer(gen int) {
	if gen != k.gen || !k.running {
		return
	}
	if !k.v.GiveWay() {
		return
	}
	k.stop()
	if k.v.Yield() {
		k.running, k.began = true, k.m.now
		k.finish()
	}
}

func (k *task) kill() {
	k.dead = true
	if k.running {
		k.stop()
	}
	k.gen++
	k.v.Close()
}

// check is what always holds.
func (m *sim) check() {
	m.t.Helper()
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range s.procs {
		n += len(p.queue)
		for i, v := range p.queue {
			switch {
			case v.state != queued || v.place != i || v.proc != p || !v.allowed[p.index]:
				m.t.Errorf("processor %d's queue: entry %d is %v, place %d", p.number, i, v.state, v.place)
			case i > 0 && v.vt < p.queue[(i-1)/2].vt:
				m.t.Errorf("processor %d's queue is no heap", p.number)
			}
		}
		if v := p.running; v != nil && (v.state != running || v.proc != p || !v.allowed[p.index]) {
			m.t.Errorf("processor %d runs one that is %v", p.number, v.state)
		}
		if p.running != nil {
			continue
		}
		for _, q := range s.procs {
			if v := q.queue.firstFor(p.index); v != nil {
				m.t.Errorf("processor %d idles though one that it could run waits for processor %d", p.number, q.number)
			}
		}
	}
	if int64(n) != s.waiting.Load() {
		m.t.Errorf("%d wait, counted as %d", n, s.waiting.Load())
	}
	if m.checks++; m.checks%16 != 0 {
		return // the rest is long
	}
	type count struct{ runnable, running, queued int }
	counts := map[*Group]count{}
	for _, k := range m.tasks {
		c := counts[k.v.group]
		switch k.v.state {
		case running:
			c.running++
			c.runnable++
		case queued:
			c.queued++
			c.runnable++
			if k.v.group.throttled {
				m.t.Errorf("task %s is queued though its group is throttled", k.name)
			}
		case throttled:
			c.runnable++
			if !k.v.group.throttled {
				m.t.Errorf("task %s is throttled, its group is not", k.name)
			}
		case stray:
			c.runnable++
		}
		counts[k.v.group] = c
		// No wake-up is lost: who is blocked here sleeps there, and who was
		// told to give way knows.
		if !k.dead && k.running && k.v.state != running && k.v.state != stray {
			m.t.Errorf("task %s runs though it is %v", k.name, k.v.state)
		}
		if (k.v.state == running || k.v.state == stray) && k.v.giveWay.Load() && m.now > k.v.asked+2*grace+k.deaf {
			m.t.Errorf("task %s was told to give way %d ns ago", k.name, m.now-k.v.asked)
		}
	}
	for g, c := range counts {
		if g.runnable != c.runnable || g.running != c.running || g.queued.Load() != int64(c.queued) {
			m.t.Errorf("group of weight %v counts %d, %d, %d; want %+v", g.weight, g.runnable, g.running, g.queued.Load(), c)
		}
	}
}

// shares lets time pass and returns each task's part of one processor.
func (m *sim) shares(d int64, tasks ...*task) []float64 {
	var before []int64
	for _, k := range tasks {
		ran, _ := k.v.Usage()
		before = append(before, ran)
	}
	m.run(d)
	var out []float64
	for i, k := range tasks {
		ran, _ := k.v.Usage()
		out = append(out, float64(ran-before[i])/float64(d))
	}
	return out
}
