package sevensteps

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"doppel"
	"doppel/internal/machine"
)

// The neighbour is measured in windows: alone, beside a machine that only
// computes and beside the bomb, in turn, so that what else the host does is in
// all of them.
const (
	bombWindow = 120 * time.Millisecond
	bombRounds = 5
)

// BombResult is what a bomb in step 4's guest did to others.
type BombResult struct {
	// Alone, Quiet and Bomb are what a neighbour gets: without another machine,
	// beside one that only computes, beside the bomb.
	Alone, Quiet, Bomb Gain
	// Before and After are the VMM's own memory in bytes, without the guests';
	// 0 if the host does not tell.
	Before, After uint64
	// Resident is what the bomb's machine has of its Size.
	Resident, Size uint64
	// Instructions and Exits are the bomb's own.
	Instructions, Exits uint64
}

// Gain is what a machine gets of a processor.
type Gain struct {
	Share float64 // of its time
	Rate  float64 // instructions a second
}

// Bomb measures what a guest that makes threads without end does to the VMM
// and to a neighbour.
func (s *Step) Bomb(ctx context.Context, o Options) (BombResult, error) {
	o.Trace = false
	n, err := s.newSession(ctx, o)
	if err != nil {
		return BombResult{}, err
	}
	h, err := doppel.NewHost(doppel.HostConfig{})
	if err != nil {
		return BombResult{}, err
	}
	defer h.Close()
	var b bombTest
	for _, g := range []struct {
		to   **doppel.Machine
		name string
		step int
		set  map[string]uint64
	}{
		{&b.neighbour, "neighbour", 5, nil},
		{&b.quiet, "quiet", 4, map[string]uint64{"BOMB": 0, "THREADS": 1, "ROUNDS": 0}},
		{&b.bomb, "bomb", 4, map[string]uint64{"BOMB": 1, "ROUNDS": 0}},
	} {
		if *g.to, err = n.bombMachine(h, g.name, g.step, g.set); err != nil {
			return BombResult{}, err
		}
	}
	return b.measure(ctx)
}

// bombMachine makes one of the machines, with a step's guest.
func (n *session) bombMachine(h *doppel.Host, name string, step int, set map[string]uint64) (*doppel.Machine, error) {
	s, err := Find(step)
	if err != nil {
		return nil, err
	}
	source, symbols := s.Source(), map[string]uint64{}
	if step == 4 {
		symbols = n.symbols
		if n.o.Source != "" {
			source = n.o.Source
		}
	}
	for name, v := range set {
		symbols[name] = v
	}
	kernel, err := assemble(source, symbols)
	if err != nil {
		return nil, &Error{fmt.Errorf("the guest's source: %w", err)}
	}
	return h.New(doppel.Config{Name: name, KernelData: kernel, Memory: guestMemory, Engine: n.o.Engine, Balloon: "off",
		CPUAffinity: strconv.Itoa(machine.Processors()[0])})
}

// bombTest are the machines of a measurement.
type bombTest struct{ neighbour, quiet, bomb *doppel.Machine }

func (b *bombTest) measure(ctx context.Context) (r BombResult, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 3)
	for _, m := range []*doppel.Machine{b.neighbour, b.quiet, b.bomb} {
		go func() {
			_, err := m.Run(ctx)
			ended <- err
		}()
		for m.Status() == doppel.Created {
			time.Sleep(time.Millisecond)
		}
	}
	// Everything is warm: translated, and the bomb has no room left.
	time.Sleep(bombWindow)
	if err := errors.Join(b.quiet.Pause(), b.bomb.Pause()); err != nil {
		return r, err
	}
	r.Before = b.ownMemory()
	var gains [3][]Gain
	for range bombRounds {
		for i, beside := range []*doppel.Machine{nil, b.quiet, b.bomb} {
			g, err := b.window(beside)
			if err != nil {
				return r, err
			}
			gains[i] = append(gains[i], g)
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
	r.After = b.ownMemory()
	r.Alone, r.Quiet, r.Bomb = median(gains[0]), median(gains[1]), median(gains[2])
	s := b.bomb.Stats()
	r.Instructions = s.Instructions()
	for _, c := range s.CPUs {
		for _, n := range c.Exits {
			r.Exits += n
		}
	}
	mem := b.bomb.Memory()
	r.Resident, r.Size = mem.Resident, mem.Size
	return r, nil
}

// window lets another machine run beside the neighbour for a while, and
// returns what the neighbour gets.
func (b *bombTest) window(beside *doppel.Machine) (Gain, error) {
	if beside != nil {
		if err := beside.Resume(); err != nil {
			return Gain{}, err
		}
	}
	before, start := now(b.neighbour), time.Now()
	time.Sleep(bombWindow)
	after, seconds := now(b.neighbour), time.Since(start).Seconds()
	if beside != nil {
		if err := beside.Pause(); err != nil {
			return Gain{}, err
		}
	}
	return Gain{
		Share: (after.Had - before.Had).Seconds() / seconds,
		Rate:  float64(after.Instructions-before.Instructions) / seconds,
	}, nil
}

// now is what a machine has had, its instructions up to now.
func now(m *doppel.Machine) outcome {
	m.Counts() // brings its processor out for a moment
	return outcomes([]*doppel.Machine{m})[0]
}

// median is that of each number by itself.
func median(all []Gain) Gain {
	of := func(f func(Gain) float64) float64 {
		var v []float64
		for _, g := range all {
			v = append(v, f(g))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return Gain{of(func(g Gain) float64 { return g.Share }), of(func(g Gain) float64 { return g.Rate })}
}

// ownMemory is what this process has of the host's memory for itself: after
// its garbage is gone, and without what guests have.
func (b *bombTest) ownMemory() uint64 {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			own := kb << 10
			for _, m := range []*doppel.Machine{b.neighbour, b.quiet, b.bomb} {
				own -= min(own, m.Memory().Resident)
			}
			return own
		}
	}
	return 0
}

// String is the answer.
func (r BombResult) String() string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "A bomb in the guest of step 4: each thread makes threads, without end.\n\n")
	fmt.Fprintf(&sb, "The neighbour, a machine that only computes, on the same processor:\n")
	for _, l := range []struct {
		text string
		Gain
	}{{"alone", r.Alone}, {"beside one that computes as well", r.Quiet}, {"beside the bomb", r.Bomb}} {
		fmt.Fprintf(&sb, "  %-32s %6.1f%% of the time, %6.0f million instructions a second\n", l.text, 100*l.Share, l.Rate/1e6)
	}
	fmt.Fprintf(&sb, "The bomb leaves it %.1f%% of what any machine would leave it.\n\n", 100*r.Bomb.Share/r.Quiet.Share)
	const mib = 1 << 20
	fmt.Fprintf(&sb, "The VMM:\n")
	if r.Before != 0 {
		fmt.Fprintf(&sb, "  its own memory before            %8.1f MiB\n", float64(r.Before)/mib)
		fmt.Fprintf(&sb, "  and after                        %8.1f MiB\n", float64(r.After)/mib)
	}
	fmt.Fprintf(&sb, "  the bomb's machine has           %8.1f MiB of its %d\n", float64(r.Resident)/mib, r.Size/mib)
	fmt.Fprintf(&sb, "  exits of the bomb                %8d, one in %d of its instructions\n", r.Exits, r.Instructions/max(r.Exits, 1))
	return sb.String()
}
