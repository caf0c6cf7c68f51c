package doppel

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"doppel/internal/manage/pressure"
	"doppel/internal/memory"
	"doppel/internal/platform"
)

const (
	memoryOvercommit = "overcommit"
	memoryStrict     = "strict"
	sharingAuto      = "auto"
	sharingOn        = "on"
	sharingOff       = "off"
	minMemoryLimit   = 64 << 20
)

// hostMemory is what the machines of a host share of its memory.
type hostMemory struct {
	limit  uint64
	strict bool
	paused func(m *Machine, reason string)
	budget *memory.Budget // nil: what machines take is not bounded, or is by their sizes
	pool   *memory.Pool
	always bool // look for pages also when there is plenty
	lends  bool

	mu     sync.Mutex
	guests []*memoryGuest
	stop   context.CancelFunc // of the governor; nil before the first machine
	done   sync.WaitGroup

	counted counted
}

// counted keeps what was found out last.
type counted struct {
	mu    sync.Mutex
	at    time.Time
	stats HostMemoryStats
}

func (c *counted) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
}

func newHostMemory(cfg *HostConfig) (*hostMemory, error) {
	h := &hostMemory{limit: cfg.MemoryLimit, paused: cfg.MemoryPaused}
	if h.limit != 0 && h.limit < minMemoryLimit {
		return nil, &ConfigError{Field: "MemoryLimit", Value: fmt.Sprint(h.limit), Reason: fmt.Sprintf("must be at least %d MiB, or 0 for what the host has", minMemoryLimit>>20)}
	}
	switch cfg.MemoryPolicy {
	case "", memoryOvercommit:
	case memoryStrict:
		h.strict = true
		if h.limit == 0 {
			host, err := platform.AskHostMemory()
			if err != nil {
				return nil, &ConfigError{Field: "MemoryPolicy", Value: cfg.MemoryPolicy, Reason: fmt.Sprintf("needs MemoryLimit: the host does not tell how much memory it has (%v)", err)}
			}
			h.limit = host.Total
		}
	default:
		return nil, &ConfigError{Field: "MemoryPolicy", Value: cfg.MemoryPolicy, Reason: "must be overcommit or strict"}
	}
	switch cfg.MemorySharing {
	case "", sharingAuto:
		h.lends = true
	case sharingOn:
		h.lends, h.always = true, true
	case sharingOff:
	default:
		return nil, &ConfigError{Field: "MemorySharing", Value: cfg.MemorySharing, Reason: "must be auto, on or off"}
	}
	if h.limit != 0 && !h.strict {
		h.budget = memory.NewBudget(h.limit)
	}
	h.pool = memory.NewPool(h.lends, h.budget)
	return h, nil
}

// claim refuses a machine that does not fit, if that is the policy.
func (h *hostMemory) claim(cfg *Config) error {
	size := cfg.Memory
	if size == 0 {
		size = defaultMemory
	}
	if !h.strict {
		return nil
	}
	var others uint64
	for _, g := range h.list() {
		others += g.Size()
	}
	if size > h.limit-min(others, h.limit) {
		return &ConfigError{Field: "Memory", Value: fmt.Sprint(size), Reason: fmt.Sprintf(
			"too much: machines may have %d MiB together, and others have %d of them; give it less, raise the limit, or allow more than there is (memory policy overcommit)", h.limit>>20, others>>20)}
	}
	return nil
}

// fits refuses a machine for whose kernel there is no memory.
func (h *hostMemory) fits(m *Machine) error {
	if !m.m.Stands() {
		return nil
	}
	h.recount()
	if h.budget.Used() > h.limit {
		return &ConfigError{Field: "MemoryLimit", Value: fmt.Sprint(h.limit), Reason: fmt.Sprintf(
			"leaves no room for another machine's kernel: machines take %d of %d MiB; raise it, or close a machine", h.budget.Used()>>20, h.limit>>20)}
	}
	m.m.LetGo()
	return nil
}

// recount makes exact what machines take.
func (h *hostMemory) recount() {
	for _, g := range h.list() {
		g.Recount()
	}
}

// list is the guests at this time; it waits for nobody.
func (h *hostMemory) list() []*memoryGuest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.guests)
}

