// Package console is the virtio console device (virtio §5.3): one console
// port, or several ports with a control queue.
//
// With one port, multiport is not offered: the window size then travels in the
// configuration, whose layout all drivers agree on.
//
// It does not interpret what passes through it.
//
// Threads: terminals bring input and size changes on goroutines of their own,
// and never wait; one worker carries output and may wait for a slow terminal;
// another carries input and control messages. Lock order: Device.mu, then the
// queue's locks. No terminal is called with Device.mu held.
package console

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"doppel/internal/device"
	"doppel/internal/device/virtio"
	"doppel/internal/state"
)

// Feature bits (virtio §5.3.3).
const (
	featureSize      uint64 = 1 << 0
	featureMultiport uint64 = 1 << 1
)

const (
	dataQueueSize    = 128
	controlQueueSize = 32

	// MaxPorts bounds the ports of a device.
	MaxPorts = 16

	maxNameBytes  = 64
	maxInput      = 4096    // bytes that wait in a port for the driver
	maxOutput     = 1 << 20 // bytes of one output buffer
	outputPiece   = 4096
	configSize    = 12
	offColumns    = 0
	offRows       = 2
	offMaxNrPorts = 4
)

// Port describes a port. The first one is the console.
type Port struct {
	Name     string // seen by the guest, of ports after the first
	Terminal device.Terminal
}

// Device is a virtio.Model.
type Device struct {
	session atomic.Pointer[virtio.Session]
	output  *virtio.Pool
	input   *virtio.Pool

	mu      sync.Mutex
	ports   []*port
	control []message // for the driver, in order
	next    int       // port whose output is looked at first
}

// port is one port's state.
type port struct {
	Port
	input     []byte // not yet with the driver
	ready     bool   // multiport: the driver has the port
	open      bool   // multiport: the guest's side is open
	wantInput bool   // input was refused for want of room
}

// New makes a console with 1 to MaxPorts ports.
func New(ports ...Port) *Device {
	if len(ports) == 0 || len(ports) > MaxPorts {
		panic("BUG: console needs 1 to 16 ports")
	}
	d := &Device{}
	for _, p := range ports {
		d.ports = append(d.ports, &port{Port: p})
	}
	d.output = virtio.NewPool(1, d.stepOutput, d.panicked)
	d.input = virtio.NewPool(1, d.stepInput, d.panicked)
	for _, p := range d.ports {
		p.Terminal.SetInput(func(b []byte) int { return d.typed(p, b) })
		p.Terminal.SetResize(d.resized)
	}
	return d
}

func (d *Device) panicked(v any) {
	if s := d.session.Load(); s != nil {
		s.Panicked(v)
	}
}

func (d *Device) multiport() bool { return len(d.ports) > 1 }

func (d *Device) Type() virtio.Type { return virtio.TypeConsole }

func (d *Device) Features() uint64 {
	if d.multiport() {
		return featureSize | featureMultiport
	}
	return featureSize
}

func (d *Device) CheckFeatures(uint64) bool { return true }

// QueueSizes follows virtio §5.3.2: port 0, control, the other ports; input
// before output.
func (d *Device) QueueSizes() []uint16 {
	sizes := []uint16{dataQueueSize, dataQueueSize}
	if d.multiport() {
		sizes = append(sizes, controlQueueSize, controlQueueSize)
		for range d.ports[1:] {
			sizes = append(sizes, dataQueueSize, dataQueueSize)
		}
	}
	return sizes
}

const (
	controlIn  = 2
	controlOut = 3
)

// inputQueue is the queue that carries input to port i; output is the next.
func inputQueue(i int) int {
	if i == 0 {
		return 0
	}
	return 2 + 2*i
}

func (d *Device) ReadConfig(off uint64, p []byte) bool {
	b := make([]byte, configSize)
	columns, rows := d.ports[0].Terminal.Size()
	binary.LittleEndian.PutUint16(b[offColumns:], columns)
	binary.LittleEndian.PutUint16(b[offRows:], rows)
	if d.multiport() {
		binary.LittleEndian.PutUint32(b[offMaxNrPorts:], uint32(len(d.ports)))
	}
	return virtio.ReadBytes(b, off, p)
}

// WriteConfig refuses: emergency write is not offered.
func (d *Device) WriteConfig(uint64, []byte) bool { return false }

func (d *Device) Seat(newPlace func() virtio.Place) {
	d.output.Seat(newPlace)
	d.input.Seat(newPlace)
}

func (d *Device) Start(s *virtio.Session) {
	d.session.Store(s)
	d.input.Signal()
	d.output.Signal()
}

// Notify passes the work on: odd queues carry output.
func (d *Device) Notify(i int) {
	if i%2 == 1 && i != controlOut {
		d.output.Signal()
	} else {
		d.input.Signal()
	}
}

func (d *Device) Stop() {
	d.session.Store(nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.control = nil
	for _, p := range d.ports {
		p.ready, p.open = false, false
	}
}

func (d *Device) Pause() {
	d.input.Pause()
	d.output.Pause()
}

func (d *Device) Resume() {
	d.input.Resume()
	d.output.Resume()
}

// Close leaves the terminals open: they belong to who made them.
func (d *Device) Close() error {
	for _, p := range d.ports {
		p.Terminal.SetInput(nil)
		p.Terminal.SetResize(nil)
	}
	d.input.Close()
	d.output.Close()
	return nil
}

// typed takes input from a terminal, as much as there is room for.
func (d *Device) typed(p *port, b []byte) int {
	d.mu.Lock()
	n := min(len(b), maxInput-len(p.input))
	p.input = append(p.input, b[:n]...)
	if n < len(b) {
		p.wantInput = true
	}
	d.mu.Unlock()
	d.input.Signal()
	return n
}

// resized tells the driver of a new window size: in the configuration, or by
// a control message.
func (d *Device) resized() {
	s := d.session.Load()
	if s == nil {
		return
	}
	if s.Has(featureMultiport) {
		d.mu.Lock()
		d.queueResize(0)
		d.mu.Unlock()
		d.input.Signal()
		return
	}
	if s.Has(featureSize) {
		s.ConfigChanged()
	}
}

// Save appends what waits for the driver, and the ports' states.
func (d *Device) Save(e *state.Encoder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.U32(uint32(len(d.ports)))
	for _, p := range d.ports {
		e.Bytes(p.input)
		e.Bool(p.ready)
		e.Bool(p.open)
	}
	e.U32(uint32(len(d.control)))
	for _, m := range d.control {
		e.Bytes(m)
	}
}

func (d *Device) Restore(dec *state.Decoder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := dec.U32(); dec.Err() == nil && n != uint32(len(d.ports)) {
		dec.Failf("%d ports, want %d", n, len(d.ports))
		return
	}
	for _, p := range d.ports {
		p.input = dec.Bytes(maxInput)
		p.ready, p.open = dec.Bool(), dec.Bool()
	}
	n := dec.U32()
	if n > maxMessages {
		dec.Failf("%d control messages, want at most %d", n, maxMessages)
		return
	}
	d.control = nil
	for range n {
		d.control = append(d.control, dec.Bytes(maxMessageBytes))
	}
}
