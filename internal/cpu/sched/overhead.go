package sched

// What changes of threads, timers and the collection of garbage take is on
// nobody's account by itself. It is shared out now and then by wake-ups, which
// cause most of it, so that a machine that wakes often pays for that in place
// of its neighbours.

const (
	// overheadTime is how often that is done.
	overheadTime = 20_000_000
	// wakeUpCost is what a wake-up can cost at most. Not all that the process
	// does besides is for machines.
	wakeUpCost = 100_000
)

// overhead is what has been seen of it.
type overhead struct {
	process func() int64 // what the whole process has executed, in nanoseconds
	groups  map[*Group]struct{}

	at       int64 // the last look
	executed int64 // by the process, then
	paid     int64 // for, by vCPUs and workers, since then
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
	executed := o.process()
	rest := executed - o.executed - o.paid
	recent := o.at != 0 && now < o.at+4*overheadTime
	o.at, o.executed, o.paid = now, executed, 0
	wakeUps := int64(0)
	for g := range o.groups {
		wakeUps += g.wakeUps
	}
	for g := range o.groups {
		n := g.wakeUps
		g.wakeUps = 0
		if recent && n > 0 && rest > 0 {
			s.burden(g, min(rest/wakeUps*n, n*wakeUpCost))
		}
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
