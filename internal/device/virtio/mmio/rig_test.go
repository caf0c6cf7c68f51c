package mmio_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"doppel/internal/device/virtio/mmio"
	. "doppel/internal/device/virtio/virtiotest"
	"doppel/internal/memory"
)

// rig is a driver of an echo device, with two queues set up.
type rig struct {
	*Driver
	dev  *mmio.Device
	echo *Echo
}

func newRig(t testing.TB) *rig {
	mem, line, echo := NewSpace(t), NewLine(), NewEcho()
	dev := mmio.New("echo", mem, line, echo)
	t.Cleanup(func() { dev.Close() })
	return &rig{NewDriver(t, mem, line, dev), dev, echo}
}

// live makes the device live with the features of a ring.
func (r *rig) live(features uint64) *rig {
	r.Negotiate(features)
	for i := range EchoQueues {
		r.AddQueue(i, EchoQueueSize)
	}
	r.Start()
	return r
}

// works checks that the device serves a request, after a reset.
func (r *rig) works(features uint64) {
	r.T.Helper()
	r.live(features)
	req := r.Queues[0].Do(r.Out([]byte("hello")), r.In(5))
	if !bytes.Equal(req.Data(), []byte("hello")) || req.Written != 5 {
		r.T.Errorf("echo %q, %d bytes", req.Data(), req.Written)
	}
}

// quiet waits until the device has done what there was to do.
func (r *rig) quiet() {
	r.dev.Pause()
	r.dev.Resume()
	r.dev.Pause()
	r.dev.Resume()
}

// descriptors writes a descriptor area of queue 0, from slot 0.
func (r *rig) descriptors(d ...[]byte) {
	r.Put(r.Queues[0].Layout.Desc, bytes.Join(d, nil))
}

// offer makes head available in the split queue 0, with an available index.
func (r *rig) offer(head, idx uint16) {
	l := r.Queues[0].Layout
	r.Put(l.Driver+4, binary.LittleEndian.AppendUint16(nil, head))
	r.Mem.StoreU16(l.Driver+2, idx)
	r.SetReg(QueueNotify, 0)
}

const (
	next, write, indirect            = 1, 2, 4
	avail                            = 1 << 7
	end                              = RAMBase + RAMSize
	hole                  memory.GPA = 0x40000000
)
