// Package net is the virtio network device (virtio §5.1) on a
// backend.Network: one pair of queues, mergeable receive buffers, checksum
// and segmentation offload, and a control queue.
//
// It does not look into frames further than offload asks for, and filters
// nothing: what the network brings is for this guest.
//
// Threads: the network tells of frames on goroutines of its own and never
// waits; one worker sends, another receives and serves the control queue.
package net

import (
	"encoding/binary"
	"sync/atomic"

	"doppel/internal/backend"
	"doppel/internal/device/virtio"
	"doppel/internal/state"
)

// Feature bits (virtio §5.1.3).
const (
	featureCsum      uint64 = 1 << 0
	featureGuestCsum uint64 = 1 << 1
	featureMTU       uint64 = 1 << 3
	featureMAC       uint64 = 1 << 5
	featureGuestTSO4 uint64 = 1 << 7
	featureGuestTSO6 uint64 = 1 << 8
	featureHostTSO4  uint64 = 1 << 11
	featureHostTSO6  uint64 = 1 << 12
	featureMrgRxbuf  uint64 = 1 << 15
	featureStatus    uint64 = 1 << 16
	featureCtrlVQ    uint64 = 1 << 17
	featureCtrlRx    uint64 = 1 << 18
)

// Queues (virtio §5.1.2).
const (
	receiveQueue = 0
	sendQueue    = 1
	controlQueue = 2

	dataQueueSize    = 256
	controlQueueSize = 64
)

// Configuration (virtio §5.1.4).
const (
	offMAC     = 0
	offStatus  = 6
	offPairs   = 8
	offMTU     = 10
	configSize = 12

	statusLinkUp = 1
)

// MAC is a hardware address.
type MAC [6]byte

// DefaultMAC is the address that QEMU gives to a first device.
var DefaultMAC = MAC{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}

// Config describes a network device.
type Config struct {
	Network backend.Network // closed with the device
	MAC     MAC
}

// Device is a virtio.Model.
type Device struct {
	network backend.Network
	mac     MAC
	session atomic.Pointer[virtio.Session]
	send    *virtio.Pool
	receive *virtio.Pool
	dropped atomic.Uint64

	sendBuf []byte // the sending worker's

	// The receiving worker's: header and frame that wait for buffers, and the
	// session that they were made for.
	pending     []byte
	pendingFrom *virtio.Session
}

// New makes a network device.
func New(c Config) *Device {
	d := &Device{network: c.Network, mac: c.MAC}
	d.send = virtio.NewPool(1, d.stepSend, d.panicked)
	d.receive = virtio.NewPool(1, d.stepReceive, d.panicked)
	d.network.SetReady(d.receive.Signal)
	return d
}

func (d *Device) panicked(v any) {
	if s := d.session.Load(); s != nil {
		s.Panicked(v)
	}
}

// Dropped counts frames that were malformed or that the guest had no buffer
// of a sufficient size for.
func (d *Device) Dropped() uint64 { return d.dropped.Load() }

func (d *Device) Type() virtio.Type { return virtio.TypeNet }

func (d *Device) Features() uint64 {
	return featureCsum | featureGuestCsum | featureMTU | featureMAC | featureGuestTSO4 | featureHostTSO4 |
		featureMrgRxbuf | featureStatus | featureCtrlVQ | featureCtrlRx
}

// CheckFeatures follows the requirements of virtio §5.1.3.1.
func (d *Device) CheckFeatures(features uint64) bool {
	for _, r := range []struct{ feature, needs uint64 }{
		{featureGuestTSO4 | featureGuestTSO6, featureGuestCsum},
		{featureHostTSO4 | featureHostTSO6, featureCsum},
		{featureCtrlRx, featureCtrlVQ},
	} {
		if features&r.feature != 0 && features&r.needs == 0 {
			return false
		}
	}
	return true
}

func (d *Device) QueueSizes() []uint16 {
	return []uint16{dataQueueSize, dataQueueSize, controlQueueSize}
}

func (d *Device) ReadConfig(off uint64, p []byte) bool {
	b := make([]byte, configSize)
	copy(b[offMAC:], d.mac[:])
	binary.LittleEndian.PutUint16(b[offStatus:], statusLinkUp)
	binary.LittleEndian.PutUint16(b[offPairs:], 1)
	binary.LittleEndian.PutUint16(b[offMTU:], d.network.MTU())
	return virtio.ReadBytes(b, off, p)
}

// WriteConfig refuses: no field is the driver's to write.
func (d *Device) WriteConfig(uint64, []byte) bool { return false }

func (d *Device) Seat(newPlace func() virtio.Place) {
	d.send.Seat(newPlace)
	d.receive.Seat(newPlace)
}

func (d *Device) Start(s *virtio.Session) {
	d.network.SetSegmentation(s.Has(featureGuestTSO4), s.Has(featureGuestTSO6))
	d.session.Store(s)
	d.send.Signal()
	d.receive.Signal()
}

func (d *Device) Notify(i int) {
	if i == sendQueue {
		d.send.Signal()
	} else {
		d.receive.Signal()
	}
}

func (d *Device) Stop() {
	d.session.Store(nil)
	d.network.SetSegmentation(false, false)
}

func (d *Device) Pause() {
	d.send.Pause()
	d.receive.Pause()
}

func (d *Device) Resume() {
	d.send.Resume()
	d.receive.Resume()
}

func (d *Device) Close() error {
	d.send.Close()
	d.receive.Close()
	return d.network.Close()
}

// Save appends the address. A frame that waits for a buffer stays here: the
// network loses frames now and then, as networks do.
func (d *Device) Save(e *state.Encoder) { e.Bytes(d.mac[:]) }

// Restore takes the address over: the driver has read it.
func (d *Device) Restore(dec *state.Decoder) {
	b := dec.Bytes(len(d.mac))
	if dec.Err() == nil && len(b) != len(d.mac) {
		dec.Failf("hardware address has %d bytes, want %d", len(b), len(d.mac))
		return
	}
	copy(d.mac[:], b)
}
