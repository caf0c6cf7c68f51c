package sched

// What changes of threads, timers, goroutines of nobody and the collection of
// garbage take is on no account by itself. It is shared out now and then by
// changes of what runs, each of which is on the account of who has caused it,
// by waking or falling asleep; that of a slice's end is on none. So a machine
// that wakes often pays in place of its neighbours, and such as only compute
// have their shares.

const (
	// overheadTime is how often that is done.
	overheadTime = 10_000_000
	// mostOverhead is how many times what a machine has executed it pays for
	// that at most. Not all that the process does besides is for machines.
	mostOverhead = 2
	// indirect is what a change costs in all, in parts of what it takes: who was
	// interrupted finds others' things in the caches, and comes out of its code
	// and into it again. That shows in its pace, and in nobody's time.
	indirect = 1.25
)

// overhead is what has been seen of it.
type overhead struct {
	process func() int64 // what the whole process has executed, in nanoseconds
	groups  map[*Group]struct{}

	at       int64 // the last look
	executed int64 // by the process, then
	paid     int64 // for, by vCPUs and workers, since then
	// advance is what had been paid at the last look before it was seen to be
	// executed.
	advance int64
	slices  int64 // that have ended with a change
}

// MeasureProcess tells the scheduler where it learns what the whole process has
// executed. It is called before there are groups.
func (s *Scheduler) MeasureProcess(executed func() int64) { s.overhead.process = executed }

// shareOverhead is called now and then while vCPUs wait.
func (s *Scheduler) shareOverhead(now int64) {
	o := &s.overhead
	if o.process == nil || now < o.at+overheadTime {
		return
	}
	for _, p := range s.procs {
		if p.running != nil {
			s.charge(p.running, now)
		}
	}
	executed := o.process()
	rest := executed - o.executed - o.paid - o.advance
	recent := o.at != 0 && now < o.at+8*overheadTime
	o.at, o.executed, o.paid, o.advance = now, executed, 0, max(-rest, 0)
	changes := o.slices
	o.slices = 0
	for g := range o.groups {
		changes += g.changes
	}
	for g := range o.groups {
		n, paid, idled := g.changes, g.paid, g.idled
		g.changes, g.paid, g.idled = 0, 0, 0
		if recent && n > 0 && rest > 0 {
			part := int64(indirect * float64(rest) * float64(n) / float64(changes))
			// While a vCPU does not execute, changes that it waits for do.
			s.burden(g, max(min(part, mostOverhead*paid)-idled, 0))
		}
	}
	if !recent {
		o.advance = 0
	}
}

// burden makes all vCPUs of a group that want to run wait for what the group
// owes. Those that run are charged already.
func (s *Scheduler) burden(g *Group, t int64) {
	debt := float64(t) * DefaultWeight / g.weight
	g.used += debt
	for _, v := range g.vcpus {
		switch v.state {
		case queued:
			v.proc.queue.remove(v)
			v.vt += debt
			v.proc.queue.push(v)
		case running, throttled, stray:
			v.vt += debt
		}
	}
}
