// Package virtio is what the virtio devices and their transports share
// (virtio §2): the contract between a transport and a device type, and the
// workers that devices run on. The rings are in queue, the MMIO transport in
// mmio, the device types in blk, net, console, rng and balloon.
//
// A device type never sees registers, and a transport never sees requests.
//
// Life of a device:
//
//	reset --FEATURES_OK--> negotiated --DRIVER_OK--> live (Start) --status 0--> reset (Stop)
//
// Threads: vCPUs call the transport; a device type's work runs on its Pool.
// Lock order: the transport's lock, the device type's lock, the queue's locks,
// the transport's interrupt lock, the interrupt controller.
package virtio

import (
	"fmt"
	"sync/atomic"

	"doppel/internal/device/virtio/queue"
	"doppel/internal/state"
)

// Type is a virtio device ID (virtio §5).
type Type uint32

const (
	TypeNone    Type = 0 // a transport without a device
	TypeNet     Type = 1
	TypeBlock   Type = 2
	TypeConsole Type = 3
	TypeEntropy Type = 4
	TypeBalloon Type = 5
)

func (t Type) String() string {
	switch t {
	case TypeNone:
		return "none"
	case TypeNet:
		return "net"
	case TypeBlock:
		return "block"
	case TypeConsole:
		return "console"
	case TypeEntropy:
		return "entropy"
	case TypeBalloon:
		return "balloon"
	}
	return fmt.Sprintf("virtio type %d", uint32(t))
}

// Model is a device type behind a transport. The transport calls Start, Stop,
// Config and the state methods one at a time.
type Model interface {
	Type() Type
	// Features are the device type's feature bits; the transport adds those
	// of the rings.
	Features() uint64
	// CheckFeatures tells whether the device works with the driver's choice,
	// which is a subset of what was offered (virtio §2.2.1, and "feature bit
	// requirements" of each device type).
	CheckFeatures(features uint64) bool
	// QueueSizes are the largest sizes of the queues.
	QueueSizes() []uint16

	// ReadConfig fills p from the device configuration at off, ok false if it
	// is outside. WriteConfig is the driver's write; what is read-only stays.
	ReadConfig(off uint64, p []byte) (ok bool)
	WriteConfig(off uint64, p []byte) (ok bool)

	// Seat says where the device's workers get their places from. It comes
	// first, or not at all.
	Seat(newPlace func() Place)
	// Start hands over the live queues at DRIVER_OK, or after a restore. Work
	// may begin at once.
	Start(s *Session)
	// Notify says that queue i of the session may have new buffers. Any vCPU
	// calls it; it must not block.
	Notify(i int)
	// Stop ends the session, whose queues are closed. The state is as at
	// power-on afterwards, what the backend holds excepted.
	Stop()

	// Pause, Resume and Close are those of device.Worker.
	Pause()
	Resume()
	Close() error

	// Save and Restore carry what the device type itself holds. Restore comes
	// before Start.
	Save(e *state.Encoder)
	Restore(d *state.Decoder)
}

// Session is a device between DRIVER_OK and the next reset.
type Session struct {
	Features uint64
	owner    Owner
	queues   []atomic.Pointer[queue.Queue]
}

// Owner is a transport, as a session sees it.
type Owner interface {
	queue.Owner
	// ConfigChanged tells the driver that the device configuration changed.
	ConfigChanged()
	// Panicked counts a panic that a worker survived, and stops the device.
	Panicked(value any)
}

// NewSession is for transports. A nil queue is one that the driver did not
// set up.
func NewSession(features uint64, queues []*queue.Queue, owner Owner) *Session {
	s := &Session{Features: features, owner: owner, queues: make([]atomic.Pointer[queue.Queue], len(queues))}
	for i, q := range queues {
		s.queues[i].Store(q)
	}
	return s
}

// Has tells whether all the feature bits in mask were negotiated.
func (s *Session) Has(mask uint64) bool { return s.Features&mask == mask }

// Queue returns queue i, nil if it is not enabled (now).
func (s *Session) Queue(i int) *queue.Queue {
	if i < 0 || i >= len(s.queues) {
		return nil
	}
	return s.queues[i].Load()
}

// SetQueue replaces a queue, for transports.
func (s *Session) SetQueue(i int, q *queue.Queue) { s.queues[i].Store(q) }

// Close closes every queue, for transports: it returns when nothing touches
// guest memory any more.
func (s *Session) Close() {
	for i := range s.queues {
		if q := s.queues[i].Load(); q != nil {
			q.Close()
		}
	}
}

// ConfigChanged tells the driver that the device configuration changed.
func (s *Session) ConfigChanged() { s.owner.ConfigChanged() }

// Panicked is for Pool.
func (s *Session) Panicked(value any) { s.owner.Panicked(value) }

// ReadBytes is a ReadConfig on the encoded configuration.
func ReadBytes(config []byte, off uint64, p []byte) bool {
	if off > uint64(len(config)) || uint64(len(p)) > uint64(len(config))-off {
		return false
	}
	copy(p, config[off:])
	return true
}
