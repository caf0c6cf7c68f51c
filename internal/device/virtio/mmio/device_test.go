package mmio_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/queue"
	. "doppel/internal/device/virtio/virtiotest"
	"doppel/internal/memory"
)

func TestIdentity(t *testing.T) {
	r := newRig(t)
	empty := mmio.NewEmpty("slot")
	for _, tt := range []struct {
		reg         uint64
		full, empty uint32
	}{
		{Magic, 0x74726976, 0x74726976}, {Version, 2, 2}, {DeviceID, 0x2a, 0}, {Status, 0, 0}, {0xb0, 0xffffffff, 0}, {0xb4, 0xffffffff, 0},
	} {
		if got := r.Reg(tt.reg); got != tt.full {
			t.Errorf("register %#x = %#x, want %#x", tt.reg, got, tt.full)
		}
		if got, ok := empty.Read(tt.reg, 4); !ok || uint32(got) != tt.empty {
			t.Errorf("empty slot: register %#x = %#x, want %#x", tt.reg, got, tt.empty)
		}
	}
}

// C1: any access of any size, anywhere in the window.
func TestAccessSizes(t *testing.T) {
	r := newRig(t).live(0)
	for off := range r.dev.Size() {
		for _, size := range []int{1, 2, 4, 8} {
			if off%uint64(size) != 0 {
				continue
			}
			_, ok := r.dev.Read(off, size)
			// virtio §4.2.2.2: registers have 32 bits; the configuration any size.
			if want := off >= 0x100 || size == 4; ok != want {
				t.Fatalf("read of %d bytes at %#x: %v, want %v", size, off, ok, want)
			}
			if ok := r.dev.Write(off, size, 0xdeadbeefdeadbeef); off < 0x100 && ok != (size == 4) {
				t.Fatalf("write of %d bytes at %#x: %v", size, off, ok)
			}
		}
	}
	r.works(0)
}

// virtio §2.2, §3.1.1: what is and is not accepted on the way to DRIVER_OK.
func TestNegotiation(t *testing.T) {
	const v1 = queue.FeatureVersion1
	for _, tt := range []struct {
		name     string
		features uint64
		status   []uint32
		want     uint32
	}{
		{"in order", v1, []uint32{1, 3, 11, 15}, 15},
		{"all at once", v1, []uint32{15}, 15},
		{"without VERSION_1", 0, []uint32{1, 3, 11}, 3},
		{"not offered", v1 | 1<<60, []uint32{1, 3, 11}, 3},
		{"DRIVER_OK without FEATURES_OK", v1, []uint32{1, 3, 7}, 3},
		{"a bit is cleared", v1, []uint32{1, 3, 11, 1}, 11},
		{"NEEDS_RESET is the device's", v1, []uint32{1, 3, 64}, 3},
		{"unknown bits", v1, []uint32{1, 3, 0xffffff30}, 3},
		{"failed", v1, []uint32{1, 3, 131}, 131},
		{"reset", v1, []uint32{1, 3, 11, 15, 0}, 0},
	} {
		r := newRig(t)
		r.Choose(tt.features)
		for _, s := range tt.status {
			r.SetReg(Status, s)
		}
		if got := r.Reg(Status); got != tt.want {
			t.Errorf("%s: status %#x, want %#x", tt.name, got, tt.want)
		}
	}
	r := newRig(t).live(0)
	r.SetReg(DriverFeatSel, 0)
	r.SetReg(DriverFeatures, 1) // virtio §2.2.1: the choice stands
	if r.Reg(Status)&NeedsReset == 0 {
		t.Error("features changed in a live device")
	}
}

// virtio §2.6.1: one queue is reset and set up again; the other goes on.
func TestQueueReset(t *testing.T) {
	for _, features := range Rings() {
		r := newRig(t).live(features | queue.FeatureRingReset)
		for range 10 {
			r.Queues[0].Do(r.Out([]byte("a")), r.In(1))
			r.Queues[1].Do(r.Out([]byte("b")), r.In(1))
			r.Queues[0].Add(r.Out([]byte("lost")), r.In(4))
			r.SetReg(QueueSel, 0)
			r.SetReg(QueueReset, 1)
			if r.Reg(QueueReset) != 0 || r.Reg(QueueReady) != 0 {
				t.Fatal("the queue is not reset")
			}
			ram := bytes.Clone(r.Mem.Regions()[0].Bytes())
			r.quiet()
			if !bytes.Equal(ram, r.Mem.Regions()[0].Bytes()) {
				t.Fatal("the device wrote after the reset of its queue")
			}
			r.AddQueue(0, 8)
			if r.Line.Level() {
				r.SetReg(IntAck, 3)
			}
		}
		r.Queues[0].Do(r.Out([]byte("c")), r.In(1))
		CheckClean(t, r.dev)
	}
}

