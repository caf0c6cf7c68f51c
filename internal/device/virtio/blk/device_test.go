package blk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"doppel/internal/backend"
	"doppel/internal/device"
	"doppel/internal/device/virtio/blk"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/queue"
	"doppel/internal/device/virtio/virtiotest"
	"doppel/internal/memory"
)

// memDisk is a disk in memory.
type memDisk struct {
	mu       sync.Mutex
	data     []byte
	readOnly bool
	fail     error
	flushes  int
}

func (m *memDisk) move(bufs [][]byte, off int64, write bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, b := range bufs {
		if write {
			copy(m.data[off:off+int64(len(b))], b)
		} else {
			copy(b, m.data[off:off+int64(len(b))])
		}
		off += int64(len(b))
	}
	return nil
}

func (m *memDisk) ReadV(bufs [][]byte, off int64) error  { return m.move(bufs, off, false) }
func (m *memDisk) WriteV(bufs [][]byte, off int64) error { return m.move(bufs, off, true) }
func (m *memDisk) Discard(off, n int64) error            { return m.WriteZeroes(off, n, true) }
func (m *memDisk) Size() int64                           { return int64(len(m.data)) }
func (m *memDisk) ReadOnly() bool                        { return m.readOnly }
func (m *memDisk) Close() error                          { return nil }

func (m *memDisk) WriteZeroes(off, n int64, _ bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.data[off : off+n])
	return m.fail
}

func (m *memDisk) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flushes++
	return m.fail
}

const (
	opIn, opOut, opFlush, opGetID, opDiscard, opZeroes = 0, 1, 4, 8, 11, 13

	featureFlush, featureWCE = 1 << 9, 1 << 11
	features                 = 1<<2 | 1<<6 | featureFlush | 1<<10 | featureWCE | 1<<13 | 1<<14
)

func header(op uint32, sector uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, op)
	b = binary.LittleEndian.AppendUint32(b, 0)
	return binary.LittleEndian.AppendUint64(b, sector)
}

func extent(sector uint64, sectors, flags uint32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, sector)
	b = binary.LittleEndian.AppendUint32(b, sectors)
	return binary.LittleEndian.AppendUint32(b, flags)
}

// model makes random requests and knows what the disk holds.
type model struct {
	t     *testing.T
	disk  *memDisk
	want  []byte
	busy  map[uint64]bool // sectors with a request under way
	dirty map[uint64]bool // sectors whose content a reset left open
}

func (m *model) pick(r *rand.Rand) (sector, n uint64, ok bool) {
	n = 1 + r.Uint64N(12)
	sector = r.Uint64N(uint64(len(m.want))/512 - n + 1)
	for i := range n {
		if m.busy[sector+i] {
			return 0, 0, false
		}
	}
	for i := range n {
		m.busy[sector+i] = true
	}
	return sector, n, true
}

func (m *model) release(sector, n uint64) {
	for i := range n {
		delete(m.busy, sector+i)
	}
}

// cut divides p at random.
func cut(r *rand.Rand, p []byte) (out [][]byte) {
	for len(p) > 0 {
		n := 1 + r.IntN(len(p))
		if len(out) == 4 {
			n = len(p)
		}
		out = append(out, p[:n])
		p = p[n:]
	}
	return out
}

