// Package sched shares a host's processors out among the vCPUs of many
// machines: proportional shares by weight, caps, affinity, slices of bounded
// length, and a preference for those that have slept.
//
// A vCPU executes guest instructions only while it holds a processor. It asks
// for one when it has something to do (Ready), gives it back when it has not
// (Block), and gives way when it is told to (Kick, GiveWay, Yield). Each
// processor has a queue of those that wait for it; one that has nobody left
// takes from the others' queues, and at the end of each slice one that is
// ahead of the others does (balance). A vCPU that nobody waits for is never
// disturbed.
//
// Within a queue the vCPU with the least virtual time runs next: what it has
// executed on processors divided by weight. The weight is a machine's (Group) and divided
// over those of its vCPUs that want to run, so that a machine does not get
// more by having more of them. A sleeper comes back with at most one slice in
// advance.
//
// The package executes nothing and knows no machine, engine or thread. Which
// thread runs on which processor of the host is the caller's: the scheduler
// only sees to it that no more vCPUs run than there are processors, and none
// but on those that it may use. What a thread has executed a Meter tells.
//
// Threads: any goroutine may call anything, but Block, Yield and
// YieldToSibling of a VCPU belong to the goroutine that runs it, and so does
// Ready unless that waits for Granted only. One lock
// guards the queues. Kick functions are called with it held: they must not
// block, nor call back. A vCPU that goes on running passes no lock.
package sched

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// slice is how long a vCPU runs while another waits that is no better off.
	slice = 3_000_000
	// wakeLead is by how much more a vCPU that wakes must deserve to run, in
	// its own time on a processor, to interrupt the one that does.
	wakeLead = 500_000
	// minTurn is how long a vCPU runs at least before another that wakes
	// interrupts it: changing costs as much as some thousand instructions, and
	// one that sleeps for an instant again and again must not make others pay.
	minTurn = 200_000
	// grace is how long a vCPU that is told to give way may take. Then it
	// loses its processor while it still works (or waits) outside of Run. A
	// busy host keeps a thread that has nothing to answer for waiting too.
	grace = 250_000_000
	// workerGrace is the same for workers, which may wait for a file.
	workerGrace = slice
	// maxCharge is what one look charges at most: a process that was stopped
	// must not pay for it for ever.
	maxCharge = 1_000_000_000

	never = int64(1<<63 - 1)
)

// Scheduler shares out the processors of one host.
type Scheduler struct {
	time Time

	mu       sync.Mutex
	procs    []*processor
	overhead overhead
	// waiting is how many vCPUs are in queues.
	waiting atomic.Int64
	groups  atomic.Int64
}

// New returns a scheduler of the host's processors with the given numbers, at
// least one.
func New(cpus []int, t Time) *Scheduler {
	s := &Scheduler{time: t, overhead: overhead{groups: map[*Group]struct{}{}}}
	for i, n := range cpus {
		p := &processor{number: n, index: i, armed: never}
		p.timer = t.NewTimer(func() { s.tick(p) })
		s.procs = append(s.procs, p)
	}
	return s
}

// CPUs are the numbers of the processors.
func (s *Scheduler) CPUs() []int {
	var all []int
	for _, p := range s.procs {
		all = append(all, p.number)
	}
	return all
}

// Crowded tells, without a lock, whether vCPUs are in queues.
func (s *Scheduler) Crowded() bool { return s.waiting.Load() != 0 }

// enqueue makes a vCPU wait for a processor, or gives it an idle one. It is
// not running, and counted among its group's runnable ones; since is when it
// began to wait. One that has woken interrupts another unless it is ahead.
func (s *Scheduler) enqueue(v *VCPU, now, since int64) {
	v.since = since
	if v.group.tokens.exhausted(now) {
		s.throttle(v.group, now)
	}
	if v.group.throttled {
		v.state = throttled
		return
	}
	p := s.place(v, now)
	if p.running == nil {
		s.start(p, v, now)
		return
	}
	r := p.running
	p.adopt(v)
	s.push(p, v, now)
	if v.before(r, p.clock) && p.next == nil {
		p.next = v
	}
	switch {
	case s.idleFor(r) != nil || p.next == v && now >= r.turn+minTurn:
		s.ask(r, now)
	case p.next == v:
		s.arm(p, now)
	}
}

// before tells whether v, of the same queue, is to interrupt r: if it deserves
// it more by far, or has woken, as r has not, and is not ahead of the queue.
func (v *VCPU) before(r *VCPU, clock float64) bool {
	return v.vt+v.group.virtual(wakeLead) < r.vt || v.woken && !r.woken && v.vt <= clock
}

