package pressure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"doppel/internal/platform"
)

const mib = 1 << 20

// fake is a guest of a simulated host.
type fake struct {
	name    string
	size    uint64
	usage   uint64
	counts  uint64 // in the budget: never less
	grows   uint64 // bytes a second while it runs
	driver  bool
	balloon uint64
	target  uint64
	cache   uint64 // of usage, that a balloon can have
	state   string // "running", "pressed", "asked"
	reason  string
	pauses  int

	w      *world
	credit uint64
	stands bool
}

func (f *fake) Size() uint64            { return f.size }
func (f *fake) Running() bool           { return f.state == "running" }
func (f *fake) Paused() bool            { return f.state == "pressed" }
func (f *fake) Balloon() (bool, uint64) { return f.driver, f.balloon }
func (f *fake) Squeeze(target uint64)   { f.target = target }

func (f *fake) Recount()               { f.counts = f.usage }
func (f *fake) Stands() (uint64, bool) { return 4096, f.stands }
func (f *fake) LetGo()                 { f.stands = false }
func (f *fake) SetCredit(n uint64)     { f.credit = n }

func (f *fake) Usage() uint64 {
	if f.w.limit != 0 {
		return f.counts
	}
	return f.usage
}

// take is what a memory.Budget does: it gives all of n bytes, or what there is.
func (f *fake) take(n uint64) {
	if f.w.limit != 0 {
		used := f.w.Used()
		free := f.w.line - min(f.w.line, used)
		give := min(n, free+min(f.credit, f.w.limit-min(f.w.limit, used+free)))
		f.credit -= give - min(give, free)
		f.stands = give < n
		n = give
		f.counts += n
	}
	f.usage += n
}

func (f *fake) Pause(reason string) error {
	if f.state != "running" {
		return errors.New("not running")
	}
	f.state, f.reason = "pressed", reason
	f.pauses++
	return nil
}

func (f *fake) Resume() error {
	if f.state != "pressed" {
		return errors.New("not paused")
	}
	f.state, f.reason = "running", ""
	return nil
}

// world is a host with guests and a process around them.
type world struct {
	t      *testing.T
	guests []*fake
	heap   uint64 // of the process, beside guests
	total  uint64
	taken  uint64 // by other processes
	shared uint64
	g      *Governor
	now    time.Time
	limit  uint64
	line   uint64
	late   time.Duration // of the governor, at random
	worst  uint64        // the most that guests took
}

func (w *world) SetLine(line uint64)    { w.line = line }
func (w *world) Asked() <-chan struct{} { return nil }

func (w *world) Used() (sum uint64) {
	for _, f := range w.guests {
		sum += f.counts
	}
	return sum + w.shared
}

// add adds a guest.
func (w *world) add(f *fake) {
	f.w, f.counts = w, f.usage
	w.guests = append(w.guests, f)
}

func newWorld(t *testing.T, limit, total uint64, guests ...*fake) *world {
	w := &world{t: t, heap: 50 * mib, total: total, limit: limit, line: limit, now: time.Now()}
	for _, f := range guests {
		w.add(f)
	}
	cfg := Config{
		Limit: limit,
		Guests: func() (all []Guest) {
			for _, f := range w.guests {
				all = append(all, f)
			}
			return all
		},
		Measure: func() (platform.HostMemory, error) {
			used := w.used()
			return platform.HostMemory{Total: w.total, Available: w.total - min(w.total, used+w.heap+w.taken), Anonymous: used + w.heap}, nil
		},
		Shared: func() uint64 { return w.shared },
	}
	if limit != 0 {
		cfg.Budget = w
	}
	w.g = New(cfg)
	return w
}

func (w *world) used() (sum uint64) {
	for _, f := range w.guests {
		sum += f.usage
	}
	return sum
}

// run lets simulated time go by; each is called between two looks.
func (w *world) run(d time.Duration, each func()) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		dt := w.g.step(w.now)
		if dt < soonest || dt > latest {
			w.t.Fatalf("next look in %v", dt)
		}
		if w.late > 0 {
			dt += rand.N(w.late)
		}
		w.now = w.now.Add(dt)
		for _, f := range w.guests {
			f.live(dt.Seconds())
		}
		w.worst = max(w.worst, w.used())
		if each != nil {
			each()
		}
	}
}

// live is what a guest does in some time: it grows, and its balloon takes what
// is cache, at 500 MiB a second.
func (f *fake) live(seconds float64) {
	if f.state != "running" || f.stands {
		return
	}
	grown := min(uint64(float64(f.grows)*seconds), f.size-min(f.size, f.usage+f.balloon))
	f.take(grown)
	step := uint64(500 * mib * seconds)
	switch {
	case !f.driver:
	case f.balloon < f.target:
		n := min(step, f.target-f.balloon, f.cache, f.usage)
		f.balloon, f.usage, f.cache = f.balloon+n, f.usage-n, f.cache-n
	case f.balloon > f.target:
		f.balloon -= min(step, f.balloon-f.target)
	}
}

