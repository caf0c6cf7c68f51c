package virtiotest

import (
	"time"

	"doppel/internal/device/virtio/queue"
	"doppel/internal/memory"
)

// patience is how long a request or an interrupt may take.
const patience = 20 * time.Second

// Buffer is a piece of guest memory in a request.
type Buffer struct {
	GPA   memory.GPA
	Len   int
	Write bool // by the device
}

// Request is one that was made available.
type Request struct {
	q       *Queue
	Buffers []Buffer
	Done    bool
	Written uint32
	// Tag is the test's.
	Tag   any
	id    uint16
	slots uint16
}

// Data is the content of the device-writable buffers.
func (r *Request) Data() []byte {
	var out []byte
	for _, b := range r.Buffers {
		if b.Write {
			out = append(out, r.q.d.Get(b.GPA, b.Len)...)
		}
	}
	return out
}

// ring is a layout, on the driver's side.
type ring interface {
	// add makes a request available, without a notification.
	add(r *Request)
	// wantNotify tells whether the device wants to know of what was added
	// since the last call.
	wantNotify() bool
	// used takes the next used element, nil if there is none.
	used() *Request
	// enable asks for an interrupt at the next used element.
	enable()
	free() int
}

// Queue is the driver's side of a queue.
type Queue struct {
	d       *Driver
	Index   int
	Size    uint16
	Layout  queue.Config
	ring    ring
	Pending int // requests that are not used yet
}

// AddQueue sets queue i up with size descriptors.
func (d *Driver) AddQueue(i int, size uint16) *Queue {
	d.T.Helper()
	d.SetReg(QueueSel, uint32(i))
	if max := d.Reg(QueueSizeMax); uint32(size) > max {
		d.T.Fatalf("queue %d has at most %d descriptors, want %d", i, max, size)
	}
	c := queue.Config{Size: size}
	n := int(size)
	c.Desc = d.allocZero(16 * n)
	if d.Has(queue.FeatureRingPacked) {
		c.Driver, c.Device = d.allocZero(4), d.allocZero(4)
	} else {
		c.Driver, c.Device = d.allocZero(6+2*n), d.allocZero(6+8*n)
	}
	d.Configure(i, c)
	d.SetReg(QueueReady, 1)
	if d.Reg(QueueReady) != 1 {
		d.T.Fatalf("queue %d is not ready", i)
	}
	q := &Queue{d: d, Index: i, Size: size, Layout: c}
	if d.Has(queue.FeatureRingPacked) {
		q.ring = newPackedRing(q)
	} else {
		q.ring = newSplitRing(q)
	}
	d.Queues[i] = q
	return q
}

func (d *Driver) allocZero(n int) memory.GPA {
	gpa := d.Alloc(n)
	d.Put(gpa, make([]byte, n))
	return gpa
}

// Configure writes a queue's registers, all but QueueReady.
func (d *Driver) Configure(i int, c queue.Config) {
	d.SetReg(QueueSel, uint32(i))
	d.SetReg(QueueSize, uint32(c.Size))
	for reg, gpa := range map[uint64]memory.GPA{QueueDesc: c.Desc, QueueDriver: c.Driver, QueueDevice: c.Device} {
		d.SetReg(reg, uint32(gpa))
		d.SetReg(reg+4, uint32(gpa>>32))
	}
}

// Out puts p in guest memory for the device to read.
func (d *Driver) Out(p []byte) Buffer {
	b := Buffer{GPA: d.Alloc(len(p)), Len: len(p)}
	d.Put(b.GPA, p)
	return b
}

// In is n bytes for the device to write, filled with a pattern.
func (d *Driver) In(n int) Buffer {
	b := Buffer{GPA: d.Alloc(n), Len: n, Write: true}
	p := make([]byte, n)
	for i := range p {
		p[i] = 0xa5
	}
	d.Put(b.GPA, p)
	return b
}

// Room tells whether a request of n buffers fits now.
func (q *Queue) Room(n int) bool {
	if q.d.Has(queue.FeatureIndirectDesc) {
		n = 1
	}
	return q.ring.free() >= n
}

// Add makes a request available and notifies if the device wants that.
func (q *Queue) Add(buffers ...Buffer) *Request {
	q.d.T.Helper()
	if !q.Room(len(buffers)) {
		q.d.T.Fatalf("queue %d has no room for %d buffers", q.Index, len(buffers))
	}
	r := &Request{q: q, Buffers: buffers}
	q.ring.add(r)
	q.Pending++
	if q.ring.wantNotify() {
		q.d.SetReg(QueueNotify, uint32(q.Index))
	}
	return r
}

// Collect takes a used request if there is one.
func (q *Queue) Collect() *Request {
	r := q.ring.used()
	if r != nil {
		r.Done = true
		q.Pending--
	}
	return r
}

// Next waits for a used request. It sleeps until an interrupt, as a driver
// does: one that the device leaves out shows as a timeout.
func (q *Queue) Next() *Request {
	q.d.T.Helper()
	for {
		if r := q.Collect(); r != nil {
			return r
		}
		q.ring.enable()
		if r := q.Collect(); r != nil {
			return r
		}
		if !q.d.Line.Wait(patience) {
			q.d.T.Fatalf("queue %d: no interrupt in %v; %d requests pending, status %#x", q.Index, patience, q.Pending, q.d.Reg(Status))
		}
		status := q.d.Reg(IntStatus)
		q.d.SetReg(IntAck, status)
		if q.d.Reg(Status)&NeedsReset != 0 {
			q.d.T.Fatalf("queue %d: the device needs a reset", q.Index)
		}
	}
}

// Do makes a request and waits for it; it must be the only one.
func (q *Queue) Do(buffers ...Buffer) *Request {
	q.d.T.Helper()
	r := q.Add(buffers...)
	if got := q.Next(); got != r {
		q.d.T.Fatalf("queue %d: another request completed", q.Index)
	}
	return r
}
