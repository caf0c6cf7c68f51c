package sched

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// vcpuState is where a vCPU is.
type vcpuState uint8

const (
	blocked   vcpuState = iota // has nothing to do
	queued                     // waits for a processor
	throttled                  // waits for its group's cap
	running                    // has a processor
	stray                      // has lost its processor and does not know yet
)

func (s vcpuState) String() string {
	names := [...]string{"blocked", "queued", "throttled", "running", "stray"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("vcpuState(%d)", uint8(s))
}

// Loss is why a vCPU lost its processor though it had something to do.
type Loss uint8

const (
	EndOfSlice Loss = iota // its slice was over
	WakeUp                 // another has woken
	Capped                 // its machine has used up what its cap allows
	Overdue                // it did not give way in time
	GaveWay                // to another vCPU of its machine (YieldToSibling)
)

func (l Loss) String() string {
	names := [...]string{"end of slice", "wake-up", "cap", "overdue", "gave way"}
	if int(l) < len(names) {
		return names[l]
	}
	return fmt.Sprintf("Loss(%d)", uint8(l))
}

// VCPU is a vCPU as the scheduler sees it.
type VCPU struct {
	s       *Scheduler
	group   *Group
	allowed []bool // by processor
	kick    func()
	grant   func()
	granted chan struct{}
	grace   int64 // how long it may take to give way
	worker  bool

	// giveWay is set while the vCPU is to call Yield.
	giveWay atomic.Bool

	// The rest belongs to the scheduler's lock.
	state     vcpuState
	proc      *processor // that it runs on or waits for, or was on last
	place     int        // in the queue
	vt        float64    // virtual time, in proc's frame
	since     int64      // when it began to wait, or was charged last
	slice     int64      // when its slice began
	turn      int64      // when it was given the processor
	asked     int64      // when it was told to give way
	preempted bool       // waits though it did not want to stop
	woken     bool       // was blocked, and has not run for a slice since

	ran, waited atomic.Int64
	paid        atomic.Int64 // executed, as far as it was charged

	// meter, if not nil, measures the thread, which has begun to run. While
	// measured is set, executed is what it said at the last look; gap is what
	// the vCPU had its processor for, and did not execute, without a charge so
	// far.
	meter    Meter
	begun    bool
	measured atomic.Bool
	executed int64
	gap      int64

	lost Loss // its own goroutine's
}

// NewVCPU adds a vCPU to the group. It is blocked. Kick is called, from any
// goroutine, when it is to give way: it makes the vCPU come out of Run and look
// at GiveWay.
func (g *Group) NewVCPU(share Share, kick func()) *VCPU {
	granted := make(chan struct{}, 1)
	v := g.newVCPU(share, kick, func() { granted <- struct{}{} })
	v.granted = granted
	return v
}

// NewWorker adds one who works for the group outside of its vCPUs, for a device
// perhaps. It counts as another vCPU, so that its work comes out of the group's
// share. It is not kicked: it looks at GiveWay now and then, and soon loses its
// processor if it does not, since it may wait for a file or a terminal.
func (g *Group) NewWorker(share Share) *VCPU {
	v := g.NewVCPU(share, func() {})
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	v.grace, v.worker = workerGrace, true
	return v
}

func (g *Group) newVCPU(share Share, kick, grant func()) *VCPU {
	v := &VCPU{s: g.s, group: g, kick: kick, grant: grant, grace: grace}
	for _, p := range g.s.procs {
		ok := share.Affinity == nil || slices.Contains(share.Affinity, p.number)
		v.allowed = append(v.allowed, ok)
		if ok && v.proc == nil {
			v.proc = p
		}
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	v.vt = v.proc.clock
	g.vcpus = append(g.vcpus, v)
	return v
}

// Ready says that the vCPU, which is blocked, has something to do. It then
// waits for Granted, or gives up with Block.
func (v *VCPU) Ready() {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.state == blocked {
		now := v.s.time.Now()
		v.group.wants(1, now)
		v.group.changes++
		v.woken = true
		v.s.enqueue(v, now, now)
	}
}

// Granted gives one value when the vCPU, after Ready, or Yield or
// YieldToSibling that returned false, has a processor.
func (v *VCPU) Granted() <-chan struct{} { return v.granted }

// Block says that the vCPU has nothing to do: it gives its processor up, or
// waits for none any more.
func (v *VCPU) Block() {
	s := v.s
	rest := v.own()
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.state == blocked {
		return
	}
	now := s.time.Now()
	v.group.wants(-1, now)
	was := v.state
	switch was {
	case queued:
		s.pull(v)
		v.waited.Add(now - v.since)
	case throttled:
		v.waited.Add(now - v.since)
	case running:
		s.settle(v, rest)
		s.vacate(v)
		v.group.changes++
	case stray:
		s.charge(v, now)
		s.billMore(v, now)
	}
	v.state, v.preempted = blocked, false
	if was == running {
		s.dispatch(v.proc, now)
	}
	select { // it was granted, but nobody looked
	case <-v.granted:
	default:
	}
}

// GiveWay tells whether the vCPU is to call Yield. It takes no lock.
func (v *VCPU) GiveWay() bool { return v.giveWay.Load() }

// Yield gives the processor to who deserves it more, if anybody does. False
// means that the vCPU has none now and waits, as after Ready.
func (v *VCPU) Yield() bool {
	s := v.s
	rest := v.own()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.time.Now()
	switch v.state {
	case running:
		s.chargeGroup(v.group, now)
		s.settle(v, rest)
		if v.group.tokens.exhausted(now) {
			s.throttle(v.group, now)
		}
		if s.yield(v, now) {
			return false
		}
		if rest.waited && v.meter != nil && !v.group.Alone() {
			v.measure()
		}
		return true
	case stray:
		s.charge(v, now)
		s.billMore(v, now)
		v.preempted, v.woken, v.lost = true, false, Overdue
		s.enqueue(v, now, now)
	}
	return false
}

// yield tells whether v, which is charged, has given its processor away.
func (s *Scheduler) yield(v *VCPU, now int64) bool {
	p := v.proc
	if v.group.throttled {
		s.vacate(v)
		v.group.changes++
		v.state, v.preempted, v.woken, v.lost = throttled, true, false, Capped
		s.dispatch(p, now)
		return true
	}
	next := s.better(p, v)
	if next == nil {
		v.giveWay.Store(false)
		v.slice, v.woken = now, false
		s.arm(p, now)
		return false
	}
	v.lost = EndOfSlice
	if next == p.next {
		v.lost = WakeUp
	} else {
		s.overhead.slices++
	}
	s.handOver(p, v, next, now)
	return true
}

// handOver lets next, which waits, have p instead of v.
func (s *Scheduler) handOver(p *processor, v, next *VCPU, now int64) {
	s.take(p, next) // while v is still there, so that p's frame stays
	s.vacate(v)
	v.preempted, v.woken = true, false
	s.run(p, next, now)
	if q := s.idleFor(v); q != nil {
		s.start(q, v, now)
		return
	}
	s.push(p, v, now)
}

// YieldToSibling gives the processor to another vCPU of the group that waits
// for one, preferably one that was interrupted: it may hold a lock that this
// one spins for. False means that the vCPU has none now and waits, as after
// Ready.
func (v *VCPU) YieldToSibling() bool {
	s := v.s
	rest := v.own()
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.state != running {
		return true // it has lost its processor, and Yield tells it
	}
	var next *VCPU
	for _, u := range v.group.vcpus {
		if u.state == queued && u.allowed[v.proc.index] && (next == nil || u.rather(next)) {
			next = u
		}
	}
	if next == nil {
		return true
	}
	now := s.time.Now()
	s.chargeGroup(v.group, now)
	s.settle(v, rest)
	p := v.proc
	from := next.proc
	v.lost = GaveWay
	// Not at once back again.
	v.vt = max(v.vt, next.vt+from.base-p.base)
	next.group.changes++
	began := v.slice
	s.handOver(p, v, next, now)
	next.slice = began // or a machine's members would keep others waiting
	s.arm(p, now)
	return false
}

// rather tells whether v is the one to yield to, and not u.
func (v *VCPU) rather(u *VCPU) bool {
	if v.preempted != u.preempted {
		return v.preempted
	}
	return v.since < u.since
}

// Lost tells why the vCPU lost its processor when Yield or YieldToSibling last
// returned false.
func (v *VCPU) Lost() Loss { return v.lost }

// Processor is the number of the processor that the vCPU has.
func (v *VCPU) Processor() int { return v.proc.number }

// Close takes the vCPU out of its group.
func (v *VCPU) Close() {
	v.Block()
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.group.forget(v)
}

// Usage is how long a vCPU has had a processor, and has waited for one though
// it had something to do, in nanoseconds.
func (v *VCPU) Usage() (ran, waited int64) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return v.usage(v.s.time.Now())
}

func (v *VCPU) usage(now int64) (ran, waited int64) {
	ran, waited = v.ran.Load(), v.waited.Load()
	switch v.state {
	case running:
		ran += now - v.since
	case queued, throttled, stray:
		waited += now - v.since
	}
	return ran, waited
}

// Waited is Usage's second value as of the last time that the vCPU was given a
// processor, without a lock.
func (v *VCPU) Waited() int64 { return v.waited.Load() }
