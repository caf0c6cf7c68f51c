package queue

import (
	"encoding/binary"
	"sync"

	"doppel/internal/memory"
	"doppel/internal/state"
)

// Descriptor flags (virtio §2.7.5, §2.8.1).
const (
	descNext     = 1 << 0
	descWrite    = 1 << 1
	descIndirect = 1 << 2
	descAvail    = 1 << 7  // packed only
	descUsed     = 1 << 15 // packed only
)

// descriptor is a private copy of one descriptor.
type descriptor struct {
	addr   memory.GPA
	length uint32
	flags  uint16
	next   uint16 // buffer ID in a packed ring
}

const descSize = 16

// Owner is told what happens in a queue. It is called with the queue's locks
// held.
type Owner interface {
	// Interrupt asks for a used buffer notification.
	Interrupt()
	// Fail reports that the driver broke the rules; the queue is stopped.
	Fail(Fault)
}

// Queue is a live virtqueue.
type Queue struct {
	mem      *memory.Space
	owner    Owner
	size     uint16
	eventIdx bool
	indirect bool

	live sync.RWMutex // held to read while guest memory is touched
	dead bool         // closed; guarded by live

	mu     sync.Mutex
	failed bool
	ring   ring
}

// ring is the layout of a queue. Its methods are called with Queue.mu held.
type ring interface {
	// available tells whether the driver has made a buffer available.
	available() (bool, Fault)
	// arm asks the driver to notify when it makes the next buffer available.
	arm()
	// next takes the next available chain.
	next() (*Chain, Fault)
	// rewind undoes next for c, the chain taken last.
	rewind(c *Chain)
	// push makes c used.
	push(c *Chain, written uint32)
	// interrupt tells whether the driver wants to hear of what was pushed
	// since the last call.
	interrupt() bool
	save(*state.Encoder)
	restore(*state.Decoder)
}

// New makes a live queue at its starting position.
func New(mem *memory.Space, c Config, features uint64, owner Owner) (*Queue, error) {
	packed := features&FeatureRingPacked != 0
	if err := c.check(mem, packed); err != nil {
		return nil, err
	}
	q := &Queue{
		mem: mem, owner: owner, size: c.Size,
		eventIdx: features&FeatureEventIdx != 0,
		indirect: features&FeatureIndirectDesc != 0,
	}
	if packed {
		q.ring = newPacked(q, c)
	} else {
		q.ring = newSplit(q, c)
	}
	return q, nil
}

// Size is the number of descriptors.
func (q *Queue) Size() uint16 { return q.size }

// enter takes the locks, and tells whether the queue works.
func (q *Queue) enter() bool {
	q.live.RLock()
	if q.dead {
		q.live.RUnlock()
		return false
	}
	q.mu.Lock()
	if q.failed {
		q.leave()
		return false
	}
	return true
}

func (q *Queue) leave() {
	q.mu.Unlock()
	q.live.RUnlock()
}

func (q *Queue) fail(f Fault) {
	q.failed = true
	q.owner.Fail(f)
}

// ready finds out whether a buffer is available; if not, the driver will
// notify of the next one.
func (q *Queue) ready() bool {
	ok, f := q.ring.available()
	if !ok && f == FaultNone {
		// virtio §2.7.10: look again after asking, or a buffer made available
		// in between goes unnoticed.
		q.ring.arm()
		ok, f = q.ring.available()
	}
	if f != FaultNone {
		q.fail(f)
		return false
	}
	return ok
}

// Available tells whether Pop would find a chain. If not, the driver notifies
// of the next one.
func (q *Queue) Available() bool {
	if !q.enter() {
		return false
	}
	defer q.leave()
	return q.ready()
}

// Pop takes the next chain that the driver made available, nil if there is
// none (the driver then notifies of the next one) or the queue is stopped. Nor
// is there one as long as the host has no memory for its device-writable part
// (memory.Budget); the machine notifies when it has.
func (q *Queue) Pop() *Chain { return q.pop(true) }

// PopIdle is Pop for who stores nothing to the chain.
func (q *Queue) PopIdle() *Chain { return q.pop(false) }

