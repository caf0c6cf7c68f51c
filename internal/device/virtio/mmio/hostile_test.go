package mmio_test

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/queue"
	. "doppel/internal/device/virtio/virtiotest"
	"doppel/internal/memory"
)

// C2 (CVE-2016-5403, Firecracker #3149), C5 (CVE-2021-4206, CVE-2023-41051),
// C8 (CVE-2021-3750 and others): chains that break the rules. Each makes the
// device need a reset, for the right reason, and work again after it.
func TestBadChains(t *testing.T) {
	const table = RAMBase + RAMSize/2
	ok := RAMBase + RAMSize/4
	long := func(n int) (out [][]byte) { // a chain of n, in a circle of the queue
		for i := range n {
			out = append(out, Desc(ok, 16, next, uint16(i+1)%EchoQueueSize))
		}
		return out
	}
	one := func(d []byte) [][]byte { return [][]byte{d} }
	for _, tt := range []struct {
		name  string
		desc  [][]byte
		table [][]byte // at table
		head  uint16
		idx   uint16
		want  queue.Fault
	}{
		{name: "self loop", desc: one(Desc(ok, 16, next, 0)), idx: 1, want: queue.FaultChainLength},
		{name: "loop of two", desc: [][]byte{Desc(ok, 16, next, 1), Desc(ok, 16, next, 0)}, idx: 1, want: queue.FaultChainLength},
		{name: "loop of all", desc: long(EchoQueueSize), idx: 1, want: queue.FaultChainLength},
		{name: "next = size", desc: one(Desc(ok, 16, next, EchoQueueSize)), idx: 1, want: queue.FaultNext},
		{name: "next = 65535", desc: one(Desc(ok, 16, next, 65535)), idx: 1, want: queue.FaultNext},
		{name: "head = size", head: EchoQueueSize, idx: 1, want: queue.FaultHead},
		{name: "head = 65535", head: 65535, idx: 1, want: queue.FaultHead},
		{name: "index one too far", idx: EchoQueueSize + 1, want: queue.FaultAvailIndex},
		{name: "index back", idx: 65535, want: queue.FaultAvailIndex},
		{name: "no length", desc: one(Desc(ok, 0, 0, 0)), idx: 1, want: queue.FaultZeroLength},
		{name: "readable after writable", desc: [][]byte{Desc(ok, 16, next|write, 1), Desc(ok, 16, 0, 0)}, idx: 1, want: queue.FaultOrder},
		{name: "too many bytes", desc: one(Desc(RAMBase, 0xffffffff, 0, 0)), idx: 1, want: queue.FaultTooLong},

		{name: "address 0", desc: one(Desc(0, 16, 0, 0)), idx: 1, want: queue.FaultMemory},
		{name: "a byte before RAM", desc: one(Desc(RAMBase-1, 16, 0, 0)), idx: 1, want: queue.FaultMemory},
		{name: "over the end of RAM", desc: one(Desc(end-15, 16, 0, 0)), idx: 1, want: queue.FaultMemory},
		{name: "at the end of RAM", desc: one(Desc(end, 1, 0, 0)), idx: 1, want: queue.FaultMemory},
		{name: "at 2^32", desc: one(Desc(1<<32, 16, 0, 0)), idx: 1, want: queue.FaultMemory},
		{name: "wraps at 2^64", desc: one(Desc(1<<64-1, 16, 0, 0)), idx: 1, want: queue.FaultMemory},
		{name: "wraps into RAM", desc: one(Desc(1<<64-8, 64<<20, 0, 0)), idx: 1, want: queue.FaultMemory},
		{name: "in a hole", desc: one(Desc(hole, 16, write, 0)), idx: 1, want: queue.FaultMemory},
		{name: "in the test finisher", desc: one(Desc(0x100000, 4, write, 0)), idx: 1, want: queue.FaultMemory},
		{name: "in the CLINT", desc: one(Desc(0x2000000, 4, write, 0)), idx: 1, want: queue.FaultMemory},
		{name: "in the PLIC", desc: one(Desc(0xc000000, 4, write, 0)), idx: 1, want: queue.FaultMemory},
		{name: "in the UART", desc: one(Desc(0x10000000, 1, write, 0)), idx: 1, want: queue.FaultMemory},
		{name: "in a device's own window", desc: one(Desc(0x10001050, 4, write, 0)), idx: 1, want: queue.FaultMemory},

		{name: "indirect, no length", desc: one(Desc(table, 0, indirect, 0)), idx: 1, want: queue.FaultIndirectLength},
		{name: "indirect, half a descriptor", desc: one(Desc(table, 24, indirect, 0)), idx: 1, want: queue.FaultIndirectLength},
		{name: "indirect, more than the queue", desc: one(Desc(table, 16*(EchoQueueSize+1), indirect, 0)), idx: 1, want: queue.FaultChainLength},
		{name: "indirect, 4 GiB", desc: one(Desc(table, 0xfffffff0, indirect, 0)), idx: 1, want: queue.FaultChainLength},
		{name: "indirect and next", desc: one(Desc(table, 16, indirect|next, 1)), idx: 1, want: queue.FaultIndirect},
		{name: "indirect in a hole", desc: one(Desc(hole, 16, indirect, 0)), idx: 1, want: queue.FaultMemory},
		{name: "indirect over the end of RAM", desc: one(Desc(end-16, 32, indirect, 0)), idx: 1, want: queue.FaultMemory},
		{name: "indirect in indirect", desc: one(Desc(table, 16, indirect, 0)), table: one(Desc(table, 16, indirect, 0)), idx: 1, want: queue.FaultIndirect},
		{name: "loop in a table", desc: one(Desc(table, 32, indirect, 0)), table: [][]byte{Desc(ok, 1, next, 1), Desc(ok, 1, next, 0)}, idx: 1, want: queue.FaultChainLength},
		{name: "next beyond a table", desc: one(Desc(table, 32, indirect, 0)), table: one(Desc(ok, 1, next, 2)), idx: 1, want: queue.FaultNext},
		{name: "long chain, then a table", desc: append(long(EchoQueueSize-1), Desc(table, 32, indirect, 0)),
			table: [][]byte{Desc(ok, 1, next, 1), Desc(ok, 1, 0, 0)}, idx: 1, want: queue.FaultChainLength},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t).live(queue.FeatureIndirectDesc)
			if len(tt.table) > 0 {
				r.Put(table, bytes.Join(tt.table, nil))
			}
			r.descriptors(tt.desc...)
			r.offer(tt.head, tt.idx)
			if !r.WaitNeedsReset() {
				t.Fatal("the device goes on")
			}
			want := mmio.Stats{}
			want.Faults[tt.want] = 1
			if got := r.dev.Stats(); got != want {
				t.Errorf("faults %v, want one of %v", got.Faults, tt.want)
			}
			// virtio §2.1.2: the driver hears of it.
			if r.Reg(IntStatus)&2 == 0 {
				t.Error("no configuration change interrupt")
			}
			r.works(0)
			r.works(queue.FeatureRingPacked)
		})
	}
}