func guest(name string, usage uint64) *fake {
	return &fake{name: name, size: 512 * mib, usage: usage, state: "running"}
}

// The machine that asks for more is paused before the limit, with a reason;
// its neighbours run on. It goes on when there is room.
func TestPause(t *testing.T) {
	a, b, hog := guest("a", 100*mib), guest("b", 100*mib), guest("hog", 50*mib)
	w := newWorld(t, 512*mib, 8<<30, a, b, hog)
	w.run(2*time.Second, nil)
	hog.grows = 2 << 30
	w.run(3*time.Second, nil)
	if hog.state != "pressed" || !strings.Contains(hog.reason, "of the 512 MiB") || a.pauses+b.pauses != 0 {
		t.Fatalf("hog is %s (%s), others paused %d times", hog.state, hog.reason, a.pauses+b.pauses)
	}
	if w.worst > 512*mib {
		t.Errorf("guests took %d MiB", w.worst/mib)
	}
	// A long time changes nothing: it tries again, ever more rarely.
	w.run(2*time.Minute, nil)
	if w.worst > 512*mib || hog.pauses > 20 || a.pauses+b.pauses != 0 {
		t.Errorf("guests took %d MiB; hog paused %d times, others %d", w.worst/mib, hog.pauses, a.pauses+b.pauses)
	}
	w.guests = []*fake{a, hog} // b is closed
	hog.grows = 0
	w.run(time.Second, nil)
	if hog.state != "running" {
		t.Errorf("with room again, hog is %s", hog.state)
	}
}

// Balloons grow before anybody is paused, in proportion to what guests take,
// and shrink when there is room.
func TestSqueeze(t *testing.T) {
	a, b, c := guest("a", 300*mib), guest("b", 100*mib), guest("c", 20*mib)
	for _, f := range []*fake{a, b} {
		f.driver, f.cache = true, f.usage/2
	}
	w := newWorld(t, 512*mib, 8<<30, a, b, c)
	w.run(time.Second, nil)
	c.grows = 50 * mib // slowly: balloons can follow
	w.run(2*time.Second, nil)
	if a.pauses+b.pauses+c.pauses != 0 {
		t.Errorf("paused: %d %d %d", a.pauses, b.pauses, c.pauses)
	}
	if a.target < 2*b.target || b.target == 0 || c.target != 0 || w.worst > 480*mib {
		t.Errorf("targets %d %d %d MiB, worst %d MiB", a.target/mib, b.target/mib, c.target/mib, w.worst/mib)
	}
	w.guests = []*fake{a, b}
	w.run(2*time.Minute, nil)
	if a.target+b.target != 0 || a.balloon+b.balloon != 0 {
		t.Errorf("with room, balloons of %d and %d MiB", a.balloon/mib, b.balloon/mib)
	}
}

// A machine alone, whose memory is what is missing, gets its turn.
func TestOwnBalloon(t *testing.T) {
	a := guest("a", 100*mib)
	a.driver, a.grows = true, 2<<30
	w := newWorld(t, 256*mib, 8<<30, a)
	w.run(time.Second, nil)
	if a.state != "pressed" {
		t.Fatalf("%+v", a)
	}
	a.grows, a.cache = 0, 150*mib
	w.run(time.Minute, nil)
	if a.state != "running" || a.balloon == 0 || w.worst > 256*mib {
		t.Errorf("%+v, worst %d MiB", a, w.worst/mib)
	}
}

// Without a limit it is the host's memory that counts. Who does not ask is not
// paused, whoever took it.
func TestHostShort(t *testing.T) {
	a, b := guest("a", 400*mib), guest("b", 100*mib)
	a.driver, a.cache = true, 300*mib
	w := newWorld(t, 0, 2<<30, a, b)
	w.run(time.Second, nil)
	w.taken = 1400 * mib
	w.run(3*time.Second, nil)
	if a.pauses+b.pauses != 0 || a.balloon == 0 {
		t.Errorf("paused %d, %d; balloon %d MiB", a.pauses, b.pauses, a.balloon/mib)
	}
	w.taken = 1480*mib + a.balloon
	b.grows = 1 << 30
	w.run(3*time.Second, nil)
	if b.state != "pressed" || !strings.Contains(b.reason, "the host has") || a.pauses != 0 {
		t.Errorf("%+v", b)
	}
	w.taken = 0
	b.grows = 0
	w.run(3*time.Second, nil)
	if b.state != "running" {
		t.Errorf("%+v", b)
	}
}

