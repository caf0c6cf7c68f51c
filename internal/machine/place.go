package machine

import (
	"doppel/internal/cpu/sched"
	"doppel/internal/device/virtio"
)

// place is where a device's worker works: to the scheduler it is one more vCPU
// of the machine, so that what devices do for a guest comes out of the guest's
// share, and a flood of requests is its own loss.
//
// A machine without rivals takes no notice: whether a worker or a vCPU has the
// processor is between the two of them, and the host's scheduler knows more
// about who waits.
type place struct {
	m    *Machine
	slot *sched.VCPU
	held bool
	owes bool // what it does until its step ends
}

// newPlace is called on the worker's goroutine.
func (m *Machine) newPlace() virtio.Place {
	// A host that does not allow it has told a vCPU so, and the machine ends.
	_ = m.bind()
	p := &place{m: m, slot: m.group.NewWorker(m.cfg.Share)}
	p.slot.SetMeter(newThreadMeter())
	return p
}

func (p *place) Rest(woken <-chan struct{}) {
	select {
	case <-p.slot.Granted():
		p.seated()
	case <-woken:
		p.slot.Block() // it may have been woken besides
	}
}

// Wake saves a turn of the worker's thread, which would only ask for a place.
func (p *place) Wake() bool {
	if p.m.group.Alone() {
		return false
	}
	p.slot.Ready()
	return true
}

func (p *place) Take() {
	if p.held || p.m.group.Alone() {
		return
	}
	p.slot.Ready()
	<-p.slot.Granted()
	p.seated()
}

func (p *place) seated() {
	p.slot.Begin()
	p.held, p.owes = true, true
}

func (p *place) Asked() bool { return p.held && p.slot.GiveWay() }

func (p *place) Give() {
	if p.held {
		p.held = false
		p.slot.Block()
	}
}

func (p *place) Settle() {
	if p.owes {
		p.owes = false
		p.slot.Settle()
	}
}

func (p *place) Close() { p.slot.Close() }
