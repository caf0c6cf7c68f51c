package console

import (
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/queue"
)

// stepOutput carries one buffer of some port to its terminal.
func (d *Device) stepOutput(t *virtio.Turn) (more bool) {
	s := d.session.Load()
	if s == nil {
		return false
	}
	for range d.ports {
		i := d.next
		d.next = (d.next + 1) % len(d.ports) // no port starves another
		if d.outputPort(t, s, i) {
			return true
		}
	}
	return false
}

func (d *Device) outputPort(t *virtio.Turn, s *virtio.Session, i int) bool {
	q := s.Queue(inputQueue(i) + 1)
	if q == nil {
		return false
	}
	c := q.Pop()
	if c == nil {
		return false
	}
	if c.ReadLen > maxOutput {
		q.Fault(queue.FaultRequest)
		return true
	}
	var piece [outputPiece]byte
	for off := uint64(0); off < c.ReadLen; {
		t.Pass()
		n := c.Read(piece[:min(outputPiece, c.ReadLen-off)], off)
		if n == 0 {
			return true // reset meanwhile
		}
		d.ports[i].Terminal.Write(piece[:n]) // a terminal never fails
		off += uint64(n)
	}
	q.Push(c, 0)
	return true
}

// stepInput moves one lot of input, or one control message.
func (d *Device) stepInput(*virtio.Turn) (more bool) {
	s := d.session.Load()
	if s == nil {
		return false
	}
	if s.Has(featureMultiport) && d.stepControl(s) {
		return true
	}
	for i := range d.ports {
		if d.inputPort(s, i) {
			return true
		}
	}
	return false
}

// inputPort gives the driver of port i some input, if both are there.
func (d *Device) inputPort(s *virtio.Session, i int) bool {
	p := d.ports[i]
	if d.waiting(s, p) == 0 {
		return false
	}
	q := s.Queue(inputQueue(i))
	if q == nil {
		return false
	}
	c := q.Pop()
	if c == nil {
		return false
	}
	d.mu.Lock()
	n := c.Write(p.input[:min(uint64(len(p.input)), c.WriteLen)], 0)
	p.input = append(p.input[:0], p.input[n:]...)
	wanted := p.wantInput
	p.wantInput = false
	d.mu.Unlock()
	q.Push(c, uint32(n))
	if wanted {
		p.Terminal.InputReady()
	}
	return true
}

// waiting tells how many bytes the driver could take now.
func (d *Device) waiting(s *virtio.Session, p *port) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.Has(featureMultiport) && !p.open {
		return 0 // it waits for the guest to open the port
	}
	return len(p.input)
}