func (q *Queue) pop(stores bool) *Chain {
	if !q.enter() {
		return nil
	}
	defer q.leave()
	if !q.ready() {
		return nil
	}
	c, f := q.ring.next()
	if f == FaultNone && len(c.Readable)+len(c.Writable) == 0 {
		f = FaultEmptyChain
	}
	if f != FaultNone {
		q.fail(f)
		return nil
	}
	if stores && len(c.Writable) != 0 && q.mem.Limited() && !q.mem.Admit(c.ranges()) {
		q.ring.rewind(c)
		return nil
	}
	return c
}

// Rewind gives back chains that were popped last, in the order in which they
// were popped, as if they never had been. No other goroutine may use the queue.
func (q *Queue) Rewind(chains []*Chain) {
	if !q.enter() {
		return
	}
	defer q.leave()
	for i := len(chains) - 1; i >= 0; i-- {
		q.ring.rewind(chains[i])
	}
}

// Push returns a chain whose device-writable part now starts with written
// bytes of result, and notifies the driver if it wants to know.
func (q *Queue) Push(c *Chain, written uint32) {
	if !q.enter() {
		return
	}
	defer q.leave()
	q.ring.push(c, written)
	if q.ring.interrupt() {
		q.owner.Interrupt()
	}
}

// PushAll returns several chains, written[i] for chains[i], with at most one
// notification.
func (q *Queue) PushAll(chains []*Chain, written []uint32) {
	if !q.enter() {
		return
	}
	defer q.leave()
	for i, c := range chains {
		q.ring.push(c, written[i])
	}
	if q.ring.interrupt() {
		q.owner.Interrupt()
	}
}

// Discard gives the pages that lie wholly in the n bytes from gpa back to the
// host; they read as zero afterwards. Outside of RAM, or after Close, nothing
// happens: it returns the bytes that were given back.
func (q *Queue) Discard(gpa memory.GPA, n uint64) uint64 {
	q.live.RLock()
	defer q.live.RUnlock()
	if q.dead {
		return 0
	}
	return q.mem.Discard(gpa, n)
}

// Fault stops the queue because a request in it breaks its device's rules.
func (q *Queue) Fault(f Fault) {
	if q.enter() {
		q.fail(f)
		q.leave()
	}
}

// Close ends the queue. When it returns, nothing touches guest memory or asks
// for an interrupt through it, and nothing will.
func (q *Queue) Close() {
	q.live.Lock()
	q.dead = true
	q.live.Unlock()
}

// Save appends the queue's position. No chain may be out.
func (q *Queue) Save(e *state.Encoder) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.Bool(q.failed)
	q.ring.save(e)
}

// Restore sets the position of a queue just made by New.
func (q *Queue) Restore(d *state.Decoder) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = d.Bool()
	q.ring.restore(d)
}

// decode makes a private copy of the descriptor in b.
func decode(b []byte, packed bool) descriptor {
	d := descriptor{
		addr:   memory.GPA(binary.LittleEndian.Uint64(b)),
		length: binary.LittleEndian.Uint32(b[8:]),
		flags:  binary.LittleEndian.Uint16(b[12:]),
		next:   binary.LittleEndian.Uint16(b[14:]),
	}
	if packed { // virtio §2.8.13: the ID comes before the flags
		d.flags, d.next = d.next, d.flags
	}
	return d
}

// table copies an indirect descriptor table (virtio §2.7.5.3, §2.8.19).
func (q *Queue) table(d descriptor) ([]byte, Fault) {
	if !q.indirect || d.flags&descNext != 0 {
		return nil, FaultIndirect
	}
	if d.length == 0 || d.length%descSize != 0 {
		return nil, FaultIndirectLength
	}
	// virtio §2.7.5.3.1: a chain is no longer than the queue.
	if d.length/descSize > uint32(q.size) {
		return nil, FaultChainLength
	}
	if r := q.mem.Find(d.addr, uint64(d.length)); r == nil || !r.Writable() {
		return nil, FaultMemory
	}
	b := make([]byte, d.length)
	if q.mem.ReadAt(b, d.addr) != nil {
		return nil, FaultMemory
	}
	return b, FaultNone
}
