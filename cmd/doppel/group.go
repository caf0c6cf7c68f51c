package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"doppel"
	"doppel/internal/backend/terminal"
	"doppel/internal/manage/control"
)

// member is a machine of a group: as it is wanted, and as it runs.
type member struct {
	name  string // what doppel stats calls it
	image string // "" for none
	flags *runFlags
	cfg   doppel.Config
	// placed says where in a file the mistake is that an error tells of.
	placed func(error) error

	m        *doppel.Machine
	terminal terminal.Console
	result   doppel.Result
	err      error
	last     *control.Stats // of --stats
}

// group is one or more machines that are run together. Nothing of it runs
// before all of it is there; what was opened is undone in the opposite order.
type group struct {
	file    string            // that describes it, "" for a command line
	placed  func(error) error // says where in the file a mistake is that is not a machine's; nil without one
	host    *doppel.Host
	members []*member
	stderr  io.Writer
	mux     *terminal.Mux // nil with one machine on the terminal, or none

	undo []func() error
	quit context.CancelFunc

	stopping sync.Once
}

func (g *group) later(fn func() error) { g.undo = append(g.undo, fn) }

// close undoes everything.
func (g *group) close() error {
	var errs []error
	for len(g.undo) > 0 {
		last := len(g.undo) - 1
		fn := g.undo[last]
		g.undo = g.undo[:last]
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}

// runGroup runs machines until all have ended, or quit is asked for. started
// is called when all of them run.
func runGroup(ctx context.Context, g *group, hc doppel.HostConfig, started func()) error {
	ctx, g.quit = context.WithCancel(ctx)
	defer g.quit()
	err := g.open(ctx, hc)
	if err == nil {
		g.run(ctx, started)
	}
	if undone := g.close(); err == nil {
		err = undone
	}
	for _, m := range g.members { // when the terminal is itself again
		if m.last != nil {
			printStats(g.stderr, m.last)
		}
	}
	if err != nil {
		return err
	}
	return g.outcome()
}

// open makes everything that the machines need, and the machines.
func (g *group) open(ctx context.Context, hc doppel.HostConfig) error {
	for _, m := range g.members {
		if m.image == "" {
			continue
		}
		release, err := m.flags.addImage(ctx, &m.cfg, m.image)
		if err != nil {
			return m.place(err)
		}
		g.later(func() error { release(); return nil })
	}
	var err error
	if g.host, err = doppel.NewHost(hc); err != nil {
		if g.placed != nil {
			err = g.placed(err)
		}
		return err
	}
	g.later(g.host.Close)
	if err := g.openConsoles(); err != nil {
		return err
	}
	for i, m := range g.members {
		if err := g.openMachine(i, m); err != nil {
			return m.place(err)
		}
	}
	return nil
}

// place says where in a file the mistake is, if the machine is from one.
func (m *member) place(err error) error {
	if m.placed == nil {
		return err
	}
	return m.placed(err)
}

const stdio = "stdio"

// openConsoles opens the machines' consoles; those on the terminal share it.
func (g *group) openConsoles() error {
	var shared []*member
	for _, m := range g.members {
		if m.flags.console == stdio {
			shared = append(shared, m)
			continue
		}
		var err error
		if m.terminal, err = terminal.Open(m.flags.console, terminal.Options{Quit: g.quit, Notices: g.stderr}); err != nil {
			return m.place(usageError{err})
		}
		g.later(m.terminal.Close)
	}
	if len(shared) == 0 {
		return nil
	}
	o := terminal.Options{Quit: g.quit}
	typed := term.IsTerminal(int(os.Stdin.Fd()))
	if len(shared) > 1 {
		o.Choose = func(c terminal.Choice) { g.mux.Choose(c) }
		if typed {
			fmt.Fprintln(g.stderr, "Ctrl-A n types to the next machine, Ctrl-A x quits, Ctrl-A h lists the keys.")
		}
	}
	t, err := terminal.Open(stdio, o)
	if err != nil {
		return usageError{err}
	}
	g.later(t.Close)
	if len(shared) == 1 {
		shared[0].terminal = t
		return nil
	}
	var names []string
	for _, m := range shared {
		names = append(names, m.name)
	}
	g.mux = terminal.NewMux(t, names, typed)
	for i, m := range shared {
		m.terminal = g.mux.Console(i)
		g.later(m.terminal.Close)
	}
	return nil
}

func (g *group) openMachine(i int, m *member) error {
	m.cfg.Console = m.terminal
	name := ""
	if len(g.members) > 1 {
		name = m.name
	}
	trace, closeTrace, err := openTrace(m.flags.trace, name, g.stderr)
	if err != nil {
		return err
	}
	g.later(closeTrace)
	m.cfg.Trace = trace
	if m.m, err = g.host.New(m.cfg); err != nil {
		return err
	}
	g.later(m.m.Close)
	if why := m.m.Fallback(); why != nil {
		fmt.Fprintf(g.stderr, "doppel: the interpreter runs this guest, several times slower: %v\r\n", why)
	}
	closeControl, err := serveControl(m.flags.control, i, control.Machine{
		Stats:      func() control.Stats { return g.figures(m) },
		SetBalloon: m.m.SetBalloon,
		Stop:       g.stop,
	}, g.stderr)
	if err != nil {
		return err
	}
	g.later(func() error { closeControl(); return nil })
	return nil
}

// figures are what doppel stats and doppel ps tell of a machine.
func (g *group) figures(m *member) control.Stats {
	s := figures(m.m, m.name, m.flags.engine)
	s.File = g.file
	s.Console = m.flags.console
	for i := range m.m.NICs() {
		if a := m.m.Addr(i); a.IsValid() {
			s.Addresses = append(s.Addresses, a.String())
		}
	}
	for _, p := range m.cfg.Publish {
		s.Published = append(s.Published, p.String())
	}
	return s
}

// run runs all machines until each has ended.
func (g *group) run(ctx context.Context, started func()) {
	var wg sync.WaitGroup
	for _, m := range g.members {
		wg.Go(func() {
			m.result, m.err = m.m.Run(ctx)
			if m.flags.stats {
				s := g.figures(m)
				m.last = &s
			}
			if ctx.Err() != nil { // the user quit, or a signal asked for it
				m.err = withoutCanceled(m.err)
			}
			if len(g.members) > 1 {
				m.farewell()
			}
		})
	}
	for _, m := range g.members {
		for m.m.Status() == doppel.Created { // Run is about to change it, whatever comes of it
			time.Sleep(time.Millisecond)
		}
	}
	started()
	wg.Wait()
}

// farewell tells on the machine's console that it has ended: others go on.
func (m *member) farewell() {
	text := m.result.Reason.String()
	switch {
	case m.err != nil:
		text = m.err.Error()
	case m.result.Reason == doppel.Finished:
		text = fmt.Sprintf("status %d", m.result.Code)
	}
	fmt.Fprintf(m.terminal, "\r\n[%s has ended: %s]\r\n", m.name, text)
	if m.flags.console == stdio {
		m.terminal.Close() // its end of what all share
	}
}

// outcome is the error of the first machine that failed, or the status of the
// first guest that ended with one.
func (g *group) outcome() error {
	var errs []error
	for _, m := range g.members {
		if m.err != nil && len(g.members) > 1 {
			errs = append(errs, fmt.Errorf("machine %s: %w", m.name, m.err))
		} else {
			errs = append(errs, m.err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, m := range g.members {
		if err := passOn(m.result.Code); err != nil {
			return err
		}
	}
	return nil
}

// stop ends all machines in order within a time, and does not wait for it: it
// gives them Linux's keys for that one after the other, and switches off what
// does not obey.
func (g *group) stop(within time.Duration) {
	g.stopping.Do(func() {
		time.AfterFunc(within, g.quit)
		for _, m := range g.members {
			go m.powerOff(within)
		}
	})
}

// embedded tells whether the guest is the one that is part of this program.
func (m *member) embedded() bool {
	return m.image == "" && m.flags.kernel == "" && m.flags.firmware == ""
}

// The parts of the time that a guest has to write out its file systems before
// it is told to make them read-only, and that it has for this.
const (
	syncPart    = 10
	remountPart = 4
	keyRetry    = 20 * time.Millisecond
)

// key is one of Linux's, and the time that it takes.
type key struct {
	key  byte
	wait time.Duration
}

// powerOff asks a guest to switch itself off. It ends with the machine.
func (m *member) powerOff(within time.Duration) {
	end := time.Now().Add(within)
	steps := []key{{'s', min(within/syncPart, time.Second)}, {'u', min(within/remountPart, 3*time.Second)}, {'o', 0}}
	if m.embedded() {
		steps = []key{{'o', 0}} // it has no files
	}
	for _, step := range steps {
		for !m.m.SysRq(step.key) {
			if m.m.Status() != doppel.Running || time.Now().After(end) {
				return
			}
			time.Sleep(keyRetry)
		}
		time.Sleep(step.wait)
	}
}

// fill puts the machine's name where {name} stands in values that differ from
// machine to machine.
func (f *runFlags) fill(name string) *runFlags {
	c := *f
	for _, s := range []*string{&c.append, &c.kernel, &c.initrd, &c.jitDump, &c.control, &c.trace, &c.console} {
		*s = strings.ReplaceAll(*s, "{name}", name)
	}
	for _, list := range []*[]string{&c.disks, &c.nets} {
		all := make([]string, len(*list))
		for i, s := range *list {
			all[i] = strings.ReplaceAll(s, "{name}", name)
		}
		*list = all
	}
	return &c
}
