package pressure

import "time"

// squeeze asks for what is missing, in proportion to what each guest takes.
func (g *Governor) squeeze(guests []Guest, v *view, now time.Time) {
	if now.Sub(g.adjusted) < latest/10 || g.cfg.Budget != nil && g.counted != now { // what came back would be asked for again
		return
	}
	g.adjusted = now
	need := max(v.plenty-min(v.plenty, v.room), v.capacity/64) // at least something if others stall
	var sum uint64
	for _, o := range guests {
		if live, _ := o.Balloon(); live {
			sum += g.usage[o]
		}
	}
	if sum == 0 {
		return
	}
	for _, o := range guests {
		live, actual := o.Balloon()
		if !live {
			continue
		}
		size := o.Size()
		most := size - min(size, max(size/4, minKeep))
		share := uint64(float64(need) * float64(g.usage[o]) / float64(sum))
		g.set(o, min(actual+share, most))
	}
}

// relax gives memory back to guests, little by little.
func (g *Governor) relax(guests []Guest, now time.Time) {
	if now.Sub(g.adjusted) < latest {
		return
	}
	g.adjusted = now
	for _, o := range guests {
		if t := g.squeezed[o]; t != 0 {
			g.set(o, t-min(t, o.Size()/8))
		}
	}
}

func (g *Governor) set(o Guest, target uint64) {
	if g.squeezed[o] != target {
		g.squeezed[o] = target
		o.Squeeze(target)
	}
}

// pause stops the guest that takes more: the one that has grown most since it
// was counted last, and those that have grown about as much. If none has,
// nobody asks, and nobody is to blame.
func (g *Governor) pause(guests []Guest, v *view, now time.Time) {
	least := uint64(little)
	if v.host < v.reserve/2 {
		least = 1
	}
	for _, o := range guests {
		if o.Running() {
			least = max(least, g.growth[o]/2)
		}
	}
	for _, o := range guests {
		if g.growth[o] >= least && o.Running() && o.Pause(v.reason(g.cfg.Limit)) == nil {
			g.remember(o, now)
		}
	}
	clear(g.growth) // before another is paused, they are counted again
}

// remember notes that a guest was paused; one that had tried again waits
// longer now.
func (g *Governor) remember(o Guest, now time.Time) {
	for _, t := range g.paused {
		if t.guest == o {
			t.since, t.wait = now, min(2*t.wait, maxWait)
			return
		}
	}
	g.paused = append(g.paused, &turn{o, now, latest})
}

const maxWait = 16 * time.Second

// resume lets one guest go on when there is room again. One that has waited
// for long may try in a part of the reserve: what is missing may be in its own
// balloon, which does not grow while it is paused. trying tells that one does.
func (g *Governor) resume(v *view, now time.Time) (trying bool) {
	var kept []*turn
	done := false
	for _, t := range g.paused {
		if !t.guest.Paused() {
			if t.guest.Running() && v.room < v.short {
				trying = true
				kept = append(kept, t) // to remember how long it waits next
			}
			continue
		}
		wants, _ := t.guest.Stands() // it tries again to get that first
		free := v.room >= v.short && v.room-v.reserve >= wants
		spare := v.room - min(v.room, v.tryTo)
		late := now.Sub(t.since) >= t.wait && v.room >= v.tryFrom && v.host >= v.reserve*3/4 && spare >= wants
		if !done && !trying && (free || late) && t.guest.Resume() == nil {
			done, trying = true, !free
			if g.cfg.Budget != nil {
				g.grant(t.guest, min(spare, max(v.try(), wants)))
				t.guest.LetGo()
			}
			if free {
				continue
			}
		}
		kept = append(kept, t)
	}
	g.paused = kept
	return trying
}

// merge looks for pages that need not be in memory, the less often the less
// that gives.
func (g *Governor) merge(now time.Time) {
	if g.cfg.Merge == nil || now.Sub(g.merged) < g.wait || !g.merging.CompareAndSwap(false, true) {
		return
	}
	if g.wait = min(2*g.wait, maxWait); g.saved.Load() > 0 {
		g.wait = latest
	}
	g.merged = now
	g.merges.Go(func() {
		defer g.merging.Store(false)
		g.saved.Store(g.cfg.Merge())
	})
}
