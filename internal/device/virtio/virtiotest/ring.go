package virtiotest

import (
	"encoding/binary"

	"doppel/internal/device/virtio/queue"
	"doppel/internal/memory"
)

const (
	flagNext     = 1
	flagWrite    = 2
	flagIndirect = 4
	flagAvail    = 1 << 7
	flagUsed     = 1 << 15
)

// Desc encodes a split descriptor.
func Desc(gpa memory.GPA, length uint32, flags, next uint16) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(gpa))
	b = binary.LittleEndian.AppendUint32(b, length)
	b = binary.LittleEndian.AppendUint16(b, flags)
	return binary.LittleEndian.AppendUint16(b, next)
}

// PackedDesc encodes a packed descriptor.
func PackedDesc(gpa memory.GPA, length uint32, id, flags uint16) []byte {
	return Desc(gpa, length, id, flags)
}

func (b Buffer) flags() uint16 {
	if b.Write {
		return flagWrite
	}
	return 0
}

// indirect writes a table for a request, if indirect descriptors were agreed on.
func (q *Queue) indirect(r *Request) (table Buffer, ok bool) {
	// A request of one buffer goes directly, so that both ways are seen.
	if !q.d.Has(queue.FeatureIndirectDesc) || len(r.Buffers) == 1 {
		return Buffer{}, false
	}
	packed := q.d.Has(queue.FeatureRingPacked)
	var raw []byte
	for i, b := range r.Buffers {
		flags := b.flags()
		if packed {
			raw = append(raw, PackedDesc(b.GPA, uint32(b.Len), 0, flags)...)
			continue
		}
		if i+1 < len(r.Buffers) {
			flags |= flagNext
		}
		raw = append(raw, Desc(b.GPA, uint32(b.Len), flags, uint16(i+1))...)
	}
	return q.d.Out(raw), true
}

type splitRing struct {
	q        *Queue
	freeList []uint16
	requests map[uint16]*Request
	chains   map[uint16][]uint16
	availIdx uint16
	notified uint16
	usedIdx  uint16
	eventIdx bool
}

func newSplitRing(q *Queue) *splitRing {
	s := &splitRing{q: q, requests: map[uint16]*Request{}, chains: map[uint16][]uint16{}, eventIdx: q.d.Has(queue.FeatureEventIdx)}
	for i := range q.Size {
		s.freeList = append(s.freeList, i)
	}
	return s
}

func (s *splitRing) free() int { return len(s.freeList) }

func (s *splitRing) take() uint16 {
	i := s.freeList[0]
	s.freeList = s.freeList[1:]
	return i
}

func (s *splitRing) put(i uint16, raw []byte) {
	s.q.d.Put(s.q.Layout.Desc+memory.GPA(i)*16, raw)
}

func (s *splitRing) add(r *Request) {
	var slots []uint16
	if table, ok := s.q.indirect(r); ok {
		slots = []uint16{s.take()}
		s.put(slots[0], Desc(table.GPA, uint32(table.Len), flagIndirect, 0))
	} else {
		for range r.Buffers {
			slots = append(slots, s.take())
		}
		for i, b := range r.Buffers {
			flags, next := b.flags(), uint16(0)
			if i+1 < len(slots) {
				flags |= flagNext
				next = slots[i+1]
			}
			s.put(slots[i], Desc(b.GPA, uint32(b.Len), flags, next))
		}
	}
	r.id = slots[0]
	s.requests[r.id], s.chains[r.id] = r, slots
	s.store(s.q.Layout.Driver+4+2*memory.GPA(s.availIdx%s.q.Size), r.id)
	s.availIdx++
	s.store(s.q.Layout.Driver+2, s.availIdx)
}

func (s *splitRing) store(gpa memory.GPA, v uint16) {
	if err := s.q.d.Mem.StoreU16(gpa, v); err != nil {
		s.q.d.T.Fatal(err)
	}
}

func (s *splitRing) load(gpa memory.GPA) uint16 {
	v, err := s.q.d.Mem.LoadU16(gpa)
	if err != nil {
		s.q.d.T.Fatal(err)
	}
	return v
}

func (s *splitRing) wantNotify() bool {
	old := s.notified
	s.notified = s.availIdx
	if s.eventIdx {
		event := s.load(s.q.Layout.Device + 4 + 8*memory.GPA(s.q.Size))
		return s.availIdx-event-1 < s.availIdx-old
	}
	return s.load(s.q.Layout.Device)&1 == 0
}

