package machine

import (
	"time"

	"doppel/internal/device"
	"doppel/internal/device/virtio"
	"doppel/internal/memory"
)

// MemoryUsage is what the machine's RAM takes of the host; ok is false if the
// host does not tell, or the machine is closed. It waits for nobody.
func (m *Machine) MemoryUsage() (u memory.Usage, ok bool) {
	m.inMemory.RLock()
	defer m.inMemory.RUnlock()
	if m.gone {
		return u, false
	}
	return m.ram.Usage()
}

// ReadMemory calls f while RAM stays where it is, and guest and devices go on
// using it. It returns false if the machine is closed. It waits for nobody;
// closing the machine waits for f.
func (m *Machine) ReadMemory(f func(ram *memory.Region)) bool {
	m.inMemory.RLock()
	defer m.inMemory.RUnlock()
	if m.gone {
		return false
	}
	f(m.ram)
	return true
}

// MemorySize is the size of RAM in bytes.
func (m *Machine) MemorySize() uint64 { return m.cfg.Memory }

// PauseFor is Pause for a reason that is not a caller's wish. A machine that
// does not run is left as it is.
func (m *Machine) PauseFor(reason string) error { return m.pause(reason) }

// ResumeFrom lets a machine go on that PauseFor has paused. One that somebody
// paused on purpose stays paused.
func (m *Machine) ResumeFrom() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.status != Paused || m.reason == "" {
		return &StatusError{actResume.String(), m.status}
	}
	m.reason = ""
	if err := m.change(actResume); err != nil {
		return err
	}
	m.let()
	return nil
}

// Account is what the machine's memory takes of its budget.
func (m *Machine) Account() memory.Account { return m.mem.Account() }

// Stands tells whether the machine stands still because it was refused memory.
func (m *Machine) Stands() bool { return m.mem.Stands() }

// SetCredit sets what the machine may take beyond the line of its budget.
func (m *Machine) SetCredit(n uint64) { m.mem.SetCredit(n) }

// LetGo lets a machine go on that stands: it tries again to get the memory.
func (m *Machine) LetGo() {
	m.mem.LetGo()
	for _, v := range m.vcpus {
		v.notify()
	}
	for _, d := range m.cfg.Virtio {
		if d != nil && d.Type() != virtio.TypeBalloon { // which was refused nothing
			for i := range d.QueueSizes() {
				d.Notify(i)
			}
		}
	}
}

// CountMemory makes what counts of RAM what the host has given, for which the
// machine stands still for a moment. It returns false if that cannot be had
// now: somebody changes the machine, or a device does not come to rest within
// limit.
func (m *Machine) CountMemory(limit time.Duration) (ok bool) {
	if !m.mu.TryLock() {
		return false
	}
	defer m.mu.Unlock()
	return m.withMemory(limit, func(ram *memory.Region) {
		ok = ram.Recount()
		m.forgetTranslations() // a store by one of them would not be seen
	}) && ok
}

// look is what can be seen of a machine without waiting for who changes it.
type look struct {
	status Status
	reason string
}

// show makes the status visible; the lock is held.
func (m *Machine) show() {
	l := &look{status: m.status}
	if m.status == Paused {
		l.reason = m.reason
	}
	m.seen.Store(l)
}

// Look is Status without waiting for a change that is under way, and why the
// machine is paused, if nobody asked for that.
func (m *Machine) Look() (s Status, reason string) {
	if l := m.seen.Load(); l != nil {
		return l.status, l.reason
	}
	return Created, ""
}

// WithMemory calls f while nobody uses the machine's memory: its vCPUs stand
// still between two instructions, and its devices rest, for as long as f
// takes. Time goes on. It returns false, and f is not called, if the machine
// is closed, is about to end or to be reset, or has a device that does not
// come to rest within limit.
func (m *Machine) WithMemory(limit time.Duration, f func(ram *memory.Region)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.withMemory(limit, f)
}

func (m *Machine) withMemory(limit time.Duration, f func(ram *memory.Region)) bool {
	switch m.status {
	case Closed:
		return false
	case Running:
		// Devices first: guests wait for the vCPUs' part only.
		work, ok := m.restWithin(limit)
		if !ok {
			return false
		}
		defer work()
		m.park()
		if m.asked.Load() {
			return false // the gate stays up for who obeys
		}
		defer m.gate.lower()
	}
	f(m.ram)
	return true
}

// restWithin is rest for devices that come to it in time: one may wait for a
// host's file, or for a terminal that nobody reads.
func (m *Machine) restWithin(limit time.Duration) (work func(), ok bool) {
	var workers []device.Worker
	for _, w := range m.workers {
		if w != device.Worker(m.console) { // which only has a line
			workers = append(workers, w)
		}
	}
	rested := make(chan struct{}, len(workers))
	for _, w := range workers {
		go func() {
			w.Pause()
			rested <- struct{}{}
		}()
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for n := range workers {
		select {
		case <-rested:
		case <-timeout.C:
			go func() { // pauses nest: the others are not in doubt
				for range len(workers) - n {
					<-rested
				}
				resume(workers)
			}()
			return nil, false
		}
	}
	return func() { resume(workers) }, true
}

func resume(workers []device.Worker) {
	for _, w := range workers {
		w.Resume()
	}
}