func TestInterruptAck(t *testing.T) {
	r := newRig(t).live(0)
	r.Queues[0].Do(r.Out([]byte("x")), r.In(1))
	r.Queues[0].Add(r.Out([]byte("x")), r.In(1))
	r.Line.Wait(10e9)
	if r.Reg(IntStatus) != 1 {
		t.Errorf("interrupt status %d", r.Reg(IntStatus))
	}
	r.SetReg(IntAck, 2)
	if !r.Line.Level() {
		t.Error("acknowledging another interrupt lowered the line")
	}
	r.SetReg(IntAck, 1)
	if r.Line.Level() || r.Reg(IntStatus) != 0 {
		t.Error("the line is still high")
	}
}

func TestNode(t *testing.T) {
	n := newRig(t).dev.Node(device.Wiring{Base: 0x10003000, IRQ: 3, IRQParent: 9})
	if n.Name != "virtio_mmio@10003000" {
		t.Errorf("node %q", n.Name)
	}
	var names []string
	for _, p := range n.Props {
		names = append(names, p.Name)
	}
	for _, want := range []string{"compatible", "reg", "interrupts", "interrupt-parent", "dma-coherent"} {
		if !bytes.Contains([]byte(joined(names)), []byte(want)) {
			t.Errorf("node has %v, want %s", names, want)
		}
	}
}

func joined(s []string) (out string) {
	for _, x := range s {
		out += x + " "
	}
	return out
}

func TestContract(t *testing.T) {
	Run(t, Subject{
		New:    func(mem *memory.Space, line device.Line) *mmio.Device { return mmio.New("echo", mem, line, NewEcho()) },
		Queues: []uint16{EchoQueueSize, 8},
		Submit: func(d *Driver, r *rand.Rand) *Request {
			q := d.Queues[r.IntN(EchoQueues)]
			if !q.Room(4) {
				return nil
			}
			p := binary.LittleEndian.AppendUint64(nil, r.Uint64())
			req := q.Add(d.Out(p[:3]), d.Out(p[3:]), d.In(5), d.In(3))
			req.Tag = func(req *Request) {
				if !bytes.Equal(req.Data(), p) {
					d.T.Errorf("echo %x, want %x", req.Data(), p)
				}
			}
			return req
		},
	})
}

// FuzzRegisters writes registers in any order, on a device with rings in place.
func FuzzRegisters(f *testing.F) {
	op := func(off uint16, v uint32) []byte {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(nil, off), v)
	}
	f.Add(bytes.Join([][]byte{op(Status, 0), op(Status, 3), op(DriverFeatSel, 1), op(DriverFeatures, 1), op(Status, 11),
		op(QueueSize, 4), op(QueueDesc, uint32(RAMBase)), op(QueueDriver, uint32(RAMBase)+64), op(QueueDevice, uint32(RAMBase)+128),
		op(QueueReady, 1), op(Status, 15), op(QueueNotify, 0), op(QueueReset, 1)}, nil))
	r := newRig(f).live(0)
	f.Fuzz(func(t *testing.T, ops []byte) {
		for ; len(ops) >= 6; ops = ops[6:] {
			off, v := uint64(binary.LittleEndian.Uint16(ops)), binary.LittleEndian.Uint32(ops[2:])
			size := 1 << (off >> 14)
			off &= 0xfff &^ uint64(size-1)
			if off < 0x100 {
				off, size = off&^3, 4
			}
			r.dev.Write(off, size, uint64(v))
			r.dev.Read(off, size)
		}
		if n := r.dev.Stats().Panics; n != 0 {
			t.Fatalf("%d panics", n)
		}
	})
}

// FuzzRestore: a saved state from anywhere (C12).
func FuzzRestore(f *testing.F) {
	for _, features := range Rings() {
		r := newRig(f).live(features)
		r.Queues[0].Do(r.Out([]byte("x")), r.In(1))
		r.dev.Pause()
		f.Add(Save(r.dev))
		r.dev.Resume()
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r.dev.Pause()
		err := Restore(r.dev, b)
		if err == nil && !bytes.Equal(Save(r.dev), b) {
			t.Error("a restored device saves something else")
		}
		r.dev.Resume()
		r.dev.Write(QueueNotify, 4, 0)
		r.quiet()
		if n := r.dev.Stats().Panics; n != 0 {
			t.Fatalf("%d panics", n)
		}
	})
}
