package balloon

import (
	"encoding/binary"
	"slices"

	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/queue"
	"doppel/internal/memory"
)

const (
	// maxInflate bounds the page numbers of one buffer; Linux sends 256.
	maxInflate   = 64 << 10 // bytes
	inflatePiece = 4 << 10
)

// step serves one buffer of each queue.
func (d *Device) step(*virtio.Turn) (more bool) {
	s := d.session.Load()
	if s == nil {
		return false
	}
	for i, serve := range [queues]func(*virtio.Session, *queue.Queue, *queue.Chain){
		inflateQueue: d.inflate, deflateQueue: d.acknowledge, hintQueue: d.hint, reportingQueue: d.report,
	} {
		q := s.Queue(i)
		if q == nil || serve == nil {
			continue
		}
		if c := q.PopIdle(); c != nil {
			serve(s, q, c)
			more = true
		}
	}
	if q := s.Queue(statsQueue); q != nil && d.statistics(q) {
		more = true
	}
	return more
}

// inflate gives the pages whose numbers are in the buffer back to the host.
func (d *Device) inflate(_ *virtio.Session, q *queue.Queue, c *queue.Chain) {
	if c.ReadLen > maxInflate {
		q.Fault(queue.FaultRequest)
		return
	}
	var piece [inflatePiece]byte
	for off := uint64(0); off < c.ReadLen; off += inflatePiece {
		n := c.Read(piece[:min(inflatePiece, c.ReadLen-off)], off)
		d.discard(q, piece[:n&^3])
	}
	q.Push(c, 0)
}

// discard gives back the pages with the little-endian numbers in b, in as few
// steps as they allow. Linux counts down as often as up.
func (d *Device) discard(q *queue.Queue, b []byte) {
	var numbers [inflatePiece / 4]uint32
	pages := numbers[:len(b)/4]
	for i := range pages {
		pages[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	slices.Sort(pages)
	for first := 0; first < len(pages); {
		next := first + 1
		for next < len(pages) && pages[next]-pages[next-1] <= 1 {
			next++
		}
		gpa := memory.GPA(pages[first]) * PageSize
		size := (uint64(pages[next-1]-pages[first]) + 1) * PageSize
		d.returned.Add(q.Discard(gpa, size))
		first = next
	}
}

// acknowledge serves the deflate queue: there is nothing to do, the pages are
// there when they are touched.
func (d *Device) acknowledge(_ *virtio.Session, q *queue.Queue, c *queue.Chain) { q.Push(c, 0) }

// report gives free pages back, which the driver uses again as it likes.
func (d *Device) report(s *virtio.Session, q *queue.Queue, c *queue.Chain) {
	if d.mayDiscard(s) {
		for _, b := range c.Writable {
			d.reported.Add(q.Discard(b.GPA, uint64(len(b.Bytes))))
		}
	}
	q.Push(c, 0)
}

// mayDiscard tells whether a reported page may become zero. virtio
// §5.5.6.7.2: it must not become anything but poison_val, if there is one.
func (d *Device) mayDiscard(s *virtio.Session) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !s.Has(featurePoison) || d.poison == 0
}

// hint serves queue 3, where nothing was asked for: virtio §5.5.6.5.2, pages
// of another command are ignored. A driver that does not know hinting may have
// its reports here (see Features).
func (d *Device) hint(s *virtio.Session, q *queue.Queue, c *queue.Chain) {
	if !s.Has(featureHint) && s.Has(featureReporting) {
		d.report(s, q, c)
		return
	}
	q.Push(c, 0)
}

// statistics reads what the driver has told, and asks for more if somebody
// wants it. The buffer stays with the device until then (virtio §5.5.6.3), in
// the queue, so that no buffer is out when the machine is saved.
func (d *Device) statistics(q *queue.Queue) (more bool) {
	fresh := d.arrived.Swap(false)
	if !fresh && !d.wanted.Load() {
		return false
	}
	c := q.PopIdle()
	if c == nil {
		return false
	}
	if fresh {
		var b [maxStats]byte
		n := c.Read(b[:], 0)
		d.mu.Lock()
		d.stats.parse(b[:n])
		d.mu.Unlock()
	}
	if d.wanted.Swap(false) {
		q.Push(c, 0)
		return true
	}
	q.Rewind([]*queue.Chain{c})
	return false
}
