package pressure

import "time"

const (
	// recountWait is the time between two counts of a guest that does not
	// stand: each makes it stand still for a moment.
	recountWait = 100 * time.Millisecond
	// leastPart is what it pays to go on for.
	leastPart = 64 << 10
)

func anyStands(guests []Guest) bool {
	for _, o := range guests {
		if _, stands := o.Stands(); stands && o.Running() {
			return true
		}
	}
	return false
}

// recount makes a guest's usage exact, if it was not lately.
func (g *Governor) recount(o Guest, now time.Time) {
	if g.cfg.Budget == nil {
		return
	}
	if _, stands := o.Stands(); stands || now.Sub(g.exact[o]) >= recountWait {
		g.exact[o] = now
		o.Recount()
	}
}

// share parts the reserve among guests as long as there is all of it, so that
// one that grows leaves the others something; and decides about those that
// stand.
func (g *Governor) share(guests []Guest, v *view, now time.Time) {
	limit := g.cfg.Limit
	used := g.cfg.Budget.Used()
	room := limit - min(limit, used) // of the budget; view's may be the host's
	g.cfg.Budget.SetLine(limit - min(limit, v.reserve))
	for _, o := range guests {
		if _, seen := g.parts[o]; !seen || room >= v.reserve {
			g.grant(o, v.part)
		}
		wants, stands := o.Stands()
		if !stands || !o.Running() {
			continue
		}
		p := g.parts[o]
		left := p.size - min(p.size, o.Usage()-min(o.Usage(), p.from))
		if room >= v.reserve && room-v.reserve >= wants || left >= max(wants, leastPart) && room >= wants {
			o.SetCredit(left)
			o.LetGo()
		} else if o.Pause(v.reason(limit)) == nil {
			g.remember(o, now)
		}
	}
}

// grant gives a guest a part of the reserve.
func (g *Governor) grant(o Guest, size uint64) {
	g.parts[o] = part{o.Usage(), size}
	o.SetCredit(size)
}
