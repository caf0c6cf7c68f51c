package mmio

import (
	"encoding/binary"

	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/queue"
	"doppel/internal/memory"
)

// Read reads a register or the device configuration.
func (d *Device) Read(off uint64, size int) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if off >= regConfig {
		return readConfig(d.model, off-regConfig, size)
	}
	// virtio §4.2.2.2: control registers have 32-bit accesses only.
	if size != 4 || off%4 != 0 {
		d.irq.misuse(false)
		return 0, false
	}
	return uint64(d.readReg(off)), true
}

func readConfig(m virtio.Model, off uint64, size int) (uint64, bool) {
	var b [8]byte
	if size < 1 || size > 8 {
		return 0, false
	}
	// Outside of the configuration reads as zero: a driver may probe for
	// fields of later versions.
	if !m.ReadConfig(off, b[:size]) {
		return 0, true
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

func (d *Device) readReg(off uint64) uint32 {
	switch off {
	case regMagic:
		return magic
	case regVersion:
		return version
	case regDeviceID:
		return uint32(d.model.Type())
	case regVendorID:
		return vendor
	case regDeviceFeatures:
		return half(d.offered(), d.featSel)
	case regQueueSizeMax, regQueueReady:
		return d.readQueue(off)
	case regIntStatus:
		status, _, _ := d.irq.read()
		return status
	case regStatus:
		return d.readStatus()
	case regSHMLenLow, regSHMLenHigh, regSHMBaseLow, regSHMBaseHigh:
		return ^uint32(0) // virtio §4.2.2.1: the region does not exist
	case regQueueReset:
		return 0 // virtio §4.2.2.1: a reset is done when the write returns
	case regConfigGen:
		_, _, generation := d.irq.read()
		return generation
	}
	return 0 // write-only or reserved
}

func (d *Device) readStatus() uint32 {
	if _, needsReset, _ := d.irq.read(); needsReset {
		return d.status | StatusNeedsReset
	}
	return d.status
}

func (d *Device) readQueue(off uint64) uint32 {
	q := d.selected()
	switch {
	case q == nil:
		return 0 // virtio §4.2.2.1: a queue that does not exist has size 0
	case off == regQueueSizeMax:
		return uint32(q.max)
	case q.ready:
		return 1
	}
	return 0
}

// half selects 32 of 64 bits; there are none beyond.
func half(v uint64, sel uint32) uint32 {
	if sel > 1 {
		return 0
	}
	return uint32(v >> (32 * sel))
}

func (d *Device) selected() *queueRegs {
	if uint64(d.queueSel) >= uint64(len(d.queues)) {
		return nil
	}
	return &d.queues[d.queueSel]
}

// Write writes a register or the device configuration.
func (d *Device) Write(off uint64, size int, v uint64) bool {
	if off == regQueueNotify && size == 4 {
		d.notify(uint32(v))
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if off >= regConfig {
		return d.writeConfig(off-regConfig, size, v)
	}
	if size != 4 || off%4 != 0 {
		d.irq.misuse(false)
		return false
	}
	d.writeReg(off, uint32(v))
	return true
}

func (d *Device) writeConfig(off uint64, size int, v uint64) bool {
	if size < 1 || size > 8 {
		return false
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	if !d.model.WriteConfig(off, b[:size]) {
		d.irq.misuse(false)
	}
	return true
}

func (d *Device) writeReg(off uint64, v uint32) {
	switch off {
	case regDeviceFeatSel:
		d.featSel = v
	case regDriverFeatSel:
		d.drvFeatSel = v
	case regDriverFeatures:
		d.setFeatures(v)
	case regQueueSel:
		d.queueSel = v
	case regIntAck:
		d.irq.ack(v)
	case regStatus:
		d.setStatus(v)
	case regSHMSel:
		d.shmSel = v
	case regQueueReady:
		d.setReady(v)
	case regQueueReset:
		d.resetQueue(v)
	case regQueueSize, regQueueDescLow, regQueueDescHigh, regQueueDrvLow, regQueueDrvHigh, regQueueDevLow, regQueueDevHigh:
		d.configureQueue(off, v)
	default:
		d.irq.misuse(false)
	}
}

func (d *Device) setFeatures(v uint32) {
	// virtio §2.2.1: the choice stands once FEATURES_OK is set.
	if d.status&StatusFeaturesOK != 0 {
		d.irq.misuse(d.session != nil)
		return
	}
	if d.drvFeatSel <= 1 {
		shift := 32 * d.drvFeatSel
		d.features = d.features&^(0xffffffff<<shift) | uint64(v)<<shift
	} else if v != 0 {
		d.irq.misuse(false)
	}
}

// configureQueue sets a register of a queue that is not ready. A ready one
// is frozen; to write to it in a live device is an error.
func (d *Device) configureQueue(off uint64, v uint32) {
	q := d.selected()
	if q == nil {
		d.irq.misuse(false)
		return
	}
	if q.ready {
		d.irq.misuse(d.session != nil)
		return
	}
	switch off {
	case regQueueSize:
		if v == 0 || v > uint32(q.max) { // virtio §4.2.2.2: at most QueueSizeMax
			d.irq.misuse(d.session != nil)
			return
		}
		q.config.Size = uint16(v)
	case regQueueDescLow, regQueueDescHigh:
		setHalf(&q.config.Desc, off == regQueueDescHigh, v)
	case regQueueDrvLow, regQueueDrvHigh:
		setHalf(&q.config.Driver, off == regQueueDrvHigh, v)
	case regQueueDevLow, regQueueDevHigh:
		setHalf(&q.config.Device, off == regQueueDevHigh, v)
	}
}

func setHalf(gpa *memory.GPA, high bool, v uint32) {
	if high {
		*gpa = *gpa&0xffffffff | memory.GPA(v)<<32
	} else {
		*gpa = *gpa&^0xffffffff | memory.GPA(v)
	}
}

// setReady enables or stops the selected queue (virtio §4.2.2, QueueReady).
func (d *Device) setReady(v uint32) {
	q := d.selected()
	if q == nil {
		d.irq.misuse(false)
		return
	}
	on := v&1 != 0
	if on == q.ready {
		return
	}
	q.ready = on
	i := int(d.queueSel)
	switch {
	case !on:
		d.setLive(i, nil)
	case d.session != nil:
		d.enable(i)
		d.model.Notify(i)
	}
}

// resetQueue puts the selected queue in its state after a device reset
// (virtio §2.6.1).
func (d *Device) resetQueue(v uint32) {
	q := d.selected()
	if q == nil || v != 1 || d.features&queue.FeatureRingReset == 0 || d.session == nil {
		d.irq.misuse(false)
		return
	}
	d.setLive(int(d.queueSel), nil)
	q.ready = false
	q.config.Size = q.max
}

// notify passes a notification on.
func (d *Device) notify(i uint32) {
	d.mu.Lock()
	ok := d.session != nil && uint64(i) < uint64(len(d.queues)) && d.live[i] != nil
	d.mu.Unlock()
	if !ok {
		d.irq.misuse(false)
		return
	}
	d.model.Notify(int(i))
}
