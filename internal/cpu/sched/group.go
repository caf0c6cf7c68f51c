package sched

import (
	"slices"
	"sync/atomic"
)

// Group is the vCPUs of one machine, which share its weight and its cap.
type Group struct {
	s      *Scheduler
	weight float64
	tokens tokens
	timer  Timer // for when there are tokens again

	// used is the group's own virtual time, of which frames are compared with
	// bases: what one of its vCPUs uses is not there for another that wakes.
	used float64

	changes   int64 // of what runs that the group has caused since overhead was shared
	paid      int64 // by its vCPUs since then
	idled     int64 // of that, in which they have not executed
	vcpus     []*VCPU
	runnable  int // want to run
	running   int // have a processor
	throttled bool
	queued    atomic.Int64 // are in queues
}

// NewGroup returns a group of no vCPUs. The share must be what Check allows.
func (s *Scheduler) NewGroup(share Share) *Group {
	g := &Group{s: s, weight: float64(share.Weight)}
	if share.Weight == 0 {
		g.weight = DefaultWeight
	}
	g.tokens = newTokens(share.Cap, s.time.Now())
	g.timer = s.time.NewTimer(func() { s.unthrottle(g) })
	s.groups.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overhead.groups[g] = struct{}{}
	return g
}

// Alone tells, without a lock, whether nobody asks what the group uses: it has
// no cap, and there is no other group.
func (g *Group) Alone() bool { return g.tokens.rate == 0 && g.s.groups.Load() == 1 }

// Workers is how long the group's workers have had a processor, have waited for
// one, and have executed, in nanoseconds.
func (g *Group) Workers() (ran, waited, executed int64) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	now := g.s.time.Now()
	for _, v := range g.vcpus {
		if v.worker {
			r, w := v.usage(now)
			ran, waited, executed = ran+r, waited+w, executed+v.used(now)
		}
	}
	return ran, waited, executed
}

// virtual is what t on a processor adds to the virtual time of one of the
// group's vCPUs.
func (g *Group) virtual(t int64) float64 {
	return float64(t) * DefaultWeight * float64(max(g.runnable, 1)) / g.weight
}

// exhausts is when the group's tokens end if it goes on as it does.
func (g *Group) exhausts(now int64) int64 {
	if g.throttled {
		return never
	}
	return g.tokens.exhausts(now, g.running)
}

// wants counts a vCPU that wants to run from now on, or does no more.
func (g *Group) wants(change int, now int64) {
	g.s.chargeGroup(g, now) // at the old rate
	if g.runnable == 0 {
		g.tokens.begin(now)
	}
	g.runnable += change
}

// Close forgets a group whose vCPUs are closed. It is called once.
func (g *Group) Close() {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.timer.Stop()
	delete(g.s.overhead.groups, g)
	g.s.groups.Add(-1)
}

func (g *Group) forget(v *VCPU) {
	g.vcpus = slices.DeleteFunc(g.vcpus, func(u *VCPU) bool { return u == v })
}

// Waiting tells, without a lock, whether vCPUs of the group are in queues.
func (g *Group) Waiting() bool { return g.queued.Load() != 0 }

// Throttled tells whether the cap keeps the group from running now.
func (g *Group) Throttled() bool {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	return g.throttled
}

// tokens are what is left of a cap: time on a processor, in thousandths of a
// nanosecond. They come in at the rate of the cap, up to a bound, and go as
// vCPUs run. Who has run over pays it back.
type tokens struct {
	rate int64 // thousandths of a processor; 0: no cap
	left int64
	at   int64 // when left was right
}

const (
	// period is the length in which a cap is to be seen to hold.
	period = 10_000_000
	// lateness is by how much timers may be late on a host that is busy
	// otherwise.
	lateness = 200_000_000
	// minBurst bounds from below how long a group runs at once.
	minBurst = 200_000
)

func newTokens(rate int, now int64) tokens {
	t := tokens{rate: int64(rate), at: now}
	t.left = t.burst()
	return t
}

func (t *tokens) limited() bool { return t.rate != 0 }

// burst is with how many tokens a group that was stopped starts again.
func (t *tokens) burst() int64 { return max(t.rate*period/4, 1000*minBurst) }

// most is how many a group can save that wants to run: enough to lose none when
// timers are late.
func (t *tokens) most() int64 { return t.burst() + t.rate*lateness }

// begin is when a group wants to run that did not want to. It may save less.
func (t *tokens) begin(now int64) {
	t.refill(now)
	t.left = min(t.left, 2*t.burst())
}

func (t *tokens) refill(now int64) {
	if t.rate == 0 || now <= t.at {
		return
	}
	// Without overflow: a wait is cut to what fills any bucket.
	wait := min(now-t.at, 1000*maxCharge/t.rate)
	t.left = min(t.left+wait*t.rate, t.most())
	t.at = now
}

func (t *tokens) spend(ran, now int64) {
	if t.rate != 0 {
		// First: a bucket that is full must not lose what comes in meanwhile.
		t.left -= 1000 * ran
		t.refill(now)
	}
}

func (t *tokens) exhausted(now int64) bool {
	t.refill(now)
	return t.rate != 0 && t.left <= 0
}

// exhausts is when n vCPUs that run use the tokens up.
func (t *tokens) exhausts(now int64, n int) int64 {
	drain := 1000*int64(n) - t.rate
	if t.rate == 0 || drain <= 0 {
		return never
	}
	t.refill(now)
	return now + max(t.left, 0)/drain + 1
}

// resumes is when a group that has stopped may start again.
func (t *tokens) resumes(now int64) int64 {
	t.refill(now)
	return now + (max(t.burst()-t.left, 0)+t.rate-1)/t.rate
}
