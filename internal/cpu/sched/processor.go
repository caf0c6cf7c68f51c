package sched

// processor is one of the host's, as far as vCPUs use it.
//
// Virtual times of its vCPUs (VCPU.vt) count in a frame of its own; with base
// added, frames can be compared. A frame that falls behind although nothing
// can be moved away from it, because its vCPUs may not run elsewhere or have
// more weight than one processor can serve, is moved forward: what could not
// be had is not owed.
type processor struct {
	number int // the host's
	index  int

	running *VCPU
	queue   queue
	next    *VCPU   // of queue: has just woken, and is to interrupt
	clock   float64 // virtual time of the queue: never goes back
	base    float64

	timer Timer
	armed int64 // when the timer fires, never if it does not
}

// advance brings the clock to the least virtual time that is there.
func (p *processor) advance() {
	least := p.queue.first()
	if least == nil || p.running != nil && p.running.vt < least.vt {
		least = p.running
	}
	if least != nil {
		p.clock = max(p.clock, least.vt)
	}
}

// adopt brings a vCPU that was in no queue into p's frame. What it had in
// advance or owes goes with it, within bounds.
func (p *processor) adopt(v *VCPU) {
	if v.proc != p {
		v.vt += p.clock - v.proc.clock
		v.proc = p
	}
	v.vt = min(max(v.vt, p.clock-v.group.virtual(slice)), p.clock+v.group.virtual(maxCharge))
	if v.woken {
		v.vt = max(v.vt, p.used(v.group))
	}
}

// used is where a group stands in p's frame. What it has in advance or owes is
// forgotten beyond a slice or two: frames are only about the same.
func (p *processor) used(g *Group) float64 {
	one := slice * DefaultWeight / g.weight
	at := min(max(g.used-p.base, p.clock-one), p.clock+2*one)
	g.used = at + p.base
	return at
}

// maxOwed is how many slices a vCPU can be owed when it comes from another
// processor.
const maxOwed = 4

// align makes an empty processor's frame no older than those that are in use.
func (s *Scheduler) align(p *processor) {
	oldest, found := 0.0, false
	for _, q := range s.procs {
		if q.running != nil && (!found || q.base+q.clock < oldest) {
			oldest, found = q.base+q.clock, true
		}
	}
	if found && p.base+p.clock < oldest {
		p.base = oldest - p.clock
	}
}

// candidate is the vCPU that deserves p most, of all that wait and may run
// there, or nil if there is none. If r, which runs on p, is not nil, it must
// deserve p more than r. One of another queue must have earned a whole slice
// more than p's own.
func (s *Scheduler) candidate(p *processor, r *VCPU) *VCPU {
	best := p.queue.first()
	if best != nil && r != nil && best.vt >= r.vt {
		best = nil
	}
	var limit float64
	bounded := true
	switch {
	case best != nil:
		limit = best.vt + p.base
	case r != nil:
		limit = r.vt + p.base
	default:
		bounded = false
	}
	if s.waiting.Load() == 0 {
		return nil
	}
	for _, q := range s.procs {
		if q == p {
			continue
		}
		v := q.queue.firstFor(p.index)
		switch {
		case v != nil:
			at := v.vt + q.base
			if bounded && at+v.group.virtual(slice) >= limit {
				continue
			}
			best, limit, bounded = v, at, true
		case bounded && q.running != nil:
			ahead := r
			if best != nil {
				ahead = best
			}
			q.keepUp(limit, max(q.running.group.virtual(slice), ahead.group.virtual(slice)))
		}
	}
	return best
}

// keepUp moves p's frame forward if it is several slices behind. Nothing can be
// moved away from it.
func (p *processor) keepUp(limit, slice float64) {
	if oldest := limit - maxOwed*slice; p.base+p.clock < oldest {
		p.base = oldest - p.clock
	}
}