// join adds a machine, and governs from the first one on.
func (h *hostMemory) join(m *Machine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := &memoryGuest{m, h}
	h.guests = append(h.guests, g)
	h.pool.Add(g)
	if h.stop != nil {
		return
	}
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	if !h.strict {
		cfg := pressure.Config{
			Limit: h.limit, Guests: h.pressed, Measure: platform.AskHostMemory,
			Shared: func() uint64 { return h.pool.Stats().Copies }, Merge: h.mergeShort,
		}
		if h.budget != nil {
			cfg.Budget = h.budget
		}
		g := pressure.New(cfg)
		h.done.Go(func() { g.Run(ctx) })
	}
	if h.always {
		h.done.Go(func() { h.merge(ctx) })
	}
}

// mergeShort gives back what it can when memory is short: of guests, and of the
// process itself.
func (h *hostMemory) mergeShort() (saved uint64) {
	debug.FreeOSMemory()
	return h.pool.Merge()
}

// How often pages are looked for while there is plenty of memory: less often
// the less that gives.
const (
	mergeSoonest = 10 * time.Second
	mergeLatest  = 5 * time.Minute
	mergeWorth   = 1 << 20
)

func (h *hostMemory) merge(ctx context.Context) {
	for wait := mergeSoonest; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if wait = min(2*wait, mergeLatest); h.pool.Merge() >= mergeWorth {
			wait = mergeSoonest
		}
	}
}

// restored looks for what a machine that was just restored has in common with
// others: all of it, if they were restored from the same state.
func (h *hostMemory) restored(m *Machine) {
	all := h.list()
	if len(all) < 2 || !h.lends {
		return
	}
	for _, g := range all {
		if g.m == m {
			h.pool.MergeOne(g)
		}
	}
}

func (h *hostMemory) pressed() (all []pressure.Guest) {
	for _, g := range h.list() {
		all = append(all, g)
	}
	return all
}

func (h *hostMemory) leave(m *Machine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.guests = slices.DeleteFunc(h.guests, func(g *memoryGuest) bool { return g.m == m })
}

// close ends the governor; the machines are closed.
func (h *hostMemory) close() {
	h.mu.Lock()
	if h.stop != nil {
		h.stop()
	}
	h.mu.Unlock()
	h.done.Wait()
	h.pool.Close()
}

// memoryGuest is a machine as the governor sees it. None of its methods waits
// for the guest, nor for who builds or restores a machine.
type memoryGuest struct {
	m    *Machine
	host *hostMemory
}

func (g *memoryGuest) Size() uint64 { return g.m.m.MemorySize() }

func (g *memoryGuest) Usage() uint64 {
	if g.host.budget != nil {
		return g.m.m.Account().Taken
	}
	u, _ := g.m.m.MemoryUsage()
	return u.Private
}

func (g *memoryGuest) Recount() {
	if g.m.m.Account().Loose {
		g.m.m.CountMemory(restLimit)
	}
}

func (g *memoryGuest) Stands() (wants uint64, stands bool) {
	return g.m.m.Account().Wants, g.m.m.Stands()
}

func (g *memoryGuest) LetGo() { g.m.m.LetGo() }

func (g *memoryGuest) SetCredit(n uint64) { g.m.m.SetCredit(n) }

// Read, Still and Running make it a memory.Member.

func (g *memoryGuest) Read(f func(*memory.Region)) bool { return g.m.m.ReadMemory(f) }

// restLimit bounds how long a device may take to come to rest.
const restLimit = 50 * time.Millisecond

func (g *memoryGuest) Still(f func(*memory.Region)) bool { return g.m.m.WithMemory(restLimit, f) }

func (g *memoryGuest) Running() bool {
	s, _ := g.m.m.Look()
	return s == Running
}

func (g *memoryGuest) Paused() bool {
	_, reason := g.m.m.Look()
	return reason != ""
}

func (g *memoryGuest) Pause(reason string) error {
	err := g.m.m.PauseFor(reason)
	g.tell(err, reason)
	return err
}

func (g *memoryGuest) Resume() error {
	err := g.m.m.ResumeFrom()
	g.tell(err, "")
	return err
}

func (g *memoryGuest) tell(err error, reason string) {
	if err == nil && g.host.paused != nil {
		g.host.paused(g.m, reason)
	}
}

func (g *memoryGuest) Balloon() (live bool, actual uint64) {
	if g.m.balloon == nil {
		return false, 0
	}
	s := g.m.balloon.State()
	return s.Live, min(s.Actual, g.Size())
}

func (g *memoryGuest) Squeeze(target uint64) {
	g.m.squeeze.set(g.m, func(s *squeeze) { s.host = target })
}