// The same for packed rings, where they differ.
func TestBadPackedChains(t *testing.T) {
	ok := RAMBase + RAMSize/4
	const table = RAMBase + RAMSize/2
	all := func(flags uint16) (out [][]byte) {
		for range EchoQueueSize {
			out = append(out, PackedDesc(ok, 16, 0, flags))
		}
		return out
	}
	for _, tt := range []struct {
		name  string
		desc  [][]byte
		table []byte
		want  queue.Fault
	}{
		{"endless chain", all(avail | next), nil, queue.FaultChainLength},
		{"in a hole", [][]byte{PackedDesc(hole, 16, 0, avail)}, nil, queue.FaultMemory},
		{"no length", [][]byte{PackedDesc(ok, 0, 0, avail)}, nil, queue.FaultZeroLength},
		{"indirect and next", [][]byte{PackedDesc(table, 16, 0, avail|indirect|next)}, nil, queue.FaultIndirect},
		{"indirect after direct", [][]byte{PackedDesc(ok, 16, 0, avail|next), PackedDesc(table, 16, 0, avail|indirect)}, nil, queue.FaultIndirect},
		{"indirect in indirect", [][]byte{PackedDesc(table, 16, 0, avail|indirect)}, PackedDesc(table, 16, 0, indirect), queue.FaultIndirect},
		{"indirect, half a descriptor", [][]byte{PackedDesc(table, 8, 0, avail|indirect)}, nil, queue.FaultIndirectLength},
		{"indirect, more than the queue", [][]byte{PackedDesc(table, 16*(EchoQueueSize+1), 0, avail|indirect)}, nil, queue.FaultChainLength},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t).live(queue.FeatureIndirectDesc | queue.FeatureRingPacked)
			if tt.table != nil {
				r.Put(table, tt.table)
			}
			r.descriptors(tt.desc...)
			r.SetReg(QueueNotify, 0)
			if !r.WaitNeedsReset() || r.dev.Stats().Faults[tt.want] != 1 {
				t.Errorf("status %#x, faults %v, want %v", r.Reg(Status), r.dev.Stats().Faults, tt.want)
			}
			r.works(queue.FeatureRingPacked)
		})
	}
	t.Run("indirect not negotiated", func(t *testing.T) {
		r := newRig(t).live(0)
		r.descriptors(Desc(table, 16, indirect, 0))
		r.offer(0, 1)
		if !r.WaitNeedsReset() || r.dev.Stats().Faults[queue.FaultIndirect] != 1 {
			t.Errorf("faults %v", r.dev.Stats().Faults)
		}
	})
}

