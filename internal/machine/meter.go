package machine

import (
	"doppel/internal/cpu/sched"
	host "doppel/internal/platform"
)

// threadMeter is a sched.Meter of the thread that a goroutine is on when it
// starts. Goroutines seldom change threads while they work.
type threadMeter struct {
	thread   host.Thread
	executed int64 // when it started
	waits    int64

	// How long the thread waits for a processor is only asked of one that is
	// known to wait for other things too: it takes some microseconds.
	waiter  bool
	delayed int64
	told    bool
}

// beside does something for the machine on a goroutine that has no place, which
// the machine pays for.
func (m *Machine) beside(do func()) {
	if m.group.Alone() {
		do()
		return
	}
	var executed int64
	t := host.CurrentThread()
	before := t.Executed()
	do()
	if host.MeasuresThreads() && host.CurrentThread() == t {
		executed = t.Executed() - before
	}
	m.group.Beside(executed)
}

// newThreadMeter returns nil if the host does not measure threads.
func newThreadMeter() sched.Meter {
	if !host.MeasuresThreads() {
		return nil
	}
	return &threadMeter{}
}

func (m *threadMeter) Start() {
	m.thread = host.CurrentThread()
	m.executed, m.waits = host.Own()
	m.told = false
	if m.waiter {
		m.delayed, m.told = host.Delayed()
	}
}

func (m *threadMeter) Executed() int64 { return m.thread.Executed() - m.executed }

func (m *threadMeter) Waits() bool { return m.thread.Waits() }

func (m *threadMeter) Moved() bool { return host.CurrentThread() != m.thread }

func (m *threadMeter) Waited() (waited bool, delayed int64) {
	if m.Moved() {
		return true, 0
	}
	_, waits := host.Own()
	m.waiter = waits != m.waits
	if m.waiter && m.told {
		delayed, _ = host.Delayed()
		delayed = max(delayed-m.delayed, 0)
	}
	return m.waiter, delayed
}
