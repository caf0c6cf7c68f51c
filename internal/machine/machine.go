// Package machine is one machine: memory, harts and devices on the reference
// board, a goroutine for each vCPU, and the life from power-on to the guest's
// power-off.
//
// It knows nothing of command lines, images or networks: it is given file
// contents and virtio devices that have their backends already.
//
// Threads: one goroutine a vCPU; Run's caller is the control loop. The other
// methods may be called from any goroutine at any time; what changes the
// status waits its turn. Lock order: Machine.mu, then the gate, then a
// device's lock; Machine.inMemory is innermost. A vCPU's goroutine never takes
// Machine.mu: what the guest asks for (reset, power-off) is posted to the
// control loop.
package machine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"doppel/internal/board"
	"doppel/internal/clock"
	"doppel/internal/cpu/sched"
	"doppel/internal/device"
	"doppel/internal/entropy"
	"doppel/internal/fdt"
	"doppel/internal/memory"
	"doppel/internal/riscv/sbi"
	"doppel/internal/state"
)

// Machine is one machine.
type Machine struct {
	cfg     Config
	plan    *plan
	mem     *memory.Space
	ram     *memory.Region
	mrom    *memory.Region
	clock   *clock.Host
	entropy EntropySource
	vcpus   []*vcpu
	sbi     *sbi.SBI // nil if M-mode belongs to the guest
	bus     board.Bus
	intc    device.Device
	extra   []*fdt.Node
	console *console
	trace   *tracer // nil: nobody looks
	htif    *htif
	group   *sched.Group // its vCPUs, among those of all machines
	wakeUps histogram
	workers []device.Worker
	gate    *gate
	budget  uint64

	fallback error // why auto is the interpreter

	inMemory sync.RWMutex // held to read by who asks about memory, against its end
	gone     bool

	events chan event  // from the guest to the control loop
	failed chan error  // the same for failures of vCPUs
	asked  atomic.Bool // either is on its way, and not obeyed yet

	mu     sync.Mutex
	obeyed sync.Cond // asked was cleared, or the machine has ended
	status Status
	reason string // why it is paused, if nobody asked for that
	seen   atomic.Pointer[look]
	done   chan struct{} // closed when the machine is stopped
	result Result
	err    error
}

// Reason tells how a guest ended.
type Reason uint8

const (
	PowerOff Reason = iota // the guest switched itself off
	Finished               // through the test finisher or tohost, with a code
	Halted                 // by Close, or the end of Run's context
)

