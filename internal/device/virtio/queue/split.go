package queue

import (
	"doppel/internal/memory"
	"doppel/internal/state"
)

// split is the ring of virtio §2.7.
type split struct {
	q    *Queue
	desc memory.GPA

	availIdx, availRing memory.GPA
	availFlags          memory.GPA
	usedEvent           memory.GPA // driver's: interrupt when used index passes it
	usedIdx, usedRing   memory.GPA
	availEvent          memory.GPA // device's: notify when available index passes it

	avail    uint16 // index of the next chain to take
	used     uint16 // index of the next used element to write
	signaled uint16 // used when the driver was last considered for an interrupt
}

const availNoInterrupt = 1 // virtio §2.7.6: VIRTQ_AVAIL_F_NO_INTERRUPT

func newSplit(q *Queue, c Config) *split {
	n := memory.GPA(c.Size)
	return &split{
		q: q, desc: c.Desc,
		availFlags: c.Driver, availIdx: c.Driver + 2, availRing: c.Driver + 4, usedEvent: c.Driver + 4 + 2*n,
		usedIdx: c.Device + 2, usedRing: c.Device + 4, availEvent: c.Device + 4 + 8*n,
	}
}

// load reads a field of the rings, which New found to lie in RAM, aligned.
func (s *split) load(gpa memory.GPA) uint16 {
	v, _ := s.q.mem.LoadU16(gpa)
	return v
}

func (s *split) available() (bool, Fault) {
	idx := s.load(s.availIdx) // acquire: what the index covers is visible
	if n := idx - s.avail; n > s.q.size {
		return false, FaultAvailIndex
	} else {
		return n != 0, FaultNone
	}
}

func (s *split) arm() {
	if s.q.eventIdx {
		s.q.mem.StoreU16(s.availEvent, s.avail)
	}
	// Without event index, the flags stay 0: notify of every buffer.
}

func (s *split) next() (*Chain, Fault) {
	pos := s.avail
	head := s.load(s.availRing + memory.GPA(pos%s.q.size)*2)
	if head >= s.q.size {
		return nil, FaultHead
	}
	s.avail++
	c := &Chain{q: s.q, id: head, start: pos}
	return c, s.walk(c, head)
}

// walk copies the descriptors of the chain at head.
func (s *split) walk(c *Chain, head uint16) Fault {
	var raw [descSize]byte
	i := head
	for count := uint32(1); ; count++ {
		// A loop shows as a chain longer than the queue.
		if count > uint32(s.q.size) {
			return FaultChainLength
		}
		if s.q.mem.ReadAt(raw[:], s.desc+memory.GPA(i)*descSize) != nil {
			return FaultMemory
		}
		d := decode(raw[:], false)
		if d.flags&descIndirect != 0 {
			// virtio §2.7.5.3.2: descriptors may come before an indirect one.
			return s.walkTable(c, d, count-1)
		}
		if f := c.add(s.q.mem, d); f != FaultNone {
			return f
		}
		if d.flags&descNext == 0 {
			return FaultNone
		}
		if i = d.next; i >= s.q.size {
			return FaultNext
		}
	}
}

// walkTable follows the chain in an indirect table, which starts at its entry
// 0, after count direct descriptors.
func (s *split) walkTable(c *Chain, d descriptor, count uint32) Fault {
	b, f := s.q.table(d)
	if f != FaultNone {
		return f
	}
	entries := uint32(len(b) / descSize)
	i := uint32(0)
	for n := uint32(1); ; n++ {
		if n > entries || count+n > uint32(s.q.size) {
			return FaultChainLength
		}
		e := decode(b[i*descSize:], false)
		if e.flags&descIndirect != 0 { // virtio §2.7.5.3.1: no table in a table
			return FaultIndirect
		}
		if f := c.add(s.q.mem, e); f != FaultNone {
			return f
		}
		if e.flags&descNext == 0 {
			return FaultNone
		}
		if i = uint32(e.next); i >= entries {
			return FaultNext
		}
	}
}

func (s *split) rewind(c *Chain) { s.avail = c.start }

func (s *split) push(c *Chain, written uint32) {
	elem := s.usedRing + memory.GPA(s.used%s.q.size)*8
	s.q.mem.StoreU32(elem, uint32(c.id))
	s.q.mem.StoreU32(elem+4, written)
	s.used++
	s.q.mem.StoreU16(s.usedIdx, s.used) // release: the element comes first
}

func (s *split) interrupt() bool {
	old := s.signaled
	s.signaled = s.used
	if s.q.eventIdx {
		// virtio §2.7.7.2: when the used index passes used_event. The store
		// of the index and this load are sequentially consistent.
		return passed(s.load(s.usedEvent), old, s.used)
	}
	return s.load(s.availFlags)&availNoInterrupt == 0
}

// passed tells whether an index that went from old to new stepped over event.
func passed(event, old, new uint16) bool { return new-event-1 < new-old }

func (s *split) save(e *state.Encoder) {
	e.U16(s.avail)
	e.U16(s.used)
	e.U16(s.signaled)
}

func (s *split) restore(d *state.Decoder) {
	s.avail, s.used, s.signaled = d.U16(), d.U16(), d.U16()
}
