// Package pressure keeps machines whose memory is more than the host's, in
// sum, from running it out.
//
// A Governor looks at what the host has left, the more often the less it is.
// When it is short, balloons grow in proportion to what each machine takes, and
// pages that are alike are looked for; when it is nearly out, the machine that
// takes more is paused, with a reason, until there is room again. So the host
// never has to choose a process to kill.
//
// With a limit, a Governor that comes late is no harm: there is a budget
// (memory.Budget), which refuses what is beyond. Who is refused stands still
// until the Governor has looked, and has paused it or let it go on.
//
// It knows no machines but by the interface Guest, and asks the host by a
// function. Threads: Run is one goroutine; it calls guests on it, and Merge on
// another.
package pressure

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"doppel/internal/platform"
)

// Guest is a machine.
type Guest interface {
	Size() uint64 // of its RAM
	// Usage is what its RAM takes of the host's memory, for itself.
	Usage() uint64
	Running() bool
	// Paused tells whether Pause has paused it, and nothing has resumed it.
	Paused() bool
	Pause(reason string) error
	Resume() error
	// Balloon tells whether the guest has a driver for its balloon, and how
	// large that is.
	Balloon() (live bool, actual uint64)
	// Squeeze asks for a balloon of at least this size.
	Squeeze(target uint64)

	// What follows is called where there is a Limit.

	// Recount makes Usage exact, if that can be had now.
	Recount()
	// Stands tells whether the guest stands still because the budget refused
	// it so many bytes.
	Stands() (wants uint64, stands bool)
	// LetGo lets one go on that stands.
	LetGo()
	// SetCredit sets how much more it may take of the reserve.
	SetCredit(n uint64)
}

// Config says what is to be kept.
type Config struct {
	// Limit bounds what all guests take together; 0 leaves it to the host.
	Limit   uint64
	Budget  Budget // nil without a Limit
	Guests  func() []Guest
	Measure func() (platform.HostMemory, error)
	// Shared is what guests take together, beside what each takes for itself.
	Shared func() uint64
	// Merge looks for pages that need not be in memory, for some time at most.
	Merge func() (saved uint64)
}

// Budget is a memory.Budget.
type Budget interface {
	Used() uint64
	SetLine(line uint64) // from where on credits are asked for
	Asked() <-chan struct{}
}

// Limits of what is left, see line.
const (
	minReserve = 48 << 20
	maxReserve = 256 << 20
	perGuest   = 8 << 20 // of the reserve: each may take some before it is paused
	// minKeep is what a balloon leaves to its guest at least, as is a quarter.
	minKeep = 48 << 20
	// A processor brings about this much memory into use in a second, with some
	// to spare: it must not end between two looks.
	perCPU   = 2 << 30
	soonest  = 5 * time.Millisecond
	latest   = time.Second
	unseen   = 1 << 20 // growth of the process that needs no exact look
	stallsAt = 10      // percent
	// little is growth that is not yet asking for memory, while half of the
	// reserve is left.
	little = 256 << 10
)

// Governor keeps the host's memory.
type Governor struct {
	cfg Config

	known    bool   // what follows holds
	others   uint64 // anonymous memory of the process that is no guest's
	used     uint64 // by guests, when they were counted
	counted  time.Time
	usage    map[Guest]uint64 // when it was counted
	growth   map[Guest]uint64 // before that
	squeezed map[Guest]uint64 // targets
	exact    map[Guest]time.Time
	parts    map[Guest]part
	adjusted time.Time // of balloons
	paused   []*turn   // in the order of pausing
	merged   time.Time
	wait     time.Duration // between merges
	merging  atomic.Bool
	merges   sync.WaitGroup
	saved    atomic.Uint64 // by the last one
}

// turn is a guest that was paused.
type turn struct {
	guest Guest
	since time.Time
	wait  time.Duration // before it may try again
}

// part is what a guest may take of the reserve, from where it stood when it
// last was not in need of it.
type part struct{ from, size uint64 }

// New makes a governor.
func New(cfg Config) *Governor {
	return &Governor{
		cfg: cfg, usage: map[Guest]uint64{}, growth: map[Guest]uint64{}, squeezed: map[Guest]uint64{},
		exact: map[Guest]time.Time{}, parts: map[Guest]part{}, wait: latest,
	}
}

// Run governs until the context ends. When it returns, Merge has returned too.
func (g *Governor) Run(ctx context.Context) {
	defer g.merges.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var asked <-chan struct{}
	if g.cfg.Budget != nil {
		asked = g.cfg.Budget.Asked()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-asked:
		}
		timer.Reset(g.step(time.Now()))
	}
}

