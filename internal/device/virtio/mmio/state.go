package mmio

import (
	"doppel/internal/device/virtio/queue"
	"doppel/internal/state"
)

func (d *Device) StateName() string    { return d.name }
func (d *Device) StateVersion() uint32 { return 1 }

// Save appends the transport, the queues and the device type. The device is
// paused: no chain is out, what the driver made available is in its rings.
func (d *Device) Save(e *state.Encoder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.U32(uint32(d.model.Type()))
	e.U32(uint32(len(d.queues)))
	e.U32(d.status)
	e.U64(d.features)
	for _, v := range []uint32{d.featSel, d.drvFeatSel, d.queueSel, d.shmSel} {
		e.U32(v)
	}
	d.irq.save(e)
	for i := range d.queues {
		q := &d.queues[i]
		q.config.Save(e)
		e.Bool(q.ready)
		e.Bool(d.live[i] != nil)
		if d.live[i] != nil {
			d.live[i].Save(e)
		}
	}
	d.model.Save(e)
}

// Restore replaces the state of a paused device.
func (d *Device) Restore(dec *state.Decoder, _ uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reset()
	if t, n := dec.U32(), dec.U32(); dec.Err() == nil && (t != uint32(d.model.Type()) || n != uint32(len(d.queues))) {
		dec.Failf("device type %d with %d queues, want %d with %d", t, n, uint32(d.model.Type()), len(d.queues))
	}
	d.status = dec.U32()
	d.features = dec.U64()
	for _, p := range []*uint32{&d.featSel, &d.drvFeatSel, &d.queueSel, &d.shmSel} {
		*p = dec.U32()
	}
	d.checkStatus(dec)
	d.irq.restore(dec, d.status&StatusDriverOK != 0)
	for i := range d.queues {
		d.restoreQueue(dec, i)
	}
	d.model.Restore(dec)
	if dec.Err() != nil {
		d.reset()
		return dec.Err()
	}
	if d.status&StatusDriverOK != 0 {
		d.start()
	}
	return nil
}

// checkStatus refuses what no driver could have brought about.
func (d *Device) checkStatus(dec *state.Decoder) {
	if d.status&^statusDriverBits != 0 {
		dec.Failf("status %#x has unknown bits", d.status)
	}
	if d.status&StatusFeaturesOK != 0 && !d.featuresOK() {
		dec.Failf("features %#x are not offered", d.features)
	}
	if d.status&StatusDriverOK != 0 && d.status&StatusFeaturesOK == 0 {
		dec.Failf("status %#x is live without features", d.status)
	}
}

func (d *Device) restoreQueue(dec *state.Decoder, i int) {
	q := &d.queues[i]
	q.config.Restore(dec)
	q.ready = dec.Bool()
	isLive := dec.Bool()
	if dec.Err() != nil {
		return
	}
	if q.config.Size == 0 || q.config.Size > q.max {
		dec.Failf("queue %d has size %d, want 1 to %d", i, q.config.Size, q.max)
		return
	}
	if !isLive {
		return
	}
	if !q.ready || d.status&StatusDriverOK == 0 {
		dec.Failf("queue %d is live in a device that is not", i)
		return
	}
	live, err := queue.New(d.mem, q.config, d.features, &d.irq)
	if err != nil {
		dec.Failf("queue %d: %w", i, err)
		return
	}
	live.Restore(dec)
	d.live[i] = live
}

func (n *interrupts) save(e *state.Encoder) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e.U32(n.status)
	e.Bool(n.needsReset)
	e.U32(n.generation)
}

func (n *interrupts) restore(d *state.Decoder, driverOK bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.status = d.U32()
	n.needsReset = d.Bool()
	n.generation = d.U32()
	n.driverOK = driverOK
	if d.Err() == nil {
		n.line.Set(n.status != 0)
	}
}