// place chooses the processor that a vCPU waits for: an idle one, or that whose
// vCPU is the furthest ahead if it need not wait there, or that with the
// shortest queue. If none is idle it charges those that run.
func (s *Scheduler) place(v *VCPU, now int64) *processor {
	if p := s.idleFor(v); p != nil {
		return p
	}
	var shortest, soonest *processor
	most := 0.0
	lead := v.group.virtual(slice)
	for _, p := range s.procs {
		if !v.allowed[p.index] {
			continue
		}
		if n := len(p.queue); shortest == nil || n < len(shortest.queue) || n == len(shortest.queue) && p == v.proc {
			shortest = p
		}
		r := p.running
		s.charge(r, now)                    // first: v must not gain what r had alone
		at := max(v.vt-v.proc.clock, -lead) // as adopt will do it
		ahead := r.vt - p.clock - at
		if p.next == nil && !r.giveWay.Load() && (ahead > v.group.virtual(wakeLead) || v.woken && !r.woken && at <= 0) && (soonest == nil || ahead > most) {
			soonest, most = p, ahead
		}
	}
	if soonest != nil {
		return soonest
	}
	return shortest
}

// start gives an idle processor to a vCPU that is in no queue.
func (s *Scheduler) start(p *processor, v *VCPU, now int64) {
	s.align(p)
	p.adopt(v)
	s.run(p, v, now)
}

// idleFor is a processor that a vCPU could have at once, preferably that on
// which it was last.
func (s *Scheduler) idleFor(v *VCPU) *processor {
	if p := v.proc; p.running == nil && v.allowed[p.index] {
		return p
	}
	for _, p := range s.procs {
		if p.running == nil && v.allowed[p.index] {
			return p
		}
	}
	return nil
}

// push puts a vCPU into a queue.
func (s *Scheduler) push(p *processor, v *VCPU, now int64) {
	v.state, v.proc = queued, p
	p.queue.push(v)
	v.group.queued.Add(1)
	if s.waiting.Add(1) == 1 {
		for _, q := range s.procs { // slices have an end from now on
			if q.running != nil {
				q.running.slice = now
			}
			s.arm(q, now)
		}
	} else {
		s.arm(p, now)
	}
}

// pull takes a vCPU out of its queue.
func (s *Scheduler) pull(v *VCPU) {
	v.proc.queue.remove(v)
	if v.proc.next == v {
		v.proc.next = nil
	}
	v.group.queued.Add(-1)
	s.waiting.Add(-1)
}

// run gives a processor without a vCPU to one that is in no queue, but in the
// processor's frame.
func (s *Scheduler) run(p *processor, v *VCPU, now int64) {
	v.waited.Add(now - v.since)
	v.state, v.proc, v.preempted = running, p, false
	v.since, v.slice, v.turn = now, now, now
	v.giveWay.Store(false)
	v.begun, v.gap = false, 0
	v.measured.Store(false)
	p.running = v
	v.group.running++
	if v.group.tokens.limited() {
		for _, u := range v.group.vcpus { // all are at the end of it earlier now
			if u.state == running {
				s.arm(u.proc, now)
			}
		}
	} else {
		s.arm(p, now)
	}
	v.grant()
}

// vacate takes the processor from the vCPU that has it. Its time is charged.
func (s *Scheduler) vacate(v *VCPU) {
	v.proc.running = nil
	v.group.running--
	v.giveWay.Store(false)
}

// dispatch gives an empty processor to whoever deserves it most.
func (s *Scheduler) dispatch(p *processor, now int64) {
	if v := s.candidate(p, nil); v != nil {
		s.take(p, v)
		s.run(p, v, now)
		return
	}
	if s.waiting.Load() == 0 {
		return
	}
	// Those that wait may not run here. One that runs in their way may.
	for _, q := range s.procs {
		if r := q.running; r != nil && len(q.queue) > 0 && r.allowed[p.index] {
			s.ask(r, now)
			return
		}
	}
}

// better is who is to have p instead of v, which runs on it, or nil.
func (s *Scheduler) better(p *processor, v *VCPU) *VCPU {
	if s.waiting.Load() == 0 {
		return nil
	}
	switch {
	case p.next != nil:
		return p.next
	case s.idleFor(v) != nil:
		return p.queue.first() // v loses nothing
	}
	return s.candidate(p, v)
}

