// Package rng is the virtio entropy device (virtio §5.4): it fills the
// driver's buffers from the machine's entropy source.
//
// Threads: one worker serves the queue; nothing else touches the device.
package rng

import (
	"sync/atomic"

	"doppel/internal/device/virtio"
	"doppel/internal/entropy"
	"doppel/internal/state"
)

const (
	queueSize = 64
	// maxFill bounds the bytes made for one buffer. virtio §5.4.6.1: at least
	// one byte, and not necessarily all.
	maxFill = 64 << 10
)

// Device is a virtio.Model.
type Device struct {
	source  entropy.Source
	pool    *virtio.Pool
	session atomic.Pointer[virtio.Session]
}

// New makes an entropy device.
func New(source entropy.Source) *Device {
	d := &Device{source: source}
	d.pool = virtio.NewPool(1, d.step, d.panicked)
	return d
}

func (d *Device) panicked(v any) {
	if s := d.session.Load(); s != nil {
		s.Panicked(v)
	}
}

func (d *Device) Type() virtio.Type              { return virtio.TypeEntropy }
func (d *Device) Features() uint64               { return 0 }
func (d *Device) CheckFeatures(uint64) bool      { return true }
func (d *Device) QueueSizes() []uint16           { return []uint16{queueSize} }
func (d *Device) ReadConfig(uint64, []byte) bool { return false }

func (d *Device) WriteConfig(uint64, []byte) bool { return false }

func (d *Device) Seat(newPlace func() virtio.Place) { d.pool.Seat(newPlace) }

func (d *Device) Start(s *virtio.Session) {
	d.session.Store(s)
	d.pool.Signal()
}

func (d *Device) Notify(int) { d.pool.Signal() }
func (d *Device) Stop()      { d.session.Store(nil) }
func (d *Device) Pause()     { d.pool.Pause() }
func (d *Device) Resume()    { d.pool.Resume() }

func (d *Device) Close() error {
	d.pool.Close()
	return nil
}

// Save and Restore: the source saves itself.
func (d *Device) Save(*state.Encoder)    {}
func (d *Device) Restore(*state.Decoder) {}

// step fills one buffer.
func (d *Device) step(*virtio.Turn) (more bool) {
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
	n := min(c.WriteLen, maxFill)
	c.Fill(0, n, func(pieces [][]byte) error {
		for _, p := range pieces {
			d.source.Fill(p)
		}
		return nil
	})
	q.Push(c, uint32(n))
	return true
}
