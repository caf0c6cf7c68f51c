package blk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"doppel/internal/backend"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/queue"
)

// Op is a request type (virtio §5.2.6).
type Op uint32

const (
	OpIn          Op = 0
	OpOut         Op = 1
	OpFlush       Op = 4
	OpGetID       Op = 8
	OpDiscard     Op = 11
	OpWriteZeroes Op = 13
)

func (o Op) String() string {
	switch o {
	case OpIn:
		return "read"
	case OpOut:
		return "write"
	case OpFlush:
		return "flush"
	case OpGetID:
		return "get-id"
	case OpDiscard:
		return "discard"
	case OpWriteZeroes:
		return "write-zeroes"
	}
	return fmt.Sprintf("request type %d", uint32(o))
}

// Status of a request (virtio §5.2.6).
const (
	statusOK     = 0
	statusIOErr  = 1
	statusUnsupp = 2
)

const (
	headerSize = 16
	rangeSize  = 16
	// chunk is how much of a request is done between two looks at whether
	// the device is still wanted.
	chunk = 1 << 20
)

// errRefused is an error of the request, not of the disk.
var errRefused = errors.New("request refused")

// errUnsupported is a request of a kind that the device does not have.
var errUnsupported = errors.New("request not supported")

// request is one under way.
type request struct {
	c       *queue.Chain
	turn    *virtio.Turn
	op      Op
	sector  uint64
	through bool // writes are stable when they complete
}

// serve does a request and returns its chain.
func (d *Device) serve(t *virtio.Turn, s *virtio.Session, q *queue.Queue, c *queue.Chain) {
	var h [headerSize]byte
	// The status is the last device-writable byte; a request without a place
	// for it cannot even be refused.
	if c.ReadLen < headerSize || c.WriteLen == 0 {
		q.Fault(queue.FaultRequest)
		return
	}
	if c.Read(h[:], 0) != headerSize {
		return // reset meanwhile
	}
	r := request{
		c:       c,
		turn:    t,
		op:      Op(binary.LittleEndian.Uint32(h[0:])),
		sector:  binary.LittleEndian.Uint64(h[8:]),
		through: d.writeThrough(s),
	}
	written, err := d.do(&r)
	if errors.Is(err, queue.ErrClosed) {
		return
	}
	c.Write([]byte{d.status(r.op, err)}, c.WriteLen-1)
	// virtio §2.7.8.2: the length is of what was written from the start.
	if written == c.WriteLen-1 {
		written++
	}
	q.Push(c, uint32(written)) // at most queue.MaxChainBytes
}

func (d *Device) status(op Op, err error) byte {
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errUnsupported):
		return statusUnsupp
	case errors.Is(err, errRefused):
		return statusIOErr
	}
	if d.onError != nil {
		d.onError(op, err)
	}
	return statusIOErr
}

// do returns how many bytes of the device-writable part it filled.
func (d *Device) do(r *request) (written uint64, err error) {
	switch r.op {
	case OpIn:
		return d.read(r)
	case OpGetID:
		return d.getID(r)
	}
	return 0, d.change(r)
}

// change does a request that may write to the disk.
func (d *Device) change(r *request) error {
	if r.op == OpFlush {
		if d.disk.ReadOnly() {
			return nil
		}
		return d.flush(r)
	}
	do := map[Op]func(*request) error{OpOut: d.write, OpDiscard: d.ranges, OpWriteZeroes: d.ranges}[r.op]
	switch {
	case do == nil:
		return errUnsupported
	case d.disk.ReadOnly(): // virtio §5.2.6.2
		return errRefused
	}
	if err := do(r); err != nil {
		return err
	}
	if r.through {
		return d.flush(r)
	}
	return nil
}

// flush waits for the host's disk, and for that needs no processor.
func (d *Device) flush(r *request) error {
	r.turn.Leave()
	return d.disk.Flush()
}

// extent checks that n bytes from sector lie on the disk.
func (d *Device) extent(sector, n uint64) error {
	if n%backend.SectorSize != 0 || sector > d.sectors || n/backend.SectorSize > d.sectors-sector {
		return errRefused
	}
	return nil
}

func (d *Device) read(r *request) (done uint64, err error) {
	n := r.c.WriteLen - 1
	if err := d.extent(r.sector, n); err != nil {
		return 0, err
	}
	pos := int64(r.sector) * backend.SectorSize // in range: extent checked it
	for done < n {
		r.turn.Pass()
		part := min(chunk, n-done)
		err := r.c.Fill(done, part, func(bufs [][]byte) error { return d.disk.ReadV(bufs, pos) })
		if err != nil {
			return done, err
		}
		done += part
		pos += int64(part)
	}
	return done, nil
}

func (d *Device) write(r *request) error {
	n := r.c.ReadLen - headerSize
	if err := d.extent(r.sector, n); err != nil {
		return err
	}
	pos := int64(r.sector) * backend.SectorSize
	for done := uint64(0); done < n; {
		r.turn.Pass()
		part := min(chunk, n-done)
		err := r.c.Gather(headerSize+done, part, func(bufs [][]byte) error { return d.disk.WriteV(bufs, pos) })
		if err != nil {
			return err
		}
		done += part
		pos += int64(part)
	}
	return nil
}

func (d *Device) getID(r *request) (uint64, error) {
	id := d.id[:min(idBytes, r.c.WriteLen-1)]
	if r.c.Write(id, 0) != len(id) {
		return 0, queue.ErrClosed
	}
	return uint64(len(id)), nil
}

const rangeUnmap = 1 // flag of a range: may give up the space

// ranges does a discard or write-zeroes request.
func (d *Device) ranges(r *request) error {
	n := r.c.ReadLen - headerSize
	if n == 0 || n%rangeSize != 0 || n > maxRanges*rangeSize {
		return errRefused
	}
	raw := make([]byte, n)
	if r.c.Read(raw, headerSize) != len(raw) {
		return queue.ErrClosed
	}
	// All are checked before the first is done.
	for b := raw; len(b) > 0; b = b[rangeSize:] {
		if err := d.checkRange(r.op, b); err != nil {
			return err
		}
	}
	for b := raw; len(b) > 0; b = b[rangeSize:] {
		r.turn.Pass()
		if err := d.doRange(r.op, b); err != nil {
			return err
		}
	}
	return nil
}

func decodeRange(b []byte) (sector uint64, sectors, flags uint32) {
	le := binary.LittleEndian
	return le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])
}

func (d *Device) checkRange(op Op, b []byte) error {
	sector, sectors, flags := decodeRange(b)
	// virtio §5.2.6.2: unknown flags, and unmap in a discard, are unsupported.
	if flags&^rangeUnmap != 0 || op == OpDiscard && flags != 0 {
		return errUnsupported
	}
	if sectors > maxRangeSectors {
		return errRefused
	}
	return d.extent(sector, uint64(sectors)*backend.SectorSize)
}

func (d *Device) doRange(op Op, b []byte) error {
	sector, sectors, flags := decodeRange(b)
	off, n := int64(sector)*backend.SectorSize, int64(sectors)*backend.SectorSize
	if n == 0 {
		return nil
	}
	if op == OpDiscard {
		return d.disk.Discard(off, n)
	}
	return d.disk.WriteZeroes(off, n, flags&rangeUnmap != 0)
}