func (m *model) submit(d *virtiotest.Driver, r *rand.Rand) *virtiotest.Request {
	q := d.Queues[0]
	if !q.Room(8) {
		return nil
	}
	sector, n, ok := m.pick(r)
	if !ok {
		return nil
	}
	op := []uint32{opIn, opIn, opOut, opOut, opFlush, opGetID, opDiscard, opZeroes}[r.IntN(8)]
	bufs := []virtiotest.Buffer{d.Out(header(op, sector))}
	span := m.want[sector*512 : (sector+n)*512]
	var expect []byte
	switch op {
	case opIn:
		for _, p := range cut(r, span) {
			bufs = append(bufs, d.In(len(p)))
		}
		expect = bytes.Clone(span)
	case opOut:
		data := make([]byte, len(span))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		for _, p := range cut(r, data) {
			bufs = append(bufs, d.Out(p))
		}
		copy(span, data)
	case opGetID:
		bufs = append(bufs, d.In(20))
		expect = append([]byte("serial"), make([]byte, 14)...)
	case opDiscard, opZeroes:
		bufs = append(bufs, d.Out(extent(sector, uint32(n), 0)))
		clear(span)
	}
	if op == opOut || op == opDiscard || op == opZeroes {
		for i := range n {
			m.dirty[sector+i] = true
		}
	}
	req := q.Add(append(bufs, d.In(1))...)
	req.Tag = func(req *virtiotest.Request) {
		m.release(sector, n)
		if op == opOut || op == opDiscard || op == opZeroes {
			for i := range n {
				delete(m.dirty, sector+i)
			}
		}
		got := req.Data()
		if got[len(got)-1] != 0 {
			m.t.Fatalf("operation %d: status %d", op, got[len(got)-1])
		}
		if !bytes.Equal(got[:len(got)-1], expect) {
			m.t.Fatalf("operation %d at sector %d: wrong data", op, sector)
		}
		if int(req.Written) != len(got) {
			m.t.Fatalf("operation %d: written %d, want %d", op, req.Written, len(got))
		}
	}
	return req
}

func TestContract(t *testing.T) {
	disk := &memDisk{data: make([]byte, 512*512)}
	m := &model{t: t, disk: disk, want: make([]byte, len(disk.data)), busy: map[uint64]bool{}, dirty: map[uint64]bool{}}
	virtiotest.Run(t, virtiotest.Subject{
		New: func(mem *memory.Space, line device.Line) *mmio.Device {
			return mmio.New("blk0", mem, line, blk.New(blk.Config{Disk: disk, ID: "serial"}))
		},
		Features: features,
		Queues:   []uint16{32},
		Submit: func(d *virtiotest.Driver, r *rand.Rand) *virtiotest.Request {
			m.t, _ = d.T.(*testing.T)
			return m.submit(d, r)
		},
		Drop: func() {
			// What was under way may have happened or not: take what is there.
			for sector := range m.dirty {
				copy(m.want[sector*512:(sector+1)*512], disk.data[sector*512:])
			}
			clear(m.busy)
			clear(m.dirty)
		},
	})
	if !bytes.Equal(disk.data, m.want) {
		t.Error("the disk is not what was written")
	}
}

type rig struct {
	*virtiotest.Driver
	q      *virtiotest.Queue
	disk   *memDisk
	dev    *mmio.Device
	errors []string
}

func start(t testing.TB, disk *memDisk, features uint64) *rig {
	r := &rig{disk: disk}
	mem, line := virtiotest.NewSpace(t), virtiotest.NewLine()
	var mu sync.Mutex
	r.dev = mmio.New("blk0", mem, line, blk.New(blk.Config{Disk: disk, ID: "serial-number-that-is-too-long",
		OnError: func(op blk.Op, err error) {
			mu.Lock()
			defer mu.Unlock()
			r.errors = append(r.errors, op.String()+": "+err.Error())
		}}))
	t.Cleanup(func() { r.dev.Close() })
	r.Driver = virtiotest.NewDriver(t, mem, line, r.dev)
	r.Negotiate(features)
	r.q = r.AddQueue(0, 64)
	r.Start()
	return r
}

func (r *rig) status(bufs ...virtiotest.Buffer) byte {
	r.T.Helper()
	data := r.q.Do(append(bufs, r.In(1))...).Data()
	return data[len(data)-1]
}

