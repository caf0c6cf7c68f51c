package queue

import (
	"errors"
	"iter"

	"doppel/internal/memory"
)

// Segment is one buffer of a chain. Bytes is guest RAM, which the guest may
// change at any time.
type Segment struct {
	GPA   memory.GPA
	Bytes []byte
}

// Chain is one request: device-readable segments, then device-writable ones.
type Chain struct {
	Readable, Writable []Segment
	// ReadLen and WriteLen are the sums of the segments' lengths.
	ReadLen, WriteLen uint64

	q     *Queue
	id    uint16 // head index, or buffer ID
	slots uint16 // descriptors taken in a packed ring
	start uint16 // ring position at which the chain was found
	wrap  bool   // and its wrap counter (packed)

	pieces [][]byte // reused by Gather and Fill
}

// ErrClosed says that the queue was reset while a chain was out.
var ErrClosed = errors.New("virtqueue is closed")

// ranges is where the device may store.
func (c *Chain) ranges() iter.Seq2[memory.GPA, uint64] {
	return func(yield func(memory.GPA, uint64) bool) {
		for _, s := range c.Writable {
			if !yield(s.GPA, uint64(len(s.Bytes))) {
				return
			}
		}
	}
}

// Gather gives fn the pieces, in order, of the n bytes from offset off of the
// device-readable part; they are fewer bytes at the part's end. fn must be
// done with them when it returns, must not take long (a reset waits for it)
// and must not call the queue. The error is fn's, or ErrClosed.
func (c *Chain) Gather(off, n uint64, fn func(pieces [][]byte) error) error {
	return c.use(c.Readable, off, n, false, fn)
}

// Fill is Gather on the device-writable part, for fn to write to.
func (c *Chain) Fill(off, n uint64, fn func(pieces [][]byte) error) error {
	return c.use(c.Writable, off, n, true, fn)
}

func (c *Chain) use(segs []Segment, off, n uint64, write bool, fn func([][]byte) error) error {
	c.q.live.RLock()
	defer c.q.live.RUnlock()
	if c.q.dead {
		return ErrClosed
	}
	c.pieces = c.pieces[:0]
	for _, s := range segs {
		size := uint64(len(s.Bytes))
		if off >= size {
			off -= size
			continue
		}
		if n == 0 {
			break
		}
		take := min(n, size-off)
		c.pieces = append(c.pieces, s.Bytes[off:off+take])
		if write {
			// After fn, so that a page copied meanwhile is copied again.
			defer c.q.mem.Slice(s.GPA+memory.GPA(off), take) // marks dirty; cannot fail, add found it in RAM
		}
		n -= take
		off = 0
	}
	return fn(c.pieces)
}

// Read copies len(p) bytes from offset off of the device-readable part. It
// returns the bytes copied: fewer at the end of the part, 0 if the queue died.
func (c *Chain) Read(p []byte, off uint64) (n int) {
	c.Gather(off, uint64(len(p)), func(pieces [][]byte) error {
		for _, b := range pieces {
			n += copy(p[n:], b)
		}
		return nil
	})
	return n
}

// Write copies p to offset off of the device-writable part, like Read.
func (c *Chain) Write(p []byte, off uint64) (n int) {
	c.Fill(off, uint64(len(p)), func(pieces [][]byte) error {
		for _, b := range pieces {
			n += copy(b, p[n:])
		}
		return nil
	})
	return n
}

// add appends a buffer after checking it.
func (c *Chain) add(mem *memory.Space, d descriptor) Fault {
	switch {
	case d.length == 0:
		return FaultZeroLength
	case c.ReadLen+c.WriteLen+uint64(d.length) > MaxChainBytes:
		return FaultTooLong
	}
	r := mem.Find(d.addr, uint64(d.length))
	if r == nil || !r.Writable() { // RAM only: no device register, no ROM
		return FaultMemory
	}
	off := uint64(d.addr - r.Base)
	end := off + uint64(d.length) // cannot overflow: Find checked it
	s := Segment{d.addr, r.Bytes()[off:end:end]}
	if d.flags&descWrite != 0 {
		c.Writable = append(c.Writable, s)
		c.WriteLen += uint64(d.length)
		return FaultNone
	}
	// virtio §2.7.4.2: device-writable descriptors come after all readable ones.
	if len(c.Writable) != 0 {
		return FaultOrder
	}
	c.Readable = append(c.Readable, s)
	c.ReadLen += uint64(d.length)
	return FaultNone
}