func (s *splitRing) used() *Request {
	if s.load(s.q.Layout.Device+2) == s.usedIdx {
		return nil
	}
	e := s.q.d.Get(s.q.Layout.Device+4+8*memory.GPA(s.usedIdx%s.q.Size), 8)
	s.usedIdx++
	id := uint16(binary.LittleEndian.Uint32(e))
	r := s.requests[id]
	if r == nil {
		s.q.d.T.Fatalf("used element names %d, which is not a pending request", id)
	}
	r.Written = binary.LittleEndian.Uint32(e[4:])
	s.freeList = append(s.freeList, s.chains[id]...)
	delete(s.requests, id)
	delete(s.chains, id)
	return r
}

func (s *splitRing) enable() {
	if s.eventIdx {
		s.store(s.q.Layout.Driver+4+2*memory.GPA(s.q.Size), s.usedIdx)
	}
}

type packedRing struct {
	q         *Queue
	freeSlots uint16
	ids       []uint16
	requests  map[uint16]*Request
	avail     uint16
	availWrap bool
	usedAt    uint16
	usedWrap  bool
	added     uint16 // slots since the last wantNotify
	eventIdx  bool
}

func newPackedRing(q *Queue) *packedRing {
	p := &packedRing{q: q, freeSlots: q.Size, requests: map[uint16]*Request{}, availWrap: true, usedWrap: true, eventIdx: q.d.Has(queue.FeatureEventIdx)}
	for i := range q.Size {
		p.ids = append(p.ids, i)
	}
	return p
}

func (p *packedRing) free() int { return int(p.freeSlots) }

func (p *packedRing) add(r *Request) {
	r.id, p.ids = p.ids[0], p.ids[1:]
	p.requests[r.id] = r
	buffers := r.Buffers
	extra := uint16(0)
	if table, ok := p.q.indirect(r); ok {
		buffers, extra = []Buffer{table}, flagIndirect
	}
	first, firstFlags := p.avail, uint16(0)
	for i, b := range buffers {
		flags := b.flags() | extra
		if i+1 < len(buffers) {
			flags |= flagNext
		}
		if p.availWrap {
			flags |= flagAvail
		} else {
			flags |= flagUsed
		}
		at := p.q.Layout.Desc + 16*memory.GPA(p.avail)
		if i == 0 { // virtio §2.8.6: the first one is made available last
			firstFlags = flags
			p.q.d.Put(at, PackedDesc(b.GPA, uint32(b.Len), r.id, 0)[:14])
		} else {
			p.q.d.Put(at, PackedDesc(b.GPA, uint32(b.Len), r.id, flags))
		}
		if p.avail++; p.avail == p.q.Size {
			p.avail, p.availWrap = 0, !p.availWrap
		}
	}
	r.slots = uint16(len(buffers))
	p.freeSlots -= r.slots
	p.added += r.slots
	p.q.d.Mem.StoreU16(p.q.Layout.Desc+16*memory.GPA(first)+14, firstFlags)
}

func (p *packedRing) wantNotify() bool {
	added := p.added
	p.added = 0
	flags, _ := p.q.d.Mem.LoadU16(p.q.Layout.Device + 2)
	switch flags & 3 {
	case 0:
		return true
	case 1:
		return false
	}
	off, _ := p.q.d.Mem.LoadU16(p.q.Layout.Device)
	event := off & 0x7fff
	if (off>>15 != 0) != p.availWrap {
		event -= p.q.Size
	}
	return p.avail-event-1 < added
}

func (p *packedRing) used() *Request {
	at := p.q.Layout.Desc + 16*memory.GPA(p.usedAt)
	flags, _ := p.q.d.Mem.LoadU16(at + 14)
	if (flags&flagAvail != 0) != p.usedWrap || (flags&flagUsed != 0) != p.usedWrap {
		return nil
	}
	e := p.q.d.Get(at, 16)
	id := binary.LittleEndian.Uint16(e[12:])
	r := p.requests[id]
	if r == nil {
		p.q.d.T.Fatalf("used descriptor names %d, which is not a pending request", id)
	}
	r.Written = binary.LittleEndian.Uint32(e[8:])
	delete(p.requests, id)
	p.ids = append(p.ids, id)
	p.freeSlots += r.slots
	if p.usedAt += r.slots; p.usedAt >= p.q.Size {
		p.usedAt -= p.q.Size
		p.usedWrap = !p.usedWrap
	}
	return r
}

func (p *packedRing) enable() {
	off, flags := p.usedAt, uint16(0)
	if p.usedWrap {
		off |= 1 << 15
	}
	if p.eventIdx {
		flags = 2
	}
	p.q.d.Mem.StoreU16(p.q.Layout.Driver, off)
	p.q.d.Mem.StoreU16(p.q.Layout.Driver+2, flags)
}
