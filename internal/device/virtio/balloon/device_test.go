package balloon_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"doppel/internal/device"
	"doppel/internal/device/virtio/balloon"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/virtiotest"
	"doppel/internal/memory"
)

const (
	features                                   = 1<<1 | 1<<2 | 1<<3 | 1<<5
	poison                                     = 1 << 4
	inflate, deflate, statsQ, hints, reporting = 0, 1, 2, 3, 4
)

type rig struct {
	*virtiotest.Driver
	dev *mmio.Device
	b   *balloon.Device
}

// pages are where tests put what is given away: far behind the rings.
const pages = virtiotest.RAMBase + virtiotest.RAMSize/4

// start agrees on features; before runs ahead of DRIVER_OK.
func start(t testing.TB, features uint64, before func(*rig)) *rig {
	mem, line := virtiotest.NewSpace(t), virtiotest.NewLine()
	b := balloon.New()
	dev := mmio.New("balloon0", mem, line, b)
	t.Cleanup(func() { dev.Close() })
	r := &rig{virtiotest.NewDriver(t, mem, line, dev), dev, b}
	r.Negotiate(features)
	for i := range 5 {
		r.AddQueue(i, 16)
	}
	if before != nil {
		before(r)
	}
	r.Start()
	return r
}

// fill writes to n pages, and returns their numbers.
func (r *rig) fill(n int) (numbers []uint32) {
	for i := range n {
		gpa := pages + memory.GPA(i)*4096
		r.Put(gpa, bytes.Repeat([]byte{0xee}, 4096))
		numbers = append(numbers, uint32(gpa>>12))
	}
	return numbers
}

func (r *rig) isZero(number uint32) bool {
	return bytes.Equal(r.Get(memory.GPA(number)<<12, 4096), make([]byte, 4096))
}

func encode(numbers []uint32) (b []byte) {
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// Pages that are given read as zero and are marked; others stay. What is
// taken back can be used at once.
func TestInflate(t *testing.T) {
	r := start(t, features, nil)
	n := r.fill(9)
	ram := r.Mem.Regions()[0]
	ram.StartDirtyLog()
	// Down, up, twice, apart.
	given := []uint32{n[7], n[6], n[5], n[1], n[2], n[1]}
	r.Queues[inflate].Do(r.Out(encode(given[:4])), r.Out(append(encode(given[4:]), 1, 2, 3)))
	dirty := ram.CollectDirty()
	for i, p := range n {
		want := bytes.Contains(encode(given), encode(n[i:i+1]))
		if r.isZero(p) != want {
			t.Errorf("page %d: zero is %v", i, !want)
		}
		off := uint64(p)<<12 - uint64(ram.Base)
		if marked := dirty[off>>12/64]>>(off>>12%64)&1 == 1; marked != want {
			t.Errorf("page %d: dirty is %v", i, marked)
		}
	}
	if s := r.b.State(); s.Returned != 5*4096 || !s.Live {
		t.Errorf("%+v", s)
	}
	r.fill(9)
	r.Queues[deflate].Do(r.Out(encode(given)))
	for i, p := range n {
		if r.isZero(p) {
			t.Errorf("page %d is gone after deflation", i)
		}
	}
	virtiotest.CheckClean(t, r.dev)
}

// Pages that the machine does not have are passed over.
func TestInflateAnything(t *testing.T) {
	r := start(t, features, nil)
	r.fill(1)
	end := uint32((virtiotest.RAMBase + virtiotest.RAMSize) >> 12)
	r.Queues[inflate].Do(r.Out(encode([]uint32{0, 1, ^uint32(0), ^uint32(0) - 1, uint32(virtiotest.RAMBase>>12) - 1, end, end + 1, 0x10001})))
	if s := r.b.State(); s.Returned != 0 {
		t.Errorf("%+v", s)
	}
	r.Queues[inflate].Do(r.Out([]byte{1, 2}))
	r.Queues[inflate].Do(r.In(100))
	r.Queues[deflate].Do(r.In(100), r.In(5))
	virtiotest.CheckClean(t, r.dev)
	b := r.Out(make([]byte, 64<<10))
	r.Queues[inflate].Add(b, b)
	if !r.WaitNeedsReset() {
		t.Error("32768 pages in one buffer were accepted")
	}
}

// The target is the driver's to read, a change of it interrupts, and what the
// driver says that it has given is known.
func TestTarget(t *testing.T) {
	r := start(t, features, nil)
	generation := r.Reg(virtiotest.ConfigGen)
	r.b.SetTarget(10<<20 + 1)
	if !r.Line.Wait(10*time.Second) || r.Reg(virtiotest.IntStatus) != 2 {
		t.Fatal("no interrupt for a change of the configuration")
	}
	r.SetReg(virtiotest.IntAck, 2)
	if r.Config32(0) != 10<<8 || r.Reg(virtiotest.ConfigGen) == generation || r.Config32(8) != 0 {
		t.Errorf("num_pages %d, hinting %d", r.Config32(0), r.Config32(8))
	}
	r.b.SetTarget(10 << 20) // no change
	if r.Line.Level() {
		t.Error("an interrupt for nothing")
	}
	r.SetReg(virtiotest.ConfigSpace+4, 77)
	if s := r.b.State(); s.Actual != 77*4096 || s.Target != 10<<20 || r.Config32(4) != 77 {
		t.Errorf("%+v", s)
	}
	for _, off := range []uint64{0, 8, 12, 16, 6} { // read-only, too late, outside
		r.Dev.Write(virtiotest.ConfigSpace+off, 4, 99)
	}
	r.Dev.Write(virtiotest.ConfigSpace+4, 1, 1)
	if r.Config32(0) != 10<<8 || r.Config32(4) != 77 || r.Config32(12) != 0 {
		t.Error("the driver changed what is not its own")
	}
	r.SetReg(virtiotest.Status, 0)
	if s := r.b.State(); s.Actual != 0 || s.Target != 10<<20 || s.Live {
		t.Errorf("after a reset: %+v", s)
	}
	r.b.SetTarget(1 << 63) // more than there is to name
	if r.Config32(0) != ^uint32(0) {
		t.Errorf("num_pages %#x", r.Config32(0))
	}
}

func stat(tag uint16, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint16(nil, tag), v)
}

