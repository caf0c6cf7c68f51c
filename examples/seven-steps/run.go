package sevensteps

import (
	"context"
	"fmt"
	"io"
	"time"

	"doppel"
	"doppel/internal/cpu"
)

// Options are how a step is run.
type Options struct {
	Set    map[string]string // parameters that are not the default
	Source string            // a guest in place of the step's own
	Engine string            // as in doppel.Config
	Lines  int               // of traces that are shown, 0: all
	Trace  bool
	Text   bool // the step's page first
	Out    io.Writer
}

// Error is a mistake of the caller's: a parameter or a source.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// session is one run of a step.
type session struct {
	ctx     context.Context
	o       Options
	screen  *screen
	values  values
	symbols map[string]uint64
	kernel  []byte

	finished func([]outcome) // for tests
}

// Run runs a step to its end.
func (s *Step) Run(ctx context.Context, o Options) error {
	n, err := s.newSession(ctx, o)
	if err != nil {
		return err
	}
	if o.Text {
		n.screen.printf("%s\n", s.Text())
	}
	return s.run(n)
}

func (s *Step) newSession(ctx context.Context, o Options) (*session, error) {
	v, err := s.parse(o.Set)
	if err != nil {
		return nil, &Error{err}
	}
	n := &session{ctx: ctx, o: o, values: v, screen: &screen{w: o.Out}}
	n.screen.allow(o.Lines)
	source := o.Source
	if source == "" {
		source = s.Source()
	}
	n.symbols = s.symbols(v)
	if s.Number == 4 {
		n.symbols["BOMB"], n.symbols["MOST"] = 0, mostThreads
	}
	if n.kernel, err = assemble(source, n.symbols); err != nil {
		return nil, &Error{fmt.Errorf("the guest's source: %w", err)}
	}
	return n, nil
}

const (
	// guestMemory is enough for each guest.
	guestMemory = 16 << 20
	// mostThreads is for how many step 4's guest has room.
	mostThreads = 20_000
	// limit is how long a guest may take that ends by itself.
	limit = 5 * time.Minute
)

// config describes a machine that is called name.
func (n *session) config(name string) doppel.Config {
	prefix := ""
	if name != "" {
		prefix = name + " "
	}
	cfg := doppel.Config{Name: name, KernelData: n.kernel, Memory: guestMemory, Engine: n.o.Engine, Balloon: "off",
		Console: doppel.WriteOnly(&console{screen: n.screen, name: prefix})}
	if n.o.Trace {
		cfg.Trace = &trace{screen: n.screen, name: prefix}
	}
	return cfg
}

// alone runs one machine to its end.
func (n *session) alone() error {
	cfg := n.config("")
	if harts, ok := n.values["harts"]; ok {
		cfg.CPUs = int(harts[0])
	}
	m, err := doppel.New(cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(n.ctx, limit)
	defer cancel()
	start := time.Now()
	r, err := m.Run(ctx)
	if err != nil {
		return err
	}
	if r.Reason == doppel.Finished && r.Code != 0 {
		n.screen.printf("The guest says that it has failed: %d\n", r.Code)
	}
	n.summary(m.Stats(), time.Since(start))
	return n.screen.ended()
}

// summary tells how rare exits were.
func (n *session) summary(s doppel.Stats, took time.Duration) {
	err := n.screen.ended()
	if err != nil {
		return
	}
	var exits, waits uint64
	for _, c := range s.CPUs {
		exits += c.Exits[cpu.ExitMMIO] + c.Exits[cpu.ExitCall]
		waits += c.Exits[cpu.ExitHalt]
	}
	n.screen.printf("\n%d instructions in %v; %d exits to the VMM (%d MMIO and calls, %d waits)",
		s.Instructions(), took.Round(10*time.Microsecond), exits+waits, exits, waits)
	if exits+waits > 0 {
		n.screen.printf(", one in %d instructions", s.Instructions()/(exits+waits))
	}
	n.screen.printf("\n")
}
