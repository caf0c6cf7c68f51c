// Package check is the engine that checks another one: it runs the subject (the
// translator) and the oracle (the interpreter) in lock step and stops a machine
// at the first difference, with both states.
//
// A Run goes in periods. In each, both engines execute the same number of
// instructions from the same state: each on a hart and on a view of memory of
// its own, so that neither sees what the other does. Within a period nothing
// comes from outside: interrupt inputs keep their levels, devices that store to
// memory rest, time counts instructions, and random numbers are the same for
// both. Then the exits, the states of the harts and all pages that either has
// stored to are compared, and only if they are equal become the machine's. If
// they differ, the machine is still as the period began, and the period is run
// again in part, to find the instruction (diagnose.go).
//
// What it does not find: a difference that was made and undone within one
// period, and stores of the subject past the store TLB. Engines may differ in
// when they see code and page tables that the guest has changed without a
// fence: where that is code, the difference is excused (diagnose); where it is
// page tables, it is reported although both are right.
//
// Threads: as internal/cpu says. The VCPUs of one machine take turns (Group),
// so that other harts' stores come between periods too. Lock order: the group,
// then devices' workers.
package check

import (
	"runtime"
	"sync"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// Engine is what can be checked.
type Engine interface {
	cpu.VCPU
	Hart() *hart.Hart
	// ForgetStores makes the next store to each page mark it in the dirty log.
	ForgetStores()
}

// New makes an engine.
type New func(hart.Config) (Engine, error)

// Options say how a machine is checked.
type Options struct {
	Subject, Oracle New
	// Rest makes devices leave memory alone until the function that it returns
	// is called. nil if there are none.
	Rest func() (work func())
	// Period is how many instructions are compared at once; 0 means the
	// default.
	Period uint64
	// Unmarked says that between Runs memory may change without a mark in the
	// dirty log, as tests do it. Time stands still within periods then.
	Unmarked bool
}

// defaultPeriod bounds how late interrupts and kicks are seen.
const defaultPeriod = 1 << 18

// Group is what the VCPUs of one machine share. A VCPU that is in a period
// holds its lock.
type Group struct {
	o     Options
	mu    sync.Mutex
	vcpus []*VCPU
	pages memory.PageSet // that have changed behind the views
}

// NewGroup returns a group without VCPUs.
func NewGroup(o Options) *Group {
	if o.Period == 0 {
		o.Period = defaultPeriod
	}
	if o.Rest == nil {
		o.Rest = func() func() { return func() {} }
	}
	return &Group{o: o}
}

// VCPU checks one hart.
type VCPU struct {
	h               hart.Hart // as the machine knows it; nothing runs on it
	start           hart.Hart // h as the period began
	g               *Group
	mem             *memory.Space
	subject, oracle side
	clock           floorClock
	tape            tape
	opened          bool           // the views are
	pages           memory.PageSet // stored to in the period
	unfenced        memory.PageSet // stored to since the last fence.i, and perhaps before
	generation      uint64         // of the oracle's code
	excused         uint64         // see diagnose
	asked           bool           // an MMIO exit waits for CompleteMMIO
	failed          error          // why the VCPU runs no more
}

// side is one of the two engines and what it runs on.
type side struct {
	Engine
	view  *memory.View
	clock *periodClock
	tape  *reader
	exit  cpu.Exit // of the last Run
}

var _ cpu.VCPU = (*VCPU)(nil)

// NewVCPU adds a VCPU, in its state at power-on, to the group.
func (g *Group) NewVCPU(cfg hart.Config) (*VCPU, error) {
	v := &VCPU{g: g, mem: cfg.Memory, clock: floorClock{Clock: cfg.Clock}, tape: tape{source: cfg.Entropy}}
	var err error
	if v.subject, err = v.newSide(cfg, g.o.Subject); err != nil {
		return nil, err
	}
	if v.oracle, err = v.newSide(cfg, g.o.Oracle); err != nil {
		return nil, err
	}
	cfg.Clock = &v.clock
	v.h.Init(cfg, forward{v})
	cfg.Clock = new(periodClock)
	v.start.Init(cfg, nil)
	// The Views are not reachable from their own cleanup.
	runtime.AddCleanup(v, func(views [2]*memory.View) { views[0].Close(); views[1].Close() }, [2]*memory.View{v.subject.view, v.oracle.view})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.vcpus = append(g.vcpus, v)
	return v, nil
}

func (v *VCPU) newSide(cfg hart.Config, newEngine New) (s side, err error) {
	s = side{view: new(memory.View), clock: new(periodClock), tape: &reader{tape: &v.tape}}
	cfg.Memory, cfg.Clock, cfg.Entropy = &s.view.Space, s.clock, s.tape
	if s.Engine, err = newEngine(cfg); err != nil {
		return s, err
	}
	s.clock.h = s.Hart()
	return s, nil
}

// sides lists both.
func (v *VCPU) sides() [2]*side { return [2]*side{&v.subject, &v.oracle} }

// forward hands what the machine's hart tells its engine on to both.
type forward struct{ v *VCPU }

func (f forward) FlushTLB(fence hart.Fence) {
	if fence.Context {
		return // they see it when they assume the state
	}
	for _, s := range f.v.sides() {
		s.Hart().RequestFlush(fence)
	}
}

func (f forward) FlushCode() { f.FlushTLB(hart.Fence{Code: true}) }

// Hart is the state that the machine knows, as of the last period.
func (v *VCPU) Hart() *hart.Hart { return &v.h }

// Subject is the engine that is checked.
func (v *VCPU) Subject() Engine { return v.subject.Engine }

func (v *VCPU) ID() int                               { return v.h.ID() }
func (v *VCPU) Kick()                                 { v.h.Kick() }
func (v *VCPU) SetInterrupt(line uint, asserted bool) { v.h.SetInterrupt(line, asserted) }
func (v *VCPU) Runnable() bool                        { return v.h.Runnable() }
func (v *VCPU) OnWake(fn func())                      { v.h.OnWake(fn) }
func (v *VCPU) Instructions() uint64                  { return v.h.Instret }
func (v *VCPU) StateName() string                     { return v.h.StateName() }
func (v *VCPU) StateVersion() uint32                  { return v.h.StateVersion() }
func (v *VCPU) Save(e *state.Encoder)                 { v.h.Save(e) }

// Restore is for state.Component.
func (v *VCPU) Restore(d *state.Decoder, version uint32) error {
	err := v.h.Restore(d, version)
	v.forget()
	return err
}

// Reset is for cpu.VCPU.
func (v *VCPU) Reset() {
	v.h.Reset()
	v.forget()
}

// FlushTLB is for cpu.VCPU.
func (v *VCPU) FlushTLB() {
	v.subject.FlushTLB()
	v.oracle.FlushTLB()
}

// forget brings both engines to power-on: their state is taken from the
// machine's hart anyway.
func (v *VCPU) forget() {
	v.asked = false
	v.subject.Reset()
	v.oracle.Reset()
}

// Counts is for cpu.Counter: the subject's, and how often a difference was
// excused.
func (v *VCPU) Counts() []cpu.Count {
	all := []cpu.Count{{Name: "differences excused", N: v.excused}}
	if c, ok := v.subject.Engine.(cpu.Counter); ok {
		all = append(all, c.Counts()...)
	}
	return all
}
