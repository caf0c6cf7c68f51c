package virtiotest

import (
	"sync/atomic"

	"doppel/internal/device/virtio"
	"doppel/internal/state"
)

// EchoQueues and EchoQueueSize describe an Echo.
const (
	EchoQueues    = 2
	EchoQueueSize = 16
)

// Echo is the simplest device type, for tests of what is common to all: it
// copies the device-readable part of each request to its device-writable part.
type Echo struct {
	session atomic.Pointer[virtio.Session]
	pool    *virtio.Pool
	served  atomic.Uint64
}

// NewEcho makes an Echo with two workers.
func NewEcho() *Echo {
	e := &Echo{}
	e.pool = virtio.NewPool(2, e.step, func(v any) {
		if s := e.session.Load(); s != nil {
			s.Panicked(v)
		}
	})
	return e
}

// Served counts requests.
func (e *Echo) Served() uint64 { return e.served.Load() }

func (e *Echo) Type() virtio.Type         { return 0x2a }
func (e *Echo) Features() uint64          { return 0 }
func (e *Echo) CheckFeatures(uint64) bool { return true }

func (e *Echo) QueueSizes() []uint16 { return []uint16{EchoQueueSize, EchoQueueSize} }

func (e *Echo) ReadConfig(off uint64, p []byte) bool {
	return virtio.ReadBytes([]byte("echo"), off, p)
}

func (e *Echo) WriteConfig(uint64, []byte) bool { return false }

func (e *Echo) Seat(newPlace func() virtio.Place) { e.pool.Seat(newPlace) }

func (e *Echo) Start(s *virtio.Session) {
	e.session.Store(s)
	e.pool.Signal()
}

func (e *Echo) Notify(int)             { e.pool.Signal() }
func (e *Echo) Stop()                  { e.session.Store(nil) }
func (e *Echo) Pause()                 { e.pool.Pause() }
func (e *Echo) Resume()                { e.pool.Resume() }
func (e *Echo) Save(*state.Encoder)    {}
func (e *Echo) Restore(*state.Decoder) {}

func (e *Echo) Close() error {
	e.pool.Close()
	return nil
}

func (e *Echo) step(*virtio.Turn) (more bool) {
	s := e.session.Load()
	if s == nil {
		return false
	}
	for i := range EchoQueues {
		q := s.Queue(i)
		if q == nil {
			continue
		}
		c := q.Pop()
		if c == nil {
			continue
		}
		buf := make([]byte, min(c.ReadLen, 64<<10))
		buf = buf[:c.Read(buf, 0)]
		n := c.Write(buf, 0)
		e.served.Add(1)
		q.Push(c, uint32(n))
		more = true
	}
	return more
}