// C5: queue areas at every edge are refused when the device goes live.
func TestBadAreas(t *testing.T) {
	good := queue.Config{Size: EchoQueueSize, Desc: RAMBase, Driver: RAMBase + 0x1000, Device: RAMBase + 0x2000}
	for _, gpa := range []memory.GPA{0, RAMBase - 16, end - 16, end, 1 << 32, 1<<64 - 16, 1 << 63, hole, RAMBase + 1, 0x10001000} {
		for field := range 3 {
			for _, features := range []uint64{0, queue.FeatureRingPacked} {
				c := good
				*[]*memory.GPA{&c.Desc, &c.Driver, &c.Device}[field] = gpa
				if gpa == end-16 && (field != 0 && features != 0) {
					continue // event suppression structures of 4 bytes fit there
				}
				r := newRig(t)
				r.Negotiate(features)
				r.Configure(0, c)
				r.SetReg(QueueReady, 1)
				r.SetReg(Status, Acknowledge|DriverBit|FeaturesOK|DriverOK)
				if r.Reg(Status)&NeedsReset == 0 {
					t.Errorf("area %d at %#x, features %#x: accepted", field, uint64(gpa), features)
				}
				r.SetReg(QueueNotify, 0)
				r.works(features)
			}
		}
	}
}

// C3 (Firecracker CVE-2026-5747): queue registers in every state. They count
// only before the queue is ready; in a live device a write is an error.
func TestQueueRegistersByStatus(t *testing.T) {
	regs := []uint64{QueueSize, QueueDesc, QueueDesc + 4, QueueDriver, QueueDriver + 4, QueueDevice, QueueDevice + 4}
	values := []uint32{0, 1, 3, EchoQueueSize, EchoQueueSize + 1, 1 << 15, 1<<16 - 1, 1 << 16, 1<<32 - 1}
	statuses := []uint32{0, 1, 3, 11, 15}
	for _, status := range statuses {
		for _, reg := range regs {
			for _, v := range values {
				r := newRig(t)
				if status == 15 {
					r.live(0)
				} else if status != 0 {
					r.SetReg(Status, 1)
					r.SetReg(Status, 3)
					r.Choose(queue.FeatureVersion1)
					r.SetReg(Status, status)
				}
				for _, sel := range []uint32{0, 1, EchoQueues, 1<<32 - 1} {
					r.SetReg(QueueSel, sel)
					r.SetReg(reg, v)
				}
				needs := r.Reg(Status)&NeedsReset != 0
				if needs != (status == 15) {
					t.Errorf("status %d, register %#x = %#x: needs reset %v", status, reg, v, needs)
				}
				r.SetReg(QueueNotify, 0)
				r.works(0)
			}
		}
	}
}

