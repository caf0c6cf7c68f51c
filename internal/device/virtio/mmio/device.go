// Package mmio is the virtio-mmio transport, version 2 (virtio §4.2): a
// window of registers through which a driver finds a device, negotiates
// features, sets up queues and notifies.
//
// It does not handle requests: a notification is passed to the device type,
// whose workers do. The legacy interface (version 1) is not offered.
//
// Threads: any vCPU reads and writes registers under Device.mu. The device
// type's workers reach only the interrupt status, which has a lock of its own
// within. Writing 0 to Status waits until no worker touches guest memory.
package mmio

import (
	"fmt"
	"sync"

	"doppel/internal/device"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/queue"
	"doppel/internal/fdt"
	"doppel/internal/memory"
)

// Device is a virtio device in a window. It is a device.Device and a
// device.Worker.
type Device struct {
	name  string
	mem   *memory.Space
	model virtio.Model
	irq   interrupts

	mu         sync.Mutex
	status     uint32 // without StatusNeedsReset, which irq has
	featSel    uint32
	drvFeatSel uint32
	features   uint64 // the driver's choice
	queueSel   uint32
	shmSel     uint32
	queues     []queueRegs
	session    *virtio.Session // not nil from DRIVER_OK to reset
	live       []*queue.Queue  // the session's
}

// queueRegs is one queue's registers.
type queueRegs struct {
	max    uint16
	config queue.Config
	ready  bool
}

// New puts a device type behind a transport. name is the section's name in
// saved state. The transport owns model from here on.
func New(name string, mem *memory.Space, line device.Line, model virtio.Model) *Device {
	d := &Device{name: name, mem: mem, model: model}
	d.irq.line = line
	for _, max := range model.QueueSizes() {
		d.queues = append(d.queues, queueRegs{max: max})
	}
	d.live = make([]*queue.Queue, len(d.queues))
	d.clear()
	return d
}

func (d *Device) Size() uint64 { return windowSize }

// Node describes the window (Linux: virtio,mmio binding).
func (d *Device) Node(w device.Wiring) *fdt.Node { return node(w) }

func node(w device.Wiring) *fdt.Node {
	n := &fdt.Node{Name: fmt.Sprintf("virtio_mmio@%x", uint64(w.Base))}
	n.Str("compatible", "virtio,mmio")
	n.U64("reg", uint64(w.Base), windowSize)
	n.U32("interrupts", w.IRQ)
	n.U32("interrupt-parent", w.IRQParent)
	return n.Flag("dma-coherent")
}

// Stats returns the counters.
func (d *Device) Stats() Stats {
	d.irq.mu.Lock()
	defer d.irq.mu.Unlock()
	return d.irq.stats
}

// Reset puts the device in its state at power-on.
func (d *Device) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reset()
}

// reset is the device reset of virtio §2.4.
func (d *Device) reset() {
	if d.session != nil {
		d.session.Close() // from here on nothing touches guest memory
		d.session = nil
	}
	d.model.Stop()
	d.irq.reset()
	d.clear()
}

// clear sets the registers to their values at power-on.
func (d *Device) clear() {
	d.status, d.features = 0, 0
	d.featSel, d.drvFeatSel, d.queueSel, d.shmSel = 0, 0, 0, 0
	for i := range d.queues {
		q := &d.queues[i]
		*q = queueRegs{max: q.max, config: queue.Config{Size: q.max}}
		d.live[i] = nil
	}
}

func (d *Device) offered() uint64 { return d.model.Features() | queue.Features }

// setStatus is a driver's write to Status.
func (d *Device) setStatus(v uint32) {
	if v == 0 {
		d.reset()
		return
	}
	// virtio §2.1.1: a driver never clears a bit, except by a reset.
	set := v & statusDriverBits &^ d.status
	if set&StatusFeaturesOK != 0 && !d.featuresOK() {
		set &^= StatusFeaturesOK // virtio §2.2.2: refused, and the driver reads that
	}
	if set&StatusDriverOK != 0 && (d.status|set)&StatusFeaturesOK == 0 {
		set &^= StatusDriverOK // virtio §3.1.1: features come first
		d.irq.misuse(false)
	}
	d.status |= set
	if set&StatusDriverOK != 0 {
		d.activate()
	}
}

// featuresOK judges the driver's choice (virtio §2.2.2, §6.2).
func (d *Device) featuresOK() bool {
	return d.features&^d.offered() == 0 &&
		d.features&queue.FeatureVersion1 != 0 &&
		d.model.CheckFeatures(d.features)
}

// activate turns the configured queues into live ones and starts the device.
func (d *Device) activate() {
	for i := range d.queues {
		if d.queues[i].ready {
			d.enable(i)
		}
	}
	d.start()
	d.irq.setDriverOK()
}

func (d *Device) start() {
	d.session = virtio.NewSession(d.features, d.live, &d.irq)
	d.model.Start(d.session)
}

// enable makes queue i live. A configuration that cannot work makes the
// device need a reset.
func (d *Device) enable(i int) {
	q, err := queue.New(d.mem, d.queues[i].config, d.features, &d.irq)
	if err != nil {
		d.irq.misuse(true)
		return
	}
	d.setLive(i, q)
}

func (d *Device) setLive(i int, q *queue.Queue) {
	if old := d.live[i]; old != nil {
		old.Close()
	}
	d.live[i] = q
	if d.session != nil {
		d.session.SetQueue(i, q)
	}
}

// Pause, Resume and Close make it a device.Worker.
func (d *Device) Pause()  { d.model.Pause() }
func (d *Device) Resume() { d.model.Resume() }

// Close ends the device: its workers are gone and its backend is released
// when it returns.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != nil {
		d.session.Close()
	}
	return d.model.Close()
}