func (r Reason) String() string {
	names := [...]string{"power-off", "finished", "halted"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Result is how a machine ended.
type Result struct {
	Reason Reason
	Code   int // the guest's own pass (0) or fail code
}

// event is what a guest asks of the control loop.
type event struct {
	reset  bool
	result Result
}

// New builds a machine. It is as at power-on and nothing runs. The virtio
// devices belong to it from here on, also if it fails.
func New(cfg Config) (*Machine, error) {
	m := &Machine{
		cfg: cfg, mem: &memory.Space{}, clock: clock.NewHost(), entropy: cfg.Entropy, gate: newGate(),
		console: newConsole(cfg.Console), budget: runBudget, events: make(chan event, 1), failed: make(chan error, 1), done: make(chan struct{}),
	}
	m.obeyed.L = &m.mu
	if m.cfg.Scheduler == nil {
		m.cfg.Scheduler = processors()
	}
	if m.entropy == nil {
		m.entropy = entropy.Host{}
	}
	if err := m.prepare(); err != nil {
		for _, v := range cfg.Virtio {
			if v != nil {
				err = errors.Join(err, v.Close())
			}
		}
		if m.group != nil {
			m.group.Close()
		}
		return nil, errors.Join(err, m.mem.Close())
	}
	commons.Join()
	return m, nil
}

func (m *Machine) prepare() (err error) {
	if err = m.cfg.validate(); err != nil {
		return err
	}
	err = m.cfg.reading(func() error {
		m.plan, err = newPlan(&m.cfg)
		return err
	})
	if err != nil {
		return err
	}
	if err = m.build(); err != nil {
		return err
	}
	if m.cfg.Trace != nil {
		m.trace = newTracer(m, m.cfg.Trace)
	}
	// Workers rest until Run: a device that is restored must not look at
	// memory that is not.
	for _, w := range m.workers {
		w.Pause()
	}
	return m.load()
}

// Status tells where the machine is in its life.
func (m *Machine) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// change makes a transition; the lock is held.
func (m *Machine) change(a action) error {
	next, err := m.status.after(a)
	if err == nil {
		m.status = next
		m.show()
	}
	return err
}

// Run runs the machine until the guest ends it, the context ends (the error is
// then the context's), or the host fails. It may be called once.
func (m *Machine) Run(ctx context.Context) (Result, error) {
	m.mu.Lock()
	if err := m.change(actRun); err != nil {
		m.mu.Unlock()
		return Result{}, err
	}
	// A vCPU that runs keeps a processor of Go's scheduler, and no more of them
	// run than there are processors.
	if want := len(m.cfg.Scheduler.CPUs()) + reserve; runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
	m.console.start()
	if m.trace != nil {
		go m.trace.run()
	}
	m.let()
	for _, v := range m.vcpus {
		m.gate.enter()
		go m.run(v)
	}
	m.mu.Unlock()

	for {
		select {
		case <-ctx.Done():
			m.stop(Result{Reason: Halted}, ctx.Err())
		case err := <-m.failed:
			m.stop(Result{Reason: Halted}, err)
		case e := <-m.events:
			switch {
			case e.reset:
				if err := m.Reset(); err != nil {
					m.stop(Result{Reason: Halted}, err)
				}
			default:
				m.stop(e.result, nil)
			}
		case <-m.done:
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.result, m.err
		}
	}
}

// post hands an event to the control loop and holds the vCPUs; the first
// event counts.
func (m *Machine) post(e event) {
	select {
	case m.events <- e:
		m.summon()
	default:
	}
}

// fail hands a vCPU's failure to the control loop, which ends the machine
// whatever the guest has asked for meanwhile.
func (m *Machine) fail(err error) {
	select {
	case m.failed <- err:
		m.summon()
	default: // one is enough
	}
}

// summon has the vCPUs wait for the control loop. Only their goroutines call
// it: the control loop waits for them at the gate, so that it cannot lower the
// gate before it is raised here.
func (m *Machine) summon() {
	m.asked.Store(true) // before this vCPU parks, so before anybody obeys
	m.gate.raise()
	m.kickAll()
}

// hold stops vCPUs, then workers, then time; the lock is held. Afterwards
// nothing changes the machine's state.
func (m *Machine) hold() {
	m.park()
	m.still()
}

// park stops the vCPUs.
func (m *Machine) park() {
	m.gate.raise()
	m.kickAll()
	m.gate.wait()
}

// still stops workers and time.
func (m *Machine) still() {
	for _, w := range m.workers {
		w.Pause()
	}
	m.clock.Pause()
}

// let undoes hold, and starts what rests before Run.
func (m *Machine) let() {
	m.clock.Resume()
	for _, w := range m.workers {
		w.Resume()
	}
	m.gate.lower()
}

// Pause stops the machine between two instructions, with no access to a device
// under way. What the guest has asked for before (a reset, its end) comes
// first: the request is no part of the state.
func (m *Machine) Pause() error { return m.pause("") }

func (m *Machine) pause(reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if reason != "" && m.status != Running {
		return &StatusError{actPause.String(), m.status}
	}
	for m.status == Running {
		m.park()
		if !m.asked.Load() {
			m.still()
			break
		}
		for m.asked.Load() && m.status == Running {
			m.obeyed.Wait()
		}
	}
	err := m.change(actPause)
	if err == nil {
		m.reason = reason
		m.show()
	}
	return err
}

// Resume lets a paused machine go on.
func (m *Machine) Resume() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.status
	if err := m.change(actResume); err != nil {
		return err
	}
	if was == Paused {
		m.reason = ""
		m.show()
		m.let()
	}
	return nil
}

// Reset restarts the machine as at power-on: memory is cleared and the kernel
// loaded again. A paused machine stays paused.
func (m *Machine) Reset() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.change(actReset); err != nil {
		return err
	}
	if m.status == Running {
		m.hold()
	}
	m.dropEvents()
	if m.trace != nil {
		m.trace.reset()
	}
	for _, s := range m.bus.Slots() {
		s.Reset()
	}
	if m.sbi != nil {
		m.sbi.Reset()
	}
	for _, v := range m.vcpus {
		v.Reset()
	}
	if err := m.ram.Zero(); err != nil {
		return err
	}
	if err := m.load(); err != nil {
		return err
	}
	if m.status == Running {
		m.let()
	}
	return nil
}

// dropEvents forgets what the guest asked for before a reset; failures stay.
// The vCPUs are held.
func (m *Machine) dropEvents() {
	select {
	case <-m.events:
	default:
	}
	m.asked.Store(len(m.failed) != 0)
	m.obeyed.Broadcast()
}

// stop ends the guest. The first result counts.
func (m *Machine) stop(r Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.status
	if m.change(actStop) != nil || was == Stopped {
		return
	}
	if was == Running {
		m.hold()
	}
	m.gate.end()
	m.console.flush(flushLimit)
	if m.trace != nil && was != Created { // or nobody writes
		if failed := m.trace.flush(flushLimit); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	m.result, m.err = r, err
	close(m.done)
	m.obeyed.Broadcast()
}

// flushLimit bounds the wait for a host that does not read the console.
var flushLimit = 2 * time.Second // a test has more of it

// Close ends the machine and releases everything.
func (m *Machine) Close() error {
	m.stop(Result{Reason: Halted}, nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.status
	if err := m.change(actClose); err != nil || was == Closed {
		return err
	}
	m.inMemory.Lock()
	m.gone = true // who asks from here on does not look
	m.inMemory.Unlock()
	return m.release()
}

func (m *Machine) release() error {
	var errs []error
	if m.trace != nil {
		m.trace.close()
	}
	for _, w := range m.workers {
		errs = append(errs, w.Close())
	}
	m.group.Close()
	commons.Leave()
	errs = append(errs, m.mem.Close())
	return errors.Join(errs...)
}

// Memory is the guest's physical memory; touch it only while the machine does
// not run.
func (m *Machine) Memory() *memory.Space { return m.mem }

// SaveState returns all state but the contents of memory. The machine is not
// running.
func (m *Machine) SaveState() ([]state.Section, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.change(actSave); err != nil {
		return nil, err
	}
	return state.SaveAll(m.components()), nil
}

// RestoreState puts saved state into a machine of the same configuration that
// has not run. The caller restores the contents of memory. After an error the
// machine can only be closed.
func (m *Machine) RestoreState(sections []state.Section) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.change(actRestore); err != nil {
		return err
	}
	err := state.RestoreAll(m.components(), complete(sections))
	m.spoil(err)
	return err
}

// spoil leaves a machine that can only be closed, if there was an error; the
// lock is held.
func (m *Machine) spoil(err error) {
	if err != nil && m.change(actStop) == nil {
		m.err = err
		close(m.done)
	}
}