// C4 (CVE-2011-2512): every notification, in a device that is live and in one
// that is not.
func TestNotifyAll(t *testing.T) {
	for _, isLive := range []bool{false, true} {
		r := newRig(t)
		if isLive {
			r.live(0)
		}
		for v := range uint32(1 << 16) {
			r.SetReg(QueueNotify, v)
		}
		for _, v := range []uint32{1 << 16, 1 << 31, 1<<31 - 1, 1<<32 - 1} {
			r.SetReg(QueueNotify, v)
		}
		want := uint64(1<<16 + 4)
		if isLive {
			want -= EchoQueues
		}
		r.quiet()
		if s := r.dev.Stats(); s.Misuse != want || r.echo.Served() != 0 || s.Panics != 0 {
			t.Errorf("live %v: %d misuses, want %d; %d requests", isLive, s.Misuse, want, r.echo.Served())
		}
		r.works(0)
	}
}

// C6 (Intel MigTD PR 935): a second vCPU changes descriptors and indices while
// the device reads them. Whatever it sees was checked: it stays in RAM, and
// works after a reset.
func TestDescriptorsFlip(t *testing.T) {
	for _, features := range Rings() {
		t.Run(RingName(features), func(t *testing.T) {
			r := newRig(t)
			stop := make(chan struct{})
			var wg sync.WaitGroup
			r.live(features)
			l := r.Queues[0].Layout
			area := r.Mem.Regions()[0]
			guard := bytes.Clone(area.Bytes()[RAMSize-4096:])
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(1, features))
				for {
					select {
					case <-stop:
						return
					default:
					}
					for i := range EchoQueueSize {
						at := l.Desc + memory.GPA(i)*16
						r.Mem.StoreU32(at, uint32(RAMBase)+rnd.Uint32N(RAMSize/2))
						r.Mem.StoreU32(at+4, rnd.Uint32N(20)/19)
						r.Mem.StoreU32(at+8, rnd.Uint32N(64))
						r.Mem.StoreU32(at+12, rnd.Uint32()&0xff8f00ff|rnd.Uint32N(8))
						r.Mem.StoreU16(l.Driver+4+2*memory.GPA(i), uint16(rnd.Uint32N(EchoQueueSize+1)))
					}
					r.Mem.StoreU16(l.Driver+2, uint16(rnd.Uint32N(64)))
				}
			})
			for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); {
				r.SetReg(QueueNotify, 0)
				if r.Reg(Status)&NeedsReset == 0 {
					continue
				}
				// Again, with the same rings.
				r.SetReg(Status, 0)
				r.SetReg(Status, 3)
				r.Choose(features | queue.FeatureVersion1)
				r.SetReg(Status, 11)
				r.Configure(0, l)
				r.SetReg(QueueReady, 1)
				r.SetReg(Status, 15)
			}
			close(stop)
			wg.Wait()
			r.SetReg(Status, 0)
			if r.dev.Stats().Panics != 0 {
				t.Errorf("%d panics", r.dev.Stats().Panics)
			}
			if !bytes.Equal(guard, area.Bytes()[RAMSize-4096:]) {
				t.Error("the device wrote where no descriptor pointed")
			}
			r.works(features)
		})
	}
}

// C7 (rust-vmm/vm-memory PR 95): ring indices under load; every request comes
// back once, with its own data.
func TestManyRequests(t *testing.T) {
	for _, features := range Rings() {
		r := newRig(t).live(features)
		const total = 5000
		sent, got := 0, 0
		for got < total {
			for _, q := range []int{0, 1} {
				if sent < total && r.Queues[q].Room(2) {
					p := []byte{byte(sent), byte(sent >> 8), byte(q)}
					r.Queues[q].Add(r.Out(p), r.In(3)).Tag = p
					sent++
				}
				req := r.Queues[q].Collect()
				if req == nil && r.Queues[q].Pending > EchoQueueSize/2 {
					req = r.Queues[q].Next()
				}
				if sent == total && req == nil && r.Queues[q].Pending > 0 {
					req = r.Queues[q].Next()
				}
				if req != nil {
					if !bytes.Equal(req.Data(), req.Tag.([]byte)) {
						t.Fatalf("%s: echo %x, want %x", RingName(features), req.Data(), req.Tag)
					}
					got++
				}
			}
		}
		CheckClean(t, r.dev)
	}
}