// view is what is left at some time, and where that begins to matter.
type view struct {
	room     uint64 // bytes until nothing is left
	host     uint64 // the same without the limit
	used     uint64 // by guests
	capacity uint64 // that guests could have
	stalled  bool

	reserve uint64 // below, whoever takes more is paused
	part    uint64 // of the reserve, for each guest
	tryFrom uint64 // from here on, one may try to go on
	tryTo   uint64 // which leaves so much
	short   uint64 // below, memory is asked back
	plenty  uint64 // above, it is given out again
}

func (g *Governor) view(h platform.HostMemory, guests int) view {
	v := view{room: h.Available, host: h.Available, capacity: h.Total, stalled: h.Stalled >= stallsAt}
	if g.cfg.Budget != nil {
		v.used = g.cfg.Budget.Used()
	} else {
		v.used = h.Anonymous - min(h.Anonymous, g.others) + g.cfg.Shared()
	}
	if limit := g.cfg.Limit; limit != 0 {
		v.capacity = min(v.capacity, limit)
		v.room = min(v.room, limit-min(limit, v.used))
	}
	v.reserve = min(max(v.capacity/16, minReserve), maxReserve)
	v.reserve = min(v.reserve+perGuest*uint64(guests), v.capacity/4)
	v.tryFrom, v.tryTo = v.reserve*3/4, v.reserve*5/8
	if g.cfg.Budget != nil { // no room is needed for guests that are stopped late
		v.part = v.reserve / 2 / uint64(max(guests, 1))
		v.tryTo = v.part * uint64(max(guests, 1)-1) // what is the others'
		v.tryFrom = v.tryTo + v.try()
	}
	v.short = v.reserve + v.capacity/8
	v.plenty = v.reserve + v.capacity/4
	return v
}

// step looks once, and tells when to look again.
func (g *Governor) step(now time.Time) time.Duration {
	h, err := g.cfg.Measure()
	if err != nil {
		return latest
	}
	guests := g.cfg.Guests()
	g.forget(guests)
	v := g.view(h, len(guests))
	if g.due(&v, now) || anyStands(guests) {
		g.count(guests, h.Anonymous, now)
		v = g.view(h, len(guests))
		g.used = v.used
	}
	floor := v.reserve
	switch {
	case v.room < v.short || v.stalled:
		g.squeeze(guests, &v, now)
		g.merge(now)
	case v.room > v.plenty:
		g.relax(guests, now)
	}
	if trying := g.resume(&v, now); trying {
		floor = v.reserve * 5 / 8
	}
	if v.host < floor { // what the limit allows is the budget's business
		g.pause(guests, &v, now)
	}
	if g.cfg.Budget != nil {
		g.share(guests, &v, now)
	}
	return min(max(time.Duration(float64(v.room-min(v.room, floor))/rate*float64(time.Second)), soonest), latest)
}

// due tells whether guests are to be counted.
func (g *Governor) due(v *view, now time.Time) bool {
	below, wait := v.short, latest
	if g.cfg.Budget != nil { // which does not see what is given back
		below = v.plenty + 1
		if v.room < v.short {
			wait = recountWait
		}
	}
	return v.room < below && (!g.known || now.Sub(g.counted) >= wait || v.room < v.reserve && v.used > g.used+unseen)
}

var rate = float64(max(2, runtime.NumCPU()) * perCPU)

// forget drops guests that are gone.
func (g *Governor) forget(guests []Guest) {
	here := map[Guest]bool{}
	for _, o := range guests {
		here[o] = true
	}
	gone := func(o Guest) bool { return !here[o] }
	for _, m := range []map[Guest]uint64{g.usage, g.growth, g.squeezed} {
		forget(m, gone)
	}
	forget(g.exact, gone)
	forget(g.parts, gone)
	g.paused = slices.DeleteFunc(g.paused, func(t *turn) bool { return gone(t.guest) })
}

func forget[V any](m map[Guest]V, gone func(Guest) bool) {
	maps.DeleteFunc(m, func(o Guest, _ V) bool { return gone(o) })
}

// count finds out exactly what each guest takes, which takes some time.
func (g *Governor) count(guests []Guest, anon uint64, now time.Time) {
	var sum uint64
	for _, o := range guests {
		g.recount(o, now)
		u := o.Usage()
		before, seen := g.usage[o]
		if !seen {
			before = u
		}
		g.growth[o] = u - min(u, before)
		g.usage[o] = u
		sum += u
	}
	g.others, g.counted, g.known = anon-min(anon, sum), now, true
}

// try is how much a guest gets that tries to go on in the reserve.
func (v *view) try() uint64 { return v.reserve / 8 }

func (v *view) reason(limit uint64) string {
	if limit != 0 && limit-min(limit, v.used) <= v.room {
		return fmt.Sprintf("memory: machines use %d of the %d MiB that they may have together", v.used>>20, limit>>20)
	}
	return fmt.Sprintf("memory: the host has %d MiB left", v.room>>20)
}
