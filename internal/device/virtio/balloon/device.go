// Package balloon is the virtio traditional memory balloon (virtio §5.5): the
// host asks for a number of pages, the driver gives them, and they leave the
// process; the driver also reports pages that are free for the moment, and
// statistics when it is asked.
//
// It decides nothing: how large the balloon shall be is its owner's business,
// and what the driver says of itself is advice. A driver may use what it gave
// at any time; it then reads zeros, and the host gives memory anew.
//
// Threads: one worker serves all queues; SetTarget, Poll and State come from
// any goroutine. Lock order: Device.mu, then the queue's locks.
package balloon

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"doppel/internal/device/virtio"
	"doppel/internal/state"
)

// Feature bits (virtio §5.5.3). VIRTIO_BALLOON_F_MUST_TELL_HOST is not
// offered: what the driver takes back is there before it says so.
const (
	featureStats     uint64 = 1 << 1
	featureOOM       uint64 = 1 << 2
	featureHint      uint64 = 1 << 3
	featurePoison    uint64 = 1 << 4
	featureReporting uint64 = 1 << 5
)

// Queues (virtio §5.5.2).
const (
	inflateQueue = iota
	deflateQueue
	statsQueue
	hintQueue
	reportingQueue
	queues
)

const (
	queueSize = 64
	// PageSize is the balloon's unit, whatever the guest's pages are (virtio
	// §5.5.6).
	PageSize = 4096

	configSize = 16
	offTarget  = 0
	offActual  = 4
	offPoison  = 12 // behind the command of free page hinting
)

// Device is a virtio.Model.
type Device struct {
	pool    *virtio.Pool
	session atomic.Pointer[virtio.Session]
	arrived atomic.Bool // the statistics queue may hold figures that were not read
	wanted  atomic.Bool // the driver shall send statistics

	returned, reported atomic.Uint64

	mu     sync.Mutex
	target uint32 // pages that the host wants
	actual uint32 // pages that the driver says it has given
	poison uint32 // what the driver fills free pages with
	stats  Stats
}

// New makes a balloon that wants nothing.
func New() *Device {
	d := &Device{}
	d.pool = virtio.NewPool(1, d.step, d.panicked)
	return d
}

func (d *Device) panicked(v any) {
	if s := d.session.Load(); s != nil {
		s.Panicked(v)
	}
}

// State is what is known of a balloon.
type State struct {
	Live   bool   // a driver works with it
	Target uint64 // bytes that the host wants
	Actual uint64 // bytes that the driver says it has given
	// Returned and Reported count bytes that went back to the host, through
	// the balloon and as free pages.
	Returned, Reported uint64
	Stats              Stats
}

// State tells how the balloon is.
func (d *Device) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return State{
		Live: d.session.Load() != nil, Target: uint64(d.target) * PageSize, Actual: uint64(d.actual) * PageSize,
		Returned: d.returned.Load(), Reported: d.reported.Load(), Stats: d.stats,
	}
}

// SetTarget asks the driver to make the balloon n bytes large, rounded down to
// pages. It does so in its own time, if it can, and after a reset again.
func (d *Device) SetTarget(n uint64) {
	pages := uint32(min(n/PageSize, 1<<32-1))
	d.mu.Lock()
	changed := d.target != pages
	d.target = pages
	d.mu.Unlock()
	if s := d.session.Load(); s != nil && changed {
		s.ConfigChanged()
	}
}

// Poll asks the driver for new statistics, which come later.
func (d *Device) Poll() {
	d.wanted.Store(true)
	d.pool.Signal()
}

func (d *Device) Type() virtio.Type { return virtio.TypeBalloon }

// Features has free page hinting, which is never asked for (reporting has told
// all by then): without it Linux numbers the reporting queue 3, where the
// specification says 4, and FreeBSD and others do as is said.
func (d *Device) Features() uint64 {
	return featureStats | featureOOM | featureHint | featurePoison | featureReporting
}

func (d *Device) CheckFeatures(uint64) bool { return true }

func (d *Device) QueueSizes() []uint16 {
	return []uint16{queueSize, queueSize, queueSize, queueSize, queueSize}
}

func (d *Device) ReadConfig(off uint64, p []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	// The command of free page hinting stays VIRTIO_BALLOON_CMD_ID_STOP, 0.
	var b [configSize]byte
	binary.LittleEndian.PutUint32(b[offTarget:], d.target)
	binary.LittleEndian.PutUint32(b[offActual:], d.actual)
	binary.LittleEndian.PutUint32(b[offPoison:], d.poison)
	return virtio.ReadBytes(b[:], off, p)
}

// WriteConfig takes the two fields that are the driver's.
func (d *Device) WriteConfig(off uint64, p []byte) bool {
	if len(p) != 4 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := binary.LittleEndian.Uint32(p)
	switch off {
	case offActual:
		d.actual = v
	case offPoison:
		// virtio §5.5.6.6.1: not while DRIVER_OK is set.
		if d.session.Load() != nil {
			return false
		}
		d.poison = v
	default:
		return false
	}
	return true
}

func (d *Device) Seat(newPlace func() virtio.Place) { d.pool.Seat(newPlace) }

func (d *Device) Start(s *virtio.Session) {
	d.session.Store(s)
	d.arrived.Store(true)
	d.pool.Signal()
}

func (d *Device) Notify(i int) {
	if i == statsQueue {
		d.arrived.Store(true)
	}
	d.pool.Signal()
}

// Stop leaves the target, which is the host's.
func (d *Device) Stop() {
	d.session.Store(nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actual, d.poison, d.stats = 0, 0, Stats{}
}

func (d *Device) Pause()  { d.pool.Pause() }
func (d *Device) Resume() { d.pool.Resume() }

func (d *Device) Close() error {
	d.pool.Close()
	return nil
}

// Save appends the configuration and what the driver has told.
func (d *Device) Save(e *state.Encoder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.U32(d.target)
	e.U32(d.actual)
	e.U32(d.poison)
	d.stats.save(e)
}

func (d *Device) Restore(dec *state.Decoder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = dec.U32()
	d.actual = dec.U32()
	d.poison = dec.U32()
	d.stats.restore(dec)
}
