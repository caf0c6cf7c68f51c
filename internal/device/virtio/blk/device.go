// Package blk is the virtio block device (virtio §5.2) on a backend.Disk.
//
// It does not know image formats, nor hosts: the disk is an array of bytes.
//
// Threads: vCPUs read and write the configuration under Device.mu; requests
// run on a pool of workers, several at once and completed in any order.
package blk

import (
	"sync"
	"sync/atomic"

	"doppel/internal/backend"
	"doppel/internal/device/virtio"
	"doppel/internal/state"
)

// workers is how many requests are under way at most.
const workers = 4

// idBytes is the length of a device ID string (virtio §5.2.6).
const idBytes = 20

// Config describes a block device.
type Config struct {
	Disk backend.Disk // closed with the device
	ID   string       // serial number, of which 20 bytes count

	// OnError, if not nil, hears of failures of the disk, from any worker. The
	// guest gets an I/O error.
	OnError func(op Op, err error)
}

// Device is a virtio.Model.
type Device struct {
	disk    backend.Disk
	id      [idBytes]byte
	onError func(Op, error)
	sectors uint64
	pool    *virtio.Pool
	session atomic.Pointer[virtio.Session]

	mu        sync.Mutex
	writeback uint8 // the configuration's field: 1 write-back, 0 write-through
}

// New makes a block device.
func New(c Config) *Device {
	d := &Device{disk: c.Disk, onError: c.OnError, sectors: uint64(c.Disk.Size()) / backend.SectorSize, writeback: 1}
	copy(d.id[:], c.ID)
	d.pool = virtio.NewPool(workers, d.step, d.panicked)
	return d
}

func (d *Device) panicked(v any) {
	if s := d.session.Load(); s != nil {
		s.Panicked(v)
	}
}

func (d *Device) Type() virtio.Type { return virtio.TypeBlock }

func (d *Device) Features() uint64 {
	f := featureSegMax | featureBlkSize | featureTopology
	if d.disk.ReadOnly() {
		return f | featureReadOnly
	}
	return f | featureFlush | featureConfigWCE | featureDiscard | featureWriteZeroes
}

func (d *Device) CheckFeatures(features uint64) bool {
	// virtio §5.2.6.2 lets a driver ignore read-only: its writes then fail.
	return true
}

func (d *Device) QueueSizes() []uint16 { return []uint16{queueSize} }

func (d *Device) ReadConfig(off uint64, p []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return virtio.ReadBytes(d.encodeConfig(), off, p)
}

// WriteConfig sets the cache mode, the only field that a driver writes.
func (d *Device) WriteConfig(off uint64, p []byte) bool {
	s := d.session.Load()
	if off != offWriteback || len(p) != 1 || p[0] > 1 || s != nil && !s.Has(featureConfigWCE) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeback = p[0]
	return true
}

// writeThrough tells whether a write must be stable when it completes.
func (d *Device) writeThrough(s *virtio.Session) bool {
	if s.Has(featureConfigWCE) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.writeback == 0
	}
	return !s.Has(featureFlush) // virtio §5.2.6.2: no way to ask for a flush
}

func (d *Device) Seat(newPlace func() virtio.Place) { d.pool.Seat(newPlace) }

func (d *Device) Start(s *virtio.Session) {
	d.session.Store(s)
	d.pool.Signal()
}

func (d *Device) Notify(int) { d.pool.Signal() }

func (d *Device) Stop() {
	d.session.Store(nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeback = 1
}

func (d *Device) Pause()  { d.pool.Pause() }
func (d *Device) Resume() { d.pool.Resume() }

func (d *Device) Close() error {
	d.pool.Close()
	return d.disk.Close()
}

// Save appends the cache mode and the capacity, which a restore compares: a
// disk of another size is another disk.
func (d *Device) Save(e *state.Encoder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.U64(d.sectors)
	e.U8(d.writeback)
}

func (d *Device) Restore(dec *state.Decoder) {
	sectors, writeback := dec.U64(), dec.U8()
	if dec.Err() != nil {
		return
	}
	if sectors != d.sectors {
		dec.Failf("disk has %d sectors; it had %d when the state was saved", d.sectors, sectors)
	}
	if writeback > 1 {
		dec.Failf("cache mode %d, want 0 or 1", writeback)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeback = writeback
}

// step serves one request.
func (d *Device) step(t *virtio.Turn) (more bool) {
	s := d.session.Load()
	if s == nil {
		return false
	}
	q := s.Queue(0)
	if q == nil {
		return false
	}
	c := q.Pop()
	if c == nil {
		return false
	}
	if q.Available() {
		d.pool.Signal() // another worker takes the next while this one is at work
	}
	d.serve(t, s, q, c)
	return true
}
