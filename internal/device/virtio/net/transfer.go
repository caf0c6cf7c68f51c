package net

import (
	"encoding/binary"

	"doppel/internal/backend"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/queue"
)

// batch is how many frames are sent between two notifications.
const batch = 32

// stepSend sends some frames.
func (d *Device) stepSend(*virtio.Turn) (more bool) {
	s := d.session.Load()
	if s == nil {
		return false
	}
	q := s.Queue(sendQueue)
	if q == nil {
		return false
	}
	if d.sendBuf == nil {
		d.sendBuf = make([]byte, headerSize+backend.MaxFrame)
	}
	var done [batch]*queue.Chain
	var written [batch]uint32
	n := 0
	for n < batch {
		c := q.Pop()
		if c == nil {
			break
		}
		d.sendFrame(s, c)
		done[n] = c
		n++
	}
	if n > 0 {
		q.PushAll(done[:n], written[:n])
	}
	return n == batch
}

// sendFrame passes a frame on, or drops it.
func (d *Device) sendFrame(s *virtio.Session, c *queue.Chain) {
	if c.ReadLen <= headerSize || c.ReadLen > uint64(len(d.sendBuf)) {
		d.dropped.Add(1)
		return
	}
	b := d.sendBuf[:c.ReadLen]
	if c.Read(b, 0) != len(b) {
		return // reset meanwhile
	}
	o, ok := decodeHeader(b, b[headerSize:], s)
	if !ok {
		d.dropped.Add(1)
		return
	}
	d.network.Send(b[headerSize:], o)
}

// stepReceive gives the driver one frame, or serves one command.
func (d *Device) stepReceive(*virtio.Turn) (more bool) {
	s := d.session.Load()
	if s == nil {
		return false
	}
	if d.stepControl(s) {
		return true
	}
	q := s.Queue(receiveQueue)
	if q == nil || !q.Available() {
		return false
	}
	if !d.nextFrame(s) {
		return false
	}
	return d.deliver(s, q)
}

// nextFrame sees to it that a frame is pending, encoded for this session.
func (d *Device) nextFrame(s *virtio.Session) bool {
	if d.pending != nil && d.pendingFrom == s {
		return true
	}
	for {
		frame, o, ok := d.network.Receive()
		if !ok {
			d.pending = nil
			return false
		}
		b := make([]byte, headerSize+len(frame))
		copy(b[headerSize:], frame)
		if len(frame) <= backend.MaxFrame && encodeHeader(b, b[headerSize:], o, s) {
			d.pending, d.pendingFrom = b, s
			return true
		}
		d.dropped.Add(1)
	}
}

// deliver puts the pending frame into one buffer, or several if they may be
// merged. False: the driver has not made enough available yet.
func (d *Device) deliver(s *virtio.Session, q *queue.Queue) bool {
	var chains []*queue.Chain
	room := uint64(0)
	for room < uint64(len(d.pending)) {
		c := q.Pop()
		if c == nil {
			// The driver notifies of the next one, and the frame waits.
			q.Rewind(chains)
			return false
		}
		chains = append(chains, c)
		room += c.WriteLen
		if !s.Has(featureMrgRxbuf) {
			break
		}
		if len(chains) == int(q.Size()) && room < uint64(len(d.pending)) {
			break // the whole queue does not hold it
		}
	}
	// virtio §5.1.6.4.1: num_buffers lies in the first buffer.
	if room < uint64(len(d.pending)) || chains[0].WriteLen < headerSize {
		d.dropped.Add(1)
		d.pending = nil
		q.Rewind(chains) // the buffers serve for smaller frames
		return chains[0].WriteLen >= headerSize
	}
	// virtio §5.1.6.4: 1 without mergeable buffers.
	binary.LittleEndian.PutUint16(d.pending[offNumBuffers:], uint16(len(chains)))
	written := make([]uint32, len(chains))
	b := d.pending
	for i, c := range chains {
		n := c.Write(b[:min(uint64(len(b)), c.WriteLen)], 0)
		written[i] = uint32(n)
		b = b[n:]
	}
	d.pending = nil
	q.PushAll(chains, written)
	return true
}

// Control commands (virtio §5.1.6.5).
const (
	classRx     = 0
	maxRxCmd    = 5 // promiscuous, all-multicast, ... no-broadcast
	classMAC    = 1
	macTableSet = 0
	controlOK   = 0
	controlErr  = 1
)

// stepControl serves a command.
func (d *Device) stepControl(s *virtio.Session) bool {
	q := s.Queue(controlQueue)
	if q == nil {
		return false
	}
	c := q.Pop()
	if c == nil {
		return false
	}
	if c.WriteLen == 0 {
		q.Fault(queue.FaultRequest)
		return false
	}
	var cmd [3]byte // class, command, and the first byte of what they want
	ack := byte(controlErr)
	if n := c.Read(cmd[:], 0); n == len(cmd) && s.Has(featureCtrlRx) {
		// Nothing is filtered, whatever the mode and the table of addresses:
		// filtering is best-effort (virtio §5.1.6.5.2).
		if cmd[0] == classRx && cmd[1] <= maxRxCmd || cmd[0] == classMAC && cmd[1] == macTableSet {
			ack = controlOK
		}
	}
	c.Write([]byte{ack}, 0)
	q.Push(c, 1)
	return true
}