// C9: every field of every request at and beyond its limits.
func TestLimits(t *testing.T) {
	const sectors = 64
	r := start(t, &memDisk{data: make([]byte, sectors*512)}, features)
	const ok, ioerr, unsupp = 0, 1, 2
	for _, tt := range []struct {
		name string
		op   uint32
		sec  uint64
		out  []byte
		in   int
		want byte
	}{
		{"read all", opIn, 0, nil, sectors * 512, ok},
		{"read nothing", opIn, 0, nil, 0, ok},
		{"read nothing at the end", opIn, sectors, nil, 0, ok},
		{"read one beyond", opIn, sectors, nil, 512, ioerr},
		{"read over the end", opIn, sectors - 1, nil, 1024, ioerr},
		{"read part of a sector", opIn, 0, nil, 511, ioerr},
		{"read at 2^55: wraps in bytes", opIn, 1 << 55, nil, 512, ioerr},
		{"read at 2^64-1", opIn, 1<<64 - 1, nil, 1024, ioerr},
		{"write last", opOut, sectors - 1, make([]byte, 512), 0, ok},
		{"write over the end", opOut, sectors - 1, make([]byte, 1024), 0, ioerr},
		{"write part of a sector", opOut, 0, make([]byte, 100), 0, ioerr},
		{"write at 2^64-1", opOut, 1<<64 - 1, make([]byte, 512), 0, ioerr},
		{"flush", opFlush, 0, nil, 0, ok},
		{"discard", opDiscard, 0, extent(0, 8, 0), 0, ok},
		{"discard nothing", opDiscard, 0, extent(0, 0, 0), 0, ok},
		{"discard without a range", opDiscard, 0, nil, 0, ioerr},
		{"discard half a range", opDiscard, 0, extent(0, 8, 0)[:8], 0, ioerr},
		{"discard over the end", opDiscard, 0, extent(sectors-1, 2, 0), 0, ioerr},
		{"discard at 2^64-1", opDiscard, 0, extent(1<<64-1, 2, 0), 0, ioerr},
		{"discard 2^32-1 sectors", opDiscard, 0, extent(0, 1<<32-1, 0), 0, ioerr},
		{"discard with unmap", opDiscard, 0, extent(0, 8, 1), 0, unsupp},
		{"discard with unknown flags", opDiscard, 0, extent(0, 8, 0x80), 0, unsupp},
		{"too many ranges", opDiscard, 0, bytes.Repeat(extent(0, 1, 0), 17), 0, ioerr},
		{"as many ranges as allowed", opDiscard, 0, bytes.Repeat(extent(0, 1, 0), 16), 0, ok},
		{"zeroes with unmap", opZeroes, 0, extent(0, 8, 1), 0, ok},
		{"zeroes with unknown flags", opZeroes, 0, extent(0, 8, 2), 0, unsupp},
		{"zeroes: second range bad", opZeroes, 0, append(extent(0, 1, 0), extent(sectors, 1, 0)...), 0, ioerr},
		{"id in a short buffer", opGetID, 0, nil, 5, ok},
		{"SCSI command", 2, 0, make([]byte, 64), 96, unsupp},
		{"secure erase", 14, 0, extent(0, 1, 0), 0, unsupp},
		{"unknown", 0xffffffff, 0, nil, 0, unsupp},
	} {
		bufs := []virtiotest.Buffer{r.Out(header(tt.op, tt.sec))}
		if len(tt.out) > 0 {
			bufs = append(bufs, r.Out(tt.out))
		}
		if tt.in > 0 {
			bufs = append(bufs, r.In(tt.in))
		}
		if got := r.status(bufs...); got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
	virtiotest.CheckClean(t, r.dev)
	if len(r.errors) != 0 {
		t.Errorf("the guest's errors were taken for the disk's: %q", r.errors)
	}
}

// A request that has no place for a header or a status cannot be answered.
func TestMalformed(t *testing.T) {
	for name, bufs := range map[string]func(r *rig) []virtiotest.Buffer{
		"no status":    func(r *rig) []virtiotest.Buffer { return []virtiotest.Buffer{r.Out(header(opIn, 0))} },
		"short header": func(r *rig) []virtiotest.Buffer { return []virtiotest.Buffer{r.Out(make([]byte, 15)), r.In(1)} },
		"no header":    func(r *rig) []virtiotest.Buffer { return []virtiotest.Buffer{r.In(513)} },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, &memDisk{data: make([]byte, 4096)}, features)
			r.q.Add(bufs(r)...)
			if !r.WaitNeedsReset() || r.dev.Stats().Faults[queue.FaultRequest] != 1 {
				t.Errorf("status %#x, stats %+v", r.Reg(virtiotest.Status), r.dev.Stats())
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	r := start(t, &memDisk{data: make([]byte, 4096), readOnly: true}, 1<<5)
	if r.Offered()&(featureFlush|1<<13|1<<14) != 0 {
		t.Error("a read-only disk offers features of writes")
	}
	for _, op := range []uint32{opOut, opDiscard, opZeroes} {
		if got := r.status(r.Out(header(op, 0)), r.Out(make([]byte, 512))); got != 1 {
			t.Errorf("operation %d: status %d", op, got)
		}
	}
	if got := r.status(r.Out(header(opIn, 0)), r.In(512)); got != 0 {
		t.Errorf("read: status %d", got)
	}
}

// A failing disk is an I/O error in the guest, and the owner hears why.
func TestDiskFails(t *testing.T) {
	r := start(t, &memDisk{data: make([]byte, 4096)}, features)
	r.disk.fail = errors.New("disk full")
	for op, name := range map[uint32]string{opIn: "read", opOut: "write", opFlush: "flush"} {
		r.errors = nil
		bufs := []virtiotest.Buffer{r.Out(header(op, 0))}
		switch op {
		case opIn:
			bufs = append(bufs, r.In(512))
		case opOut:
			bufs = append(bufs, r.Out(make([]byte, 512)))
		}
		if got := r.status(bufs...); got != 1 {
			t.Errorf("%s: status %d", name, got)
		}
		if len(r.errors) != 1 || r.errors[0] != name+": disk full" {
			t.Errorf("%s: owner heard %q", name, r.errors)
		}
	}
}

// virtio §5.2.6.2: a write is stable when it completes, in write-through mode
// or when the driver cannot flush.
func TestCacheMode(t *testing.T) {
	for _, tt := range []struct {
		name     string
		features uint64
		set      int // write to the writeback field, -1 for none
		flushes  int
	}{
		{"flush", featureFlush, -1, 0},
		{"no flush", 0, -1, 1},
		{"write-back", featureFlush | featureWCE, 1, 0},
		{"write-through", featureFlush | featureWCE, 0, 1},
		{"not negotiated", featureFlush, 0, 0},
	} {
		r := start(t, &memDisk{data: make([]byte, 4096)}, tt.features)
		if tt.set >= 0 {
			r.Dev.Write(virtiotest.ConfigSpace+32, 1, uint64(tt.set))
		}
		if got := r.status(r.Out(header(opOut, 0)), r.Out(make([]byte, 512))); got != 0 {
			t.Fatalf("%s: status %d", tt.name, got)
		}
		if r.disk.flushes != tt.flushes {
			t.Errorf("%s: %d flushes, want %d", tt.name, r.disk.flushes, tt.flushes)
		}
	}
}

func TestConfig(t *testing.T) {
	r := start(t, &memDisk{data: make([]byte, 64*512)}, features)
	if n := r.Config64(0); n != 64 {
		t.Errorf("capacity %d", n)
	}
	if n := r.Config32(12); n != 126 {
		t.Errorf("seg_max %d", n)
	}
	if n := r.Config32(20); n != 512 {
		t.Errorf("blk_size %d", n)
	}
	for off := range uint64(0xf00) {
		for _, size := range []int{1, 2, 4, 8} {
			if off%uint64(size) == 0 {
				if _, ok := r.Dev.Read(virtiotest.ConfigSpace+off, size); !ok {
					t.Fatalf("configuration at %#x, %d bytes, faults", off, size)
				}
				r.Dev.Write(virtiotest.ConfigSpace+off, size, ^uint64(0))
			}
		}
	}
	if n := r.Config64(0); n != 64 {
		t.Errorf("capacity %d after writes", n)
	}
}

var _ backend.Disk = (*memDisk)(nil)