// take brings a vCPU out of any queue into a processor's frame.
func (s *Scheduler) take(p *processor, v *VCPU) {
	from := v.proc
	s.pull(v)
	if from == p {
		return
	}
	if p.running == nil && len(p.queue) == 0 {
		p.base, p.clock = from.base, from.clock
		return
	}
	v.vt = max(v.vt+from.base-p.base, p.clock-maxOwed*v.group.virtual(slice))
}

// ask tells a running vCPU to give way.
func (s *Scheduler) ask(v *VCPU, now int64) {
	if v.giveWay.Load() {
		return
	}
	v.asked = now
	v.giveWay.Store(true)
	v.kick()
	s.arm(v.proc, now)
}

// charge counts the time that a vCPU has had a processor since the last look.
// One that has lost it waits: it does not answer kicks, so it does not execute.
func (s *Scheduler) charge(v *VCPU, now int64) {
	t := now - v.since
	v.since = now
	if v.state == stray {
		v.waited.Add(t)
		return
	}
	v.ran.Add(t)
	v.group.tokens.spend(min(t, maxCharge), now)
	t = v.part(t)
	s.overhead.paid += t
	s.bill(v, t)
}

// bill makes a vCPU, and its group, pay for what it has executed.
func (s *Scheduler) bill(v *VCPU, t int64) {
	v.paid.Add(t)
	v.group.paid += t
	t = min(t, maxCharge)
	v.vt += v.group.virtual(t)
	v.group.used += float64(t) * DefaultWeight / v.group.weight
	v.proc.advance()
}

// chargeGroup charges all vCPUs of a group, before their rate changes or to see
// what is left of its tokens.
func (s *Scheduler) chargeGroup(g *Group, now int64) {
	for _, v := range g.vcpus {
		if v.state == running {
			s.charge(v, now)
		}
	}
}

// throttle stops a group that has used its tokens up.
func (s *Scheduler) throttle(g *Group, now int64) {
	if g.throttled {
		return
	}
	g.throttled = true
	for _, v := range g.vcpus {
		switch v.state {
		case queued:
			s.pull(v)
			v.state = throttled
		case running:
			s.ask(v, now)
		}
	}
	g.timer.Reset(g.tokens.resumes(now) - now)
}

// unthrottle is for the group's timer.
func (s *Scheduler) unthrottle(g *Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.time.Now()
	if !g.throttled {
		return
	}
	s.chargeGroup(g, now) // one that has not given way yet
	if at := g.tokens.resumes(now); at > now {
		g.timer.Reset(at - now)
		return
	}
	g.throttled = false
	// Who has waited longest comes first: a burst may be over before all have
	// had a turn.
	waiting := slices.Clone(g.vcpus)
	slices.SortStableFunc(waiting, func(u, v *VCPU) int { return cmp.Compare(u.since, v.since) })
	for _, v := range waiting {
		if v.state == throttled {
			s.enqueue(v, now, v.since)
		}
	}
}

// tick is for a processor's timer: at the end of a slice, of tokens, or of the
// grace for one that does not give way.
func (s *Scheduler) tick(p *processor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.time.Now()
	p.armed = never
	v := p.running
	if v == nil {
		return
	}
	s.chargeGroup(v.group, now)
	s.shareOverhead(now)
	if v.gap >= slice {
		s.settle(v, rest{v.measured.Load() && v.meter.Waits(), 0})
	}
	switch {
	case v.giveWay.Load():
		if now >= v.asked+v.grace {
			s.vacate(v)
			v.group.changes++
			v.state = stray
			v.giveWay.Store(true) // Yield tells it
			s.dispatch(p, now)
			return
		}
	case v.group.tokens.exhausted(now):
		s.throttle(v.group, now)
	case p.next != nil && now >= v.turn+minTurn:
		s.ask(v, now)
	case now >= v.slice+slice:
		if s.better(p, v) != nil {
			s.ask(v, now)
		}
		v.slice, v.woken = now, false
	}
	s.arm(p, now)
}

// arm sets a processor's timer for what comes next, if anything does. A timer
// that is set for an earlier time stays: it looks again.
func (s *Scheduler) arm(p *processor, now int64) {
	v := p.running
	if v == nil {
		return
	}
	at := never
	if v.giveWay.Load() {
		at = v.asked + v.grace
	} else {
		if s.waiting.Load() > 0 {
			at = v.slice + slice
		}
		if p.next != nil {
			at = min(at, v.turn+minTurn)
		}
		at = min(at, v.group.exhausts(now))
	}
	if at < p.armed {
		p.armed = at
		p.timer.Reset(max(at-now, 0))
	}
}
