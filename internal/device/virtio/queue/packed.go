package queue

import (
	"doppel/internal/memory"
	"doppel/internal/state"
)

// Event suppression flags (virtio §2.8.14).
const (
	eventEnable  = 0
	eventDisable = 1
	eventDesc    = 2 // at the descriptor that the offset names
)

const eventWrap = 1 << 15 // wrap counter in an event offset

// packed is the ring of virtio §2.8.
type packed struct {
	q            *Queue
	desc         memory.GPA
	driverEvent  memory.GPA
	deviceEvent  memory.GPA
	avail, used  position
	sinceSignal  uint16 // slots used since the driver was last considered
	deviceFlags  uint16 // what the device event flags hold
	deviceOffset uint16 // and the offset
}

// position is a place in the ring with its wrap counter.
type position struct {
	slot uint16
	wrap bool
}

func (p position) add(n, size uint16) position {
	// No overflow: slot < size <= 32768 and n <= size.
	if p.slot += n; p.slot >= size {
		p.slot -= size
		p.wrap = !p.wrap
	}
	return p
}

func newPacked(q *Queue, c Config) *packed {
	// virtio §2.8.1: wrap counters start at 1.
	start := position{0, true}
	return &packed{q: q, desc: c.Desc, driverEvent: c.Driver, deviceEvent: c.Device, avail: start, used: start}
}

func (p *packed) slot(i uint16) memory.GPA { return p.desc + memory.GPA(i)*descSize }

func (p *packed) available() (bool, Fault) {
	flags, _ := p.q.mem.LoadU16(p.slot(p.avail.slot) + 14) // acquire; found in RAM by New
	avail, used := flags&descAvail != 0, flags&descUsed != 0
	// virtio §2.8.1: available if AVAIL equals the wrap counter and USED does not.
	return avail == p.avail.wrap && used != p.avail.wrap, FaultNone
}

func (p *packed) arm() {
	if !p.q.eventIdx {
		return // the flags stay 0: notify of every buffer
	}
	off := p.avail.slot
	if p.avail.wrap {
		off |= eventWrap
	}
	if p.deviceFlags == eventDesc && p.deviceOffset == off {
		return
	}
	p.q.mem.StoreU16(p.deviceEvent, off)
	p.q.mem.StoreU16(p.deviceEvent+2, eventDesc) // release: the offset comes first
	p.deviceFlags, p.deviceOffset = eventDesc, off
}

func (p *packed) next() (*Chain, Fault) {
	c := &Chain{q: p.q, start: p.avail.slot, wrap: p.avail.wrap}
	f := p.walk(c)
	if f == FaultNone {
		p.avail = p.avail.add(c.slots, p.q.size)
	}
	return c, f
}

// walk copies the descriptors of the chain at the available position.
func (p *packed) walk(c *Chain) Fault {
	var raw [descSize]byte
	at := p.avail
	for c.slots = 1; ; c.slots++ {
		if c.slots > p.q.size {
			return FaultChainLength
		}
		if p.q.mem.ReadAt(raw[:], p.slot(at.slot)) != nil {
			return FaultMemory
		}
		d := decode(raw[:], true)
		c.id = d.next // virtio §2.8.6: the ID of the last descriptor counts
		if d.flags&descIndirect != 0 {
			// virtio §2.8.19: an indirect descriptor stands alone.
			if c.slots != 1 {
				return FaultIndirect
			}
			return p.walkTable(c, d)
		}
		if f := c.add(p.q.mem, d); f != FaultNone {
			return f
		}
		if d.flags&descNext == 0 {
			return FaultNone
		}
		at = at.add(1, p.q.size)
	}
}

// walkTable takes all entries of an indirect table in order (virtio §2.8.7).
func (p *packed) walkTable(c *Chain, d descriptor) Fault {
	b, f := p.q.table(d)
	if f != FaultNone {
		return f
	}
	for ; len(b) > 0; b = b[descSize:] {
		e := decode(b, true)
		if e.flags&descIndirect != 0 {
			return FaultIndirect
		}
		if f := c.add(p.q.mem, e); f != FaultNone {
			return f
		}
	}
	return FaultNone
}

func (p *packed) rewind(c *Chain) { p.avail = position{c.start, c.wrap} }

func (p *packed) push(c *Chain, written uint32) {
	var flags uint16
	if p.used.wrap { // virtio §2.8.1: both bits equal the wrap counter
		flags = descAvail | descUsed
	}
	if written != 0 {
		flags |= descWrite
	}
	d := p.slot(p.used.slot)
	p.q.mem.StoreU32(d+8, written)
	p.q.mem.StoreU16(d+12, c.id)
	p.q.mem.StoreU16(d+14, flags) // release: the flags come last
	p.used = p.used.add(c.slots, p.q.size)
	p.sinceSignal = uint16(min(uint32(p.sinceSignal)+uint32(c.slots), uint32(p.q.size)))
}

func (p *packed) interrupt() bool {
	since := p.sinceSignal
	p.sinceSignal = 0
	flags, _ := p.q.mem.LoadU16(p.driverEvent + 2)
	switch flags & 3 {
	case eventDisable:
		return false
	case eventDesc:
		if !p.q.eventIdx { // virtio §2.8.14: reserved without event index
			return true
		}
	default:
		return true
	}
	off, _ := p.q.mem.LoadU16(p.driverEvent)
	event := off &^ eventWrap
	if (off&eventWrap != 0) != p.used.wrap {
		event -= p.q.size // in the lap before the used position
	}
	return passed(event, p.used.slot-since, p.used.slot)
}

func (p *packed) save(e *state.Encoder) {
	for _, at := range []position{p.avail, p.used} {
		e.U16(at.slot)
		e.Bool(at.wrap)
	}
	e.U16(p.sinceSignal)
	e.U16(p.deviceFlags)
	e.U16(p.deviceOffset)
}

func (p *packed) restore(d *state.Decoder) {
	for _, at := range []*position{&p.avail, &p.used} {
		at.slot, at.wrap = d.U16(), d.Bool()
		if at.slot >= p.q.size {
			d.Failf("position %d is outside a queue of %d", at.slot, p.q.size)
		}
	}
	if p.sinceSignal = d.U16(); p.sinceSignal > p.q.size {
		d.Failf("%d slots used in a queue of %d", p.sinceSignal, p.q.size)
	}
	p.deviceFlags, p.deviceOffset = d.U16(), d.U16()
}
