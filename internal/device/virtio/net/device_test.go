package net_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"doppel/internal/backend"
	"doppel/internal/device"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/net"
	"doppel/internal/device/virtio/queue"
	"doppel/internal/device/virtio/virtiotest"
	"doppel/internal/memory"
)

const (
	csum, guestCsum, mac, guestTSO4, hostTSO4 = 1, 2, 1 << 5, 1 << 7, 1 << 11
	mrgRxbuf, ctrlVQ, ctrlRx                  = 1 << 15, 1 << 17, 1 << 18
	headerSize                                = 12
)

type packet struct {
	frame []byte
	o     backend.Offload
}

// wire is a network that keeps what is sent and brings what is given.
type wire struct {
	mu    sync.Mutex
	sent  []packet
	in    []packet
	ready func()
	tso4  bool
	got   chan struct{}
}

func newWire() *wire { return &wire{got: make(chan struct{}, 10000), ready: func() {}} }

func (w *wire) Send(b []byte, o backend.Offload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, packet{bytes.Clone(b), o})
	w.got <- struct{}{}
}

func (w *wire) Receive() ([]byte, backend.Offload, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.in) == 0 {
		return nil, backend.Offload{}, false
	}
	p := w.in[0]
	w.in = w.in[1:]
	return p.frame, p.o, true
}

func (w *wire) bring(b []byte, o backend.Offload) {
	w.mu.Lock()
	w.in = append(w.in, packet{b, o})
	ready := w.ready
	w.mu.Unlock()
	ready()
}

func (w *wire) SetReady(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = fn
}

func (w *wire) SetSegmentation(tcp4, _ bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tso4 = tcp4
}

func (w *wire) MTU() uint16  { return 1500 }
func (w *wire) Close() error { return nil }

func (w *wire) take() packet {
	<-w.got
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.sent[0]
	w.sent = w.sent[1:]
	return p
}

type rig struct {
	*virtiotest.Driver
	*wire
	dev    *mmio.Device
	rx, tx *virtiotest.Queue
	ctrl   *virtiotest.Queue
}

func start(t testing.TB, features uint64) *rig {
	mem, line, w := virtiotest.NewSpace(t), virtiotest.NewLine(), newWire()
	dev := mmio.New("net0", mem, line, net.New(net.Config{Network: w, MAC: net.DefaultMAC}))
	t.Cleanup(func() { dev.Close() })
	r := &rig{Driver: virtiotest.NewDriver(t, mem, line, dev), wire: w, dev: dev}
	r.Negotiate(features)
	r.rx, r.tx = r.AddQueue(0, 64), r.AddQueue(1, 64)
	if features&ctrlVQ != 0 {
		r.ctrl = r.AddQueue(2, 16)
	}
	r.Start()
	return r
}

