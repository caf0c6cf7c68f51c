package rng_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/rng"
	"doppel/internal/device/virtio/virtiotest"
	"doppel/internal/entropy"
	"doppel/internal/memory"
)

func subject() virtiotest.Subject {
	source := entropy.NewSeeded(1)
	return virtiotest.Subject{
		New: func(mem *memory.Space, line device.Line) *mmio.Device {
			return mmio.New("rng0", mem, line, rng.New(source))
		},
		Queues: []uint16{16},
		Submit: func(d *virtiotest.Driver, r *rand.Rand) *virtiotest.Request {
			q := d.Queues[0]
			if !q.Room(2) {
				return nil
			}
			n := 16 + r.IntN(100)
			req := q.Add(d.In(n), d.In(n))
			req.Tag = func(req *virtiotest.Request) {
				b := req.Data()
				if int(req.Written) != 2*n || bytes.Equal(b[:n], b[n:]) || bytes.Contains(b, bytes.Repeat([]byte{0xa5}, 8)) {
					d.T.Errorf("%d bytes of %d: %x", req.Written, 2*n, b)
				}
			}
			return req
		},
	}
}

func TestContract(t *testing.T) { virtiotest.Run(t, subject()) }

// C11: a buffer of megabytes is filled in part.
func TestBounded(t *testing.T) {
	mem, line := virtiotest.NewSpace(t), virtiotest.NewLine()
	dev := subject().New(mem, line)
	defer dev.Close()
	d := virtiotest.NewDriver(t, mem, line, dev)
	d.Negotiate(0)
	q := d.AddQueue(0, 8)
	d.Start()
	if req := q.Do(d.In(4 << 20)); req.Written == 0 || req.Written > 1<<16 {
		t.Errorf("%d bytes were made", req.Written)
	}
	// A buffer that cannot be filled is given back.
	if req := q.Do(d.Out([]byte("x"))); req.Written != 0 {
		t.Errorf("%d bytes in no buffer", req.Written)
	}
}