// A pause that somebody asked for stays, and a resume is theirs to give.
func TestAsked(t *testing.T) {
	hog := guest("hog", 0)
	hog.grows = 1 << 30
	w := newWorld(t, 256*mib, 8<<30, hog)
	w.run(3*time.Second, nil)
	if hog.state != "pressed" {
		t.Fatalf("%+v", hog)
	}
	hog.state = "asked"
	hog.usage = 0
	w.run(30*time.Second, nil)
	if hog.state != "asked" {
		t.Errorf("%+v", hog)
	}
}

// Random guests never take more than the limit, and all run when they have
// become modest.
func TestRandom(t *testing.T) {
	for range 50 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		w, most := newWorld(t, 512*mib, 8<<30), 600 // all together what two processors do
		for i := range 1 + r.IntN(6) {
			f := guest(fmt.Sprint(i), uint64(r.IntN(30))*mib)
			f.driver = r.IntN(2) == 0
			w.add(f)
		}
		if r.IntN(2) == 0 { // a host with other things to do: the limit holds nevertheless
			w.late, most = time.Duration(1+r.IntN(3000))*time.Millisecond, 4000
		}
		w.run(30*time.Second, func() {
			f := w.guests[r.IntN(len(w.guests))]
			switch r.IntN(40) {
			case 0:
				f.grows = uint64(r.IntN(most)) * mib
			case 1:
				f.grows = 0
			case 2:
				f.usage -= min(f.usage, uint64(r.IntN(100))*mib)
				f.cache = 0
			case 3:
				f.cache = f.usage / uint64(1+r.IntN(4))
			}
		})
		if w.worst > 512*mib {
			t.Errorf("seed %d: guests took %d MiB", seed, w.worst/mib)
		}
		for _, f := range w.guests {
			f.grows, f.usage = 0, min(f.usage, 30*mib)
		}
		w.late = 0
		w.run(time.Minute, nil)
		for _, f := range w.guests {
			if f.state != "running" || f.stands || f.target != 0 {
				t.Errorf("seed %d: in the end %+v", seed, f)
			}
		}
	}
}

// A guest that grows leaves its neighbours what is theirs of the reserve,
// however late the governor comes: they are not paused for what little they
// take.
func TestParts(t *testing.T) {
	for _, late := range []time.Duration{0, time.Second, 10 * time.Second} {
		a, b, hog := guest("a", 150*mib), guest("b", 150*mib), guest("hog", 50*mib)
		w := newWorld(t, 512*mib, 8<<30, a, b, hog)
		w.run(time.Second, nil)
		w.late = late
		hog.grows = 4 << 30
		w.run(30*time.Second, nil)
		if hog.state != "pressed" && !hog.stands {
			t.Fatalf("%v late: %+v", late, hog)
		}
		for range 5 { // all of it less than a part, at any speed
			a.grows, b.grows = 1<<20, 1<<20
			w.run(time.Second, nil)
			a.grows, b.grows = 0, 0
			w.run(time.Minute, nil)
			a.usage, b.usage = a.usage-a.usage%(50*mib), b.usage-b.usage%(50*mib)
		}
		if a.pauses+b.pauses != 0 || a.stands || b.stands || w.worst > 512*mib || hog.pauses > 40 {
			t.Errorf("%v late: paused %d, %d and %d times, worst %d MiB", late, a.pauses, b.pauses, hog.pauses, w.worst/mib)
		}
	}
}

// TestEnd: when Run returns, nobody looks for pages any more, and a governor has
// nothing of guests that are gone.
func TestEnd(t *testing.T) {
	w := newWorld(t, 0, 1<<30, &fake{name: "a", size: 1 << 30, usage: 900 * mib, state: "running"})
	merging, merged := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	w.g.cfg.Merge = func() uint64 {
		close(merging)
		<-merged
		time.Sleep(20 * time.Millisecond) // Run would return meanwhile
		ended.Store(true)
		return 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-merging
		cancel()
		close(merged)
	}()
	if w.g.Run(ctx); !ended.Load() {
		t.Error("Run has returned before Merge")
	}
	w.g.remember(w.guests[0], time.Now())
	w.g.forget(nil)
	if g := w.g; len(g.usage)+len(g.growth)+len(g.squeezed)+len(g.exact)+len(g.parts)+len(g.paused) != 0 {
		t.Errorf("it remembers who is gone: %+v", g)
	}
	if all := w.g.paused[:cap(w.g.paused)]; slices.ContainsFunc(all, func(t *turn) bool { return t != nil }) {
		t.Error("it holds on to who is gone")
	}
}