func header(flags, gso byte, hdrLen, size, start, offset uint16) []byte {
	b := []byte{flags, gso}
	for _, v := range []uint16{hdrLen, size, start, offset, 0} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func frame(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func TestConfig(t *testing.T) {
	r := start(t, mac)
	if got := r.Config(0, 6); !bytes.Equal(got, net.DefaultMAC[:]) {
		t.Errorf("MAC %x", got)
	}
	if r.Config16(6) != 1 || r.Config16(10) != 1500 {
		t.Errorf("status %d, MTU %d", r.Config16(6), r.Config16(10))
	}
}

func TestSend(t *testing.T) {
	r := start(t, csum|hostTSO4)
	for _, tt := range []struct {
		name   string
		header []byte
		size   int
		drop   bool
		want   backend.Offload
	}{
		{"plain", header(0, 0, 0, 0, 0, 0), 60, false, backend.Offload{}},
		{"longest", header(0, 0, 0, 0, 0, 0), backend.MaxFrame, false, backend.Offload{}},
		{"too long", header(0, 0, 0, 0, 0, 0), backend.MaxFrame + 1, true, backend.Offload{}},
		{"nothing", header(0, 0, 0, 0, 0, 0), 0, true, backend.Offload{}},
		{"checksum", header(1, 0, 0, 0, 34, 16), 60, false, backend.Offload{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 16}},
		{"checksum at the end", header(1, 0, 0, 0, 34, 24), 60, false, backend.Offload{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 24}},
		{"checksum beyond", header(1, 0, 0, 0, 34, 25), 60, true, backend.Offload{}},
		{"checksum wraps", header(1, 0, 0, 0, 65535, 65535), 60, true, backend.Offload{}},
		{"segments", header(1, 1, 54, 1460, 34, 16), 5000, false, backend.Offload{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 16, GSO: backend.GSOTCP4, SegmentSize: 1460, HeaderLen: 54}},
		{"segments of 0", header(1, 1, 54, 0, 34, 16), 5000, true, backend.Offload{}},
		{"segments without checksum", header(0, 1, 54, 1460, 34, 16), 5000, true, backend.Offload{}},
		{"headers longer than the frame", header(1, 1, 5001, 1460, 34, 16), 5000, true, backend.Offload{}},
		{"not negotiated", header(1, 4, 54, 1460, 34, 16), 5000, true, backend.Offload{}},
		{"UDP", header(1, 3, 42, 1460, 34, 6), 5000, true, backend.Offload{}},
		{"unknown", header(1, 0x7f, 42, 1460, 34, 6), 5000, true, backend.Offload{}},
	} {
		bufs := []virtiotest.Buffer{r.Out(tt.header)}
		f := frame(tt.size)
		if tt.size > 0 {
			bufs = append(bufs, r.Out(f))
		}
		r.tx.Do(bufs...)
		if tt.drop {
			if len(r.wire.sent) != 0 {
				t.Errorf("%s: sent", tt.name)
			}
			continue
		}
		if p := r.take(); !bytes.Equal(p.frame, f) || p.o != tt.want {
			t.Errorf("%s: sent %d bytes, %+v", tt.name, len(p.frame), p.o)
		}
	}
	virtiotest.CheckClean(t, r.dev)
}

// received puts the buffers of one frame together again.
func (r *rig) received(mergeable bool) ([]byte, []byte) {
	r.T.Helper()
	req := r.rx.Next()
	b := req.Data()[:req.Written]
	for n := binary.LittleEndian.Uint16(b[10:]); n > 1; n-- {
		if !mergeable {
			r.T.Fatal("merged without being asked")
		}
		req = r.rx.Next()
		b = append(b, req.Data()[:req.Written]...)
	}
	return b[:headerSize], b[headerSize:]
}

func TestReceive(t *testing.T) {
	r := start(t, guestCsum|guestTSO4|mrgRxbuf)
	if !r.tso4 {
		t.Error("the network was not told of segmentation")
	}
	for _, size := range []int{1, 14, 60, 1514, 5000, backend.MaxFrame} {
		f := frame(size)
		// The frame comes before there are enough buffers.
		r.bring(f, backend.Offload{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 16, GSO: backend.GSOTCP4, SegmentSize: 1460, HeaderLen: 54})
		for room := 0; room < size+headerSize; room += 1600 {
			r.rx.Add(r.In(1600))
		}
		h, got := r.received(true)
		if !bytes.Equal(got, f) {
			t.Fatalf("frame of %d bytes: received %d", size, len(got))
		}
		if want := header(1, 1, 54, 1460, 34, 16)[:10]; !bytes.Equal(h[:10], want) {
			t.Errorf("header %x, want %x", h, want)
		}
	}
	virtiotest.CheckClean(t, r.dev)
}

// A frame that no buffer holds is dropped; the buffer serves the next.
func TestReceiveTooSmall(t *testing.T) {
	r := start(t, 0)
	r.bring(frame(1514), backend.Offload{})
	r.bring(frame(100), backend.Offload{})
	r.rx.Add(r.In(500))
	if _, got := r.received(false); len(got) != 100 {
		t.Errorf("received %d bytes", len(got))
	}
	// A queue full of buffers that do not hold the frame together.
	r = start(t, mrgRxbuf)
	r.bring(frame(5000), backend.Offload{})
	r.bring(frame(50), backend.Offload{})
	for range 64 {
		r.rx.Add(r.In(20))
	}
	if _, got := r.received(true); len(got) != 50 {
		t.Errorf("received %d bytes", len(got))
	}
	virtiotest.CheckClean(t, r.dev)
}

// A guest without offload gets whole checksums and no long frames.
func TestReceiveWithoutOffload(t *testing.T) {
	r := start(t, 0)
	f := append(make([]byte, 34), 0x12, 0x34, 0x00, 0x07, 0xff)
	r.bring(frame(3000), backend.Offload{NeedsChecksum: true, GSO: backend.GSOTCP4, SegmentSize: 1460})
	r.bring(frame(30), backend.Offload{NeedsChecksum: true, ChecksumStart: 29})
	r.bring(f, backend.Offload{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 2})
	r.rx.Add(r.In(4000))
	h, got := r.received(false)
	sum := 0x1234 + 0x0007 + 0xff00
	want := ^uint16(sum&0xffff + sum>>16)
	if h[0] != 0 || len(got) != len(f) || binary.BigEndian.Uint16(got[36:]) != want {
		t.Errorf("header %x, frame %x, want checksum %04x", h, got, want)
	}
}

func TestControl(t *testing.T) {
	r := start(t, ctrlVQ|ctrlRx)
	for _, tt := range []struct {
		cmd  []byte
		want byte
	}{
		{[]byte{0, 0, 1}, 0}, {[]byte{0, 5, 0}, 0}, {[]byte{0, 6, 1}, 1}, {[]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0}, {[]byte{1, 1, 2, 0, 0, 0, 0, 1}, 1}, {[]byte{0}, 1}, {[]byte{9, 9, 9, 9}, 1},
	} {
		if got := r.ctrl.Do(r.Out(tt.cmd), r.In(1)).Data()[0]; got != tt.want {
			t.Errorf("command %v: %d, want %d", tt.cmd, got, tt.want)
		}
	}
	r.ctrl.Add(r.Out([]byte{0, 0, 1}))
	if !r.WaitNeedsReset() || r.dev.Stats().Faults[queue.FaultRequest] != 1 {
		t.Error("a command without a place for its answer was accepted")
	}
}

func TestFeatureRequirements(t *testing.T) {
	r := start(t, mac)
	for features, want := range map[uint64]bool{
		hostTSO4: false, hostTSO4 | csum: true, guestTSO4: false, guestTSO4 | guestCsum: true, ctrlRx: false, ctrlRx | ctrlVQ: true,
	} {
		r.SetReg(virtiotest.Status, 0)
		r.SetReg(virtiotest.Status, virtiotest.Acknowledge|virtiotest.DriverBit)
		r.Choose(features | queue.FeatureVersion1)
		r.SetReg(virtiotest.Status, virtiotest.Acknowledge|virtiotest.DriverBit|virtiotest.FeaturesOK)
		if got := r.Reg(virtiotest.Status)&virtiotest.FeaturesOK != 0; got != want {
			t.Errorf("features %#x: accepted %v, want %v", features, got, want)
		}
	}
}

func TestContract(t *testing.T) {
	w := newWire()
	virtiotest.Run(t, virtiotest.Subject{
		New: func(mem *memory.Space, line device.Line) *mmio.Device {
			return mmio.New("net0", mem, line, net.New(net.Config{Network: w, MAC: net.DefaultMAC}))
		},
		Features: csum | guestCsum | mrgRxbuf | ctrlVQ | ctrlRx,
		Queues:   []uint16{32, 32, 16},
		Submit: func(d *virtiotest.Driver, r *rand.Rand) *virtiotest.Request {
			switch q := d.Queues[r.IntN(3)]; q.Index {
			case 0: // a buffer, and the frame that fills it
				if !q.Room(2) {
					return nil
				}
				f := frame(1 + r.IntN(100))
				req := q.Add(d.In(headerSize), d.In(100))
				w.bring(f, backend.Offload{})
				return req
			case 1:
				if !q.Room(2) {
					return nil
				}
				f := frame(1 + r.IntN(2000))
				req := q.Add(d.Out(header(0, 0, 0, 0, 0, 0)), d.Out(f))
				req.Tag = func(*virtiotest.Request) {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.sent = nil
					for len(w.got) > 0 {
						<-w.got
					}
				}
				return req
			default:
				if !q.Room(2) {
					return nil
				}
				req := q.Add(d.Out([]byte{0, 0, 1}), d.In(1))
				req.Tag = func(req *virtiotest.Request) {
					if req.Data()[0] != 0 {
						d.T.Error("command refused")
					}
				}
				return req
			}
		},
		// Frames may be lost with a device: bring as many as there are buffers.
		Settle: func(d *virtiotest.Driver) {
			for range d.Queues[0].Pending {
				w.bring(frame(50), backend.Offload{})
			}
		},
		Drop: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.in = nil
		},
	})
}

// C9: no header or frame of the guest harms the device.
func FuzzSend(f *testing.F) {
	f.Add(header(0, 0, 0, 0, 0, 0), []byte("frame"))
	f.Add(header(1, 1, 54, 1460, 34, 16), make([]byte, 100))
	f.Fuzz(func(t *testing.T, h, body []byte) {
		r := start(t, csum|hostTSO4)
		b := append(h, body...)
		if len(b) == 0 || len(b) > 1<<17 {
			return
		}
		r.tx.Do(r.Out(b))
		r.wire.mu.Lock()
		defer r.wire.mu.Unlock()
		for _, p := range r.wire.sent {
			if p.o.NeedsChecksum && int(p.o.ChecksumStart)+int(p.o.ChecksumOffset)+2 > len(p.frame) {
				t.Errorf("passed on %+v for %d bytes", p.o, len(p.frame))
			}
		}
		virtiotest.CheckClean(t, r.dev)
	})
}