// Statistics are read when they come; the buffer comes back when more are
// wanted, and not before.
func TestStatistics(t *testing.T) {
	r := start(t, features, nil)
	q := r.Queues[statsQ]
	told := func(v uint64) bool {
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
			s := r.b.State().Stats
			if got, ok := s.Get(balloon.Free); ok && got == v {
				return true
			}
		}
		return false
	}
	first := q.Add(r.Out(bytes.Join([][]byte{stat(4, 1000), stat(99, 5), stat(balloonAvailable, 7), {4, 0, 1}}, nil)))
	if !told(1000) {
		t.Fatalf("%+v", r.b.State())
	}
	s := r.b.State().Stats
	if v, ok := s.Get(balloon.Available); !ok || v != 7 || s.Has != 1<<4|1<<balloonAvailable {
		t.Errorf("%+v", s)
	}
	for range 3 {
		r.SetReg(virtiotest.QueueNotify, statsQ)
	}
	if q.Collect() != nil {
		t.Fatal("the buffer came back before anybody asked")
	}
	r.b.Poll()
	if q.Next() != first {
		t.Fatal("another buffer came back")
	}
	q.Add(r.Out(stat(4, 2000)))
	if !told(2000) {
		t.Errorf("%+v", r.b.State())
	}
	s = r.b.State().Stats
	if _, ok := s.Get(balloon.Available); ok || s.Has != 1<<4 {
		t.Errorf("%+v", s)
	}
	virtiotest.CheckClean(t, r.dev)
}

const balloonAvailable = uint16(balloon.Available)

// Reported pages go, unless the driver needs what is in them.
func TestReporting(t *testing.T) {
	report := func(r *rig) uint32 {
		n := r.fill(8)
		r.Queues[reporting].Do(virtiotest.Buffer{GPA: pages, Len: 2 * 4096, Write: true},
			virtiotest.Buffer{GPA: pages + 4*4096 + 100, Len: 2 * 4096, Write: true}) // one whole page
		var zero uint32
		for i, p := range n {
			if r.isZero(p) {
				zero |= 1 << i
			}
		}
		return zero
	}
	withPoison := func(v uint32) func(r *rig) {
		return func(r *rig) { r.SetReg(virtiotest.ConfigSpace+12, v) }
	}
	for _, tt := range []struct {
		name     string
		features uint64
		before   func(*rig)
		want     uint32
	}{
		{"plain", features, nil, 0b100011},
		{"zeros", features | poison, withPoison(0), 0b100011},
		{"poison", features | poison, withPoison(0xaaaaaaaa), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.features, tt.before)
			if got := report(r); got != tt.want {
				t.Errorf("zero pages %08b, want %08b", got, tt.want)
			}
			if s := r.b.State(); (s.Reported == 3*4096) != (tt.want != 0) {
				t.Errorf("%+v", s)
			}
			virtiotest.CheckClean(t, r.dev)
		})
	}
}

