package machine

import (
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"

	"doppel/internal/cpu/sched"
	host "doppel/internal/platform"
)

// processors is the scheduler of machines that are given none: that of all
// processors which the process may use.
var processors = sync.OnceValue(func() *sched.Scheduler {
	cpus := host.CPUs()
	if len(cpus) == 0 {
		for n := range runtime.NumCPU() {
			cpus = append(cpus, n)
		}
	}
	s := sched.New(cpus, sched.HostTime())
	if host.MeasuresThreads() {
		s.MeasureProcess(host.ProcessExecuted)
	}
	return s
})

// Processors are the numbers of the processors that machines run on.
func Processors() []int { return processors().CPUs() }

// reserve is how many processors of Go's scheduler are left for devices, timers
// and the control loop beside those that vCPUs keep.
const reserve = 2

// seat is what a vCPU's goroutine keeps of its place on the host's processors.
type seat struct {
	slot   *sched.VCPU
	held   bool   // the vCPU has a processor
	left   uint64 // guest time when it gave the last one up
	waited int64  // of the time that slot counts, what the guest knows

	// stalls counts instructions that wait for another hart since the vCPU was
	// given its processor; spins is set when it should let a sibling run.
	stalls int
	spins  bool
}

const (
	// stallLimit is after how many of these a vCPU lets a sibling run that
	// waits for a processor. The locks of kernels are mostly held for less.
	stallLimit = 100
	// stallPause is after how many the goroutine lets others run.
	stallPause = 16
)

// stall is called for each instruction with which the vCPU waits for another.
func (m *Machine) stall(v *vcpu) {
	v.seat.stalls++
	if v.seat.stalls%stallPause == 0 {
		runtime.Gosched()
	}
	if v.seat.stalls >= stallLimit && m.group.Waiting() {
		v.seat.spins = true
		v.Kick() // out of Run
	}
}

// bind keeps the vCPU's thread to the machine's processors.
func (m *Machine) bind() error {
	if len(m.cfg.Share.Affinity) == 0 {
		return nil
	}
	runtime.LockOSThread() // the thread ends with the goroutine
	if err := host.BindThread(m.cfg.Share.Affinity); err != nil {
		return fmt.Errorf("use processors %s only: %w", sched.FormatCPUs(m.cfg.Share.Affinity), err)
	}
	return nil
}

// sit returns when the vCPU has a processor, or false when it is to look at
// the gate. One that has one and is not asked to give way passes without a
// lock.
func (m *Machine) sit(v *vcpu) bool {
	s := &v.seat
	switch {
	case !s.held:
		s.slot.Ready()
	case s.spins:
		s.spins, s.stalls = false, 0
		if s.slot.YieldToSibling() {
			return true
		}
		m.leave(v)
	case s.slot.GiveWay():
		if s.slot.Yield() {
			return true
		}
		m.leave(v)
	default:
		return true
	}
	for {
		select {
		case <-s.slot.Granted():
			m.seated(v)
			return true
		case <-v.wake:
			if m.gate.raised.Load() {
				s.slot.Block()
				return false
			}
			if v.published.asked.Load() {
				v.publish(false)
			}
		}
	}
}

// leave notes that the vCPU has lost its processor though it could run on.
func (m *Machine) leave(v *vcpu) {
	if m.trace != nil {
		m.trace.left(v)
	}
	m.leaveThread(v)
	v.seat.held = false
	v.seat.left = m.clock.Now()
	if m.sbi != nil {
		m.sbi.Preempted(v.ID())
	}
}

// seated notes that the vCPU has a processor, and tells the guest what it has
// waited.
func (m *Machine) seated(v *vcpu) {
	s := &v.seat
	s.slot.Begin()
	s.held, s.stalls, s.spins = true, 0, false
	if m.trace != nil {
		m.trace.got(v)
	}
	waited := s.slot.Waited()
	if m.sbi != nil {
		m.sbi.Stole(v.ID(), uint64(waited-s.waited))
	}
	s.waited = waited
	// Was it a timer for which it runs again?
	if hi, due := bits.Mul64(v.hart.CSR.Stimecmp, nsPerTick); hi == 0 && due > s.left {
		if now := m.clock.Now(); now >= due {
			m.wakeUps.add(now - due)
		}
	}
}

// stand gives the vCPU's processor up, if it has one.
func (m *Machine) stand(v *vcpu) {
	if v.seat.held {
		v.seat.held = false
		v.seat.left = m.clock.Now()
		v.seat.slot.Block()
	}
}

// Histogram counts times: its element i those of less than 2^i nanoseconds
// which the element before does not count.
type Histogram [40]uint64

// histogram is a Histogram that any goroutine adds to.
type histogram [len(Histogram{})]atomic.Uint64

func (h *histogram) add(ns uint64) { h[min(bits.Len64(ns), len(h)-1)].Add(1) }

func (h *histogram) read() (out Histogram) {
	for i := range h {
		out[i] = h[i].Load()
	}
	return out
}

// Usage is what a vCPU has had of the processors, in nanoseconds.
type Usage struct {
	Running uint64 // had a processor
	Waiting uint64 // had none though it could run: the guest's steal time
	// Executed is what the host has let it execute: what shares are of. It is
	// Running where the host does not measure that, and for a machine alone.
	Executed uint64
}

func (s *seat) usage() Usage {
	ran, waited := s.slot.Usage()
	return Usage{uint64(ran), uint64(waited), uint64(s.slot.Executed())}
}

// offersSteal tells whether guests are told of time that was stolen. The engine
// that checks wants memory to itself.
func (m *Machine) offersSteal() bool { return m.cfg.Engine != engineCheck }

// newSeats puts the machine's vCPUs before the scheduler.
func (m *Machine) newSeats() {
	m.group = m.cfg.Scheduler.NewGroup(m.cfg.Share)
	for _, v := range m.vcpus {
		v.seat.slot = m.group.NewVCPU(m.cfg.Share, v.Kick)
		v.seat.slot.SetMeter(newThreadMeter())
	}
}
