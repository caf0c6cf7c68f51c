package console

import (
	"encoding/binary"
	"fmt"

	"doppel/internal/device/virtio"
)

// event is a control message's kind (virtio §5.3.6.2).
type event uint16

const (
	eventDeviceReady event = 0
	eventPortAdd     event = 1
	eventPortRemove  event = 2
	eventPortReady   event = 3
	eventConsolePort event = 4
	eventResize      event = 5
	eventPortOpen    event = 6
	eventPortName    event = 7
)

func (v event) String() string {
	names := [...]string{"device ready", "port add", "port remove", "port ready", "console port", "resize", "port open", "port name"}
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("event %d", uint16(v))
}

// message is an encoded control message: id, event, value, and more for some.
type message []byte

const (
	messageBytes    = 8
	maxMessageBytes = messageBytes + maxNameBytes
	// maxMessages bounds the messages that wait for a driver that asks again
	// and again without reading; those beyond are dropped.
	maxMessages = 8 * MaxPorts
)

func encode(id int, v event, value uint16) message {
	b := binary.LittleEndian.AppendUint32(nil, uint32(id))
	b = binary.LittleEndian.AppendUint16(b, uint16(v))
	return binary.LittleEndian.AppendUint16(b, value)
}

// queue appends a message for the driver. d.mu is held.
func (d *Device) queue(m message) {
	if len(d.control) < maxMessages {
		d.control = append(d.control, m)
	}
}

func (d *Device) queueResize(i int) {
	columns, rows := d.ports[i].Terminal.Size()
	m := encode(i, eventResize, 0)
	m = binary.LittleEndian.AppendUint16(m, columns)
	d.queue(binary.LittleEndian.AppendUint16(m, rows))
}

// stepControl handles one message from the driver, or delivers one to it.
func (d *Device) stepControl(s *virtio.Session) bool {
	if q := s.Queue(controlOut); q != nil {
		if c := q.Pop(); c != nil {
			var b [messageBytes]byte
			if c.Read(b[:], 0) == messageBytes {
				d.handle(b)
			}
			q.Push(c, 0)
			return true
		}
	}
	return d.deliver(s)
}

// deliver gives the driver the first message that waits.
func (d *Device) deliver(s *virtio.Session) bool {
	d.mu.Lock()
	empty := len(d.control) == 0
	d.mu.Unlock()
	q := s.Queue(controlIn)
	if empty || q == nil {
		return false
	}
	c := q.Pop()
	if c == nil {
		return false
	}
	d.mu.Lock()
	var n int
	if len(d.control) > 0 { // a reset may have emptied it
		n = c.Write(d.control[0], 0)
		d.control = d.control[1:]
	}
	d.mu.Unlock()
	q.Push(c, uint32(n))
	return true
}

// handle obeys a message from the driver (virtio §5.3.6.2).
func (d *Device) handle(b [messageBytes]byte) {
	id := binary.LittleEndian.Uint32(b[0:])
	v := event(binary.LittleEndian.Uint16(b[4:]))
	value := binary.LittleEndian.Uint16(b[6:])
	d.mu.Lock()
	defer d.mu.Unlock()
	if v == eventDeviceReady {
		if value == 1 {
			for i := range d.ports {
				d.queue(encode(i, eventPortAdd, 0))
			}
		}
		return
	}
	if uint64(id) >= uint64(len(d.ports)) {
		return // no such port
	}
	p := d.ports[id]
	switch v {
	case eventPortReady:
		p.ready = value == 1
		if p.ready {
			d.announce(int(id))
		}
	case eventPortOpen:
		p.open = value == 1
	}
}

// announce tells what a port is once the driver has it. d.mu is held.
func (d *Device) announce(i int) {
	if i == 0 {
		d.queue(encode(i, eventConsolePort, 1))
		d.queueResize(i)
	} else {
		name := d.ports[i].Name
		d.queue(append(encode(i, eventPortName, 1), name[:min(len(name), maxNameBytes)]...))
	}
	d.queue(encode(i, eventPortOpen, 1))
}