// Hints that nobody asked for change nothing; without hinting, queue 3 is a
// queue for reports as well.
func TestHints(t *testing.T) {
	for _, features := range []uint64{features, features &^ (1 << 3)} {
		r := start(t, features, nil)
		n := r.fill(1)
		r.Queues[hints].Do(virtiotest.Buffer{GPA: pages, Len: 4096, Write: true})
		if gone := r.isZero(n[0]); gone != (features&(1<<3) == 0) {
			t.Errorf("features %#x: page gone is %v", features, gone)
		}
	}
}

func TestContract(t *testing.T) {
	var b *balloon.Device
	virtiotest.Run(t, virtiotest.Subject{
		New: func(mem *memory.Space, line device.Line) *mmio.Device {
			b = balloon.New()
			return mmio.New("balloon0", mem, line, b)
		},
		Features: features,
		Queues:   []uint16{16, 16, 16, 16, 16},
		Submit: func(d *virtiotest.Driver, r *rand.Rand) *virtiotest.Request {
			q := d.Queues[r.IntN(5)]
			if !q.Room(2) {
				return nil
			}
			b.SetTarget(uint64(r.IntN(1 << 20)))
			far := uint32((virtiotest.RAMBase+virtiotest.RAMSize)>>12) + uint32(r.IntN(1000))
			switch q.Index {
			case statsQ:
				if q.Pending > 0 {
					b.Poll()
					return nil
				}
				return q.Add(d.Out(stat(uint16(r.IntN(12)), r.Uint64())), d.Out(stat(4, 5)))
			case inflate, deflate:
				return q.Add(d.Out(encode([]uint32{far, far + 1, far + 5})), d.Out(encode([]uint32{far})))
			}
			return q.Add(d.In(100), d.In(5000))
		},
		Settle: func(d *virtiotest.Driver) {
			if d.Queues[statsQ].Pending > 0 {
				b.Poll()
			}
		},
	})
}

// FuzzBuffers: whatever is in a buffer of any queue, it comes back, unless it
// is too long or the one of the statistics queue, and only RAM changes.
func FuzzBuffers(f *testing.F) {
	f.Add(uint8(inflate), encode([]uint32{0x80400, 0x80401, 0x80400}), uint16(8))
	f.Add(uint8(inflate), encode([]uint32{0, ^uint32(0), 0x80fff, 0x81000}), uint16(0))
	f.Add(uint8(statsQ), stat(4, 1), uint16(0))
	f.Add(uint8(reporting), []byte{1}, uint16(5000))
	f.Fuzz(func(t *testing.T, index uint8, b []byte, in uint16) {
		if len(b) == 0 || len(b) > 32<<10 {
			return
		}
		var rom *memory.Region
		r := start(t, features|poison, func(r *rig) {
			var err error
			if rom, err = r.Mem.Add(memory.ROM, "rom", 0x20000000, 4096); err != nil {
				t.Fatal(err)
			}
			copy(rom.Bytes(), "as it was")
		})
		q := r.Queues[int(index%5)]
		bufs := []virtiotest.Buffer{r.Out(b)}
		if in > 0 {
			bufs = append(bufs, r.In(int(in)))
		}
		// The rings may be among the pages that are given away: a driver that
		// does so hears nothing more.
		wild := q.Index == inflate && inRings(b)
		q.Add(bufs...)
		if q.Index == statsQ {
			r.b.Poll()
		}
		for !wild && q.Collect() == nil {
			runtime.Gosched()
		}
		if !wild {
			virtiotest.CheckClean(t, r.dev)
		}
		if !bytes.HasPrefix(rom.Bytes(), []byte("as it was")) {
			t.Error("a page of ROM was given back")
		}
	})
}

// inRings tells whether page numbers name memory that the test itself uses.
func inRings(b []byte) bool {
	for ; len(b) >= 4; b = b[4:] {
		if n := binary.LittleEndian.Uint32(b); n >= uint32(virtiotest.RAMBase>>12) && n < uint32(pages>>12) {
			return true
		}
	}
	return false
}
