package console_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"doppel/internal/device"
	"doppel/internal/device/virtio/console"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/virtiotest"
	"doppel/internal/memory"
)

// terminal is a far end in the test's hands.
type terminal struct {
	mu            sync.Mutex
	out           []byte
	input         func([]byte) int
	resize        func()
	columns, rows uint16
	ready         chan struct{}
}

func newTerminal() *terminal { return &terminal{ready: make(chan struct{}, 10000)} }

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = append(t.out, p...)
	return len(p), nil
}

func (t *terminal) SetInput(fn func([]byte) int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.input = fn
}

func (t *terminal) SetResize(fn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resize = fn
}

func (t *terminal) InputReady() { t.ready <- struct{}{} }

func (t *terminal) Size() (uint16, uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.columns, t.rows
}

func (t *terminal) setSize(columns, rows uint16) {
	t.mu.Lock()
	t.columns, t.rows = columns, rows
	fn := t.resize
	t.mu.Unlock()
	fn()
}

func (t *terminal) typed(s string) int {
	t.mu.Lock()
	fn := t.input
	t.mu.Unlock()
	return fn([]byte(s))
}

func (t *terminal) written() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.out)
}

const featureSize, featureMultiport = 1, 2

type rig struct {
	*virtiotest.Driver
	dev *mmio.Device
}

func start(t testing.TB, features uint64, ports ...console.Port) *rig {
	mem, line := virtiotest.NewSpace(t), virtiotest.NewLine()
	dev := mmio.New("console0", mem, line, console.New(ports...))
	t.Cleanup(func() { dev.Close() })
	r := &rig{virtiotest.NewDriver(t, mem, line, dev), dev}
	r.Negotiate(features)
	queues := 2
	if features&featureMultiport != 0 {
		queues = 2 + 2*len(ports)
	}
	for i := range queues {
		r.AddQueue(i, 16)
	}
	r.Start()
	return r
}

func TestOutput(t *testing.T) {
	term := newTerminal()
	r := start(t, featureSize, console.Port{Terminal: term})
	long := bytes.Repeat([]byte("0123456789"), 2000)
	r.Queues[1].Do(r.Out([]byte("Welcome ")), r.Out([]byte("to ")), r.Out(long))
	if got := term.written(); got != "Welcome to "+string(long) {
		t.Errorf("wrote %d bytes", len(got))
	}
	virtiotest.CheckClean(t, r.dev)
}

// Input waits for buffers, in a bounded amount, and comes in order.
func TestInput(t *testing.T) {
	term := newTerminal()
	r := start(t, featureSize, console.Port{Terminal: term})
	text := make([]byte, 5000)
	for i := range text {
		text[i] = byte('a' + i%26)
	}
	taken := term.typed(string(text))
	if taken == 0 || taken == len(text) {
		t.Fatalf("took %d of %d bytes", taken, len(text))
	}
	var got []byte
	for len(got) < len(text) {
		r.Queues[0].Add(r.In(100))
		req := r.Queues[0].Next()
		got = append(got, req.Data()[:req.Written]...)
		select {
		case <-term.ready:
			taken += term.typed(string(text[taken:]))
		default:
		}
	}
	if !bytes.Equal(got, text) {
		t.Error("the input is not what was typed")
	}
}

func TestSize(t *testing.T) {
	term := newTerminal()
	term.columns, term.rows = 80, 25
	r := start(t, featureSize, console.Port{Terminal: term})
	if r.Config16(0) != 80 || r.Config16(2) != 25 {
		t.Errorf("size %dx%d", r.Config16(0), r.Config16(2))
	}
	generation := r.Reg(virtiotest.ConfigGen)
	term.setSize(132, 50)
	if !r.Line.Wait(10 * time.Second) {
		t.Fatal("no interrupt")
	}
	if s := r.Reg(virtiotest.IntStatus); s != 2 {
		t.Errorf("interrupt status %#x, want a configuration change", s)
	}
	if r.Config16(0) != 132 || r.Config16(2) != 50 || r.Reg(virtiotest.ConfigGen) == generation {
		t.Errorf("size %dx%d, generation %d", r.Config16(0), r.Config16(2), r.Reg(virtiotest.ConfigGen))
	}
}

func control(id uint32, event, value uint16) []byte {
	b := binary.LittleEndian.AppendUint32(nil, id)
	b = binary.LittleEndian.AppendUint16(b, event)
	return binary.LittleEndian.AppendUint16(b, value)
}

func (r *rig) expect(want []byte) {
	r.T.Helper()
	q := r.Queues[2]
	q.Add(r.In(100))
	req := q.Next()
	if got := req.Data()[:req.Written]; !bytes.Equal(got, want) {
		r.T.Errorf("control message %x, want %x", got, want)
	}
}

func TestMultiport(t *testing.T) {
	first, second := newTerminal(), newTerminal()
	first.columns, first.rows = 80, 24
	r := start(t, featureSize|featureMultiport, console.Port{Terminal: first}, console.Port{Name: "doppel.agent", Terminal: second})
	if r.Config32(4) != 2 {
		t.Errorf("max_nr_ports %d", r.Config32(4))
	}
	tell := func(id uint32, event, value uint16) { r.Queues[3].Do(r.Out(control(id, event, value))) }
	tell(0, 0, 1)
	r.expect(control(0, 1, 0))
	r.expect(control(1, 1, 0))
	tell(0, 3, 1)
	r.expect(control(0, 4, 1))
	r.expect(append(control(0, 5, 0), 80, 0, 24, 0))
	r.expect(control(0, 6, 1))
	tell(1, 3, 1)
	r.expect(append(control(1, 7, 1), "doppel.agent"...))
	r.expect(control(1, 6, 1))

	second.typed("early") // waits until the guest opens the port
	r.Queues[4].Add(r.In(20))
	tell(1, 6, 1)
	if req := r.Queues[4].Next(); string(req.Data()[:req.Written]) != "early" {
		t.Errorf("input %q", req.Data())
	}
	r.Queues[5].Do(r.Out([]byte("pong")))
	if second.written() != "pong" || first.written() != "" {
		t.Errorf("output %q and %q", first.written(), second.written())
	}
	first.setSize(100, 30)
	r.expect(append(control(0, 5, 0), 100, 0, 30, 0))

	// C9, C11: messages that make no sense, and more than are read.
	for _, m := range [][]byte{{}, {1}, control(2, 3, 1), control(1<<32-1, 6, 1), control(0, 99, 9), control(0, 1, 1)} {
		if len(m) > 0 {
			r.Queues[3].Do(r.Out(m))
		}
	}
	for range 1000 {
		tell(0, 0, 1)
	}
	saved := virtiotest.Save
	r.dev.Pause()
	if n := len(saved(r.dev)); n > 1<<16 {
		t.Errorf("%d bytes of state", n)
	}
	r.dev.Resume()
	virtiotest.CheckClean(t, r.dev)
}

func TestTooMuchOutput(t *testing.T) {
	r := start(t, featureSize, console.Port{Terminal: newTerminal()})
	b := r.Out(make([]byte, 1<<20))
	r.Queues[1].Add(b, b)
	if !r.WaitNeedsReset() {
		t.Error("2 MiB of output in one buffer were accepted")
	}
}

func TestContract(t *testing.T) {
	term := newTerminal()
	var want []byte
	virtiotest.Run(t, virtiotest.Subject{
		New: func(mem *memory.Space, line device.Line) *mmio.Device {
			return mmio.New("console0", mem, line, console.New(console.Port{Terminal: term}))
		},
		Features: featureSize,
		Queues:   []uint16{16, 16},
		Submit: func(d *virtiotest.Driver, r *rand.Rand) *virtiotest.Request {
			q := d.Queues[r.IntN(2)]
			if !q.Room(2) {
				return nil
			}
			if q.Index == 0 {
				req := q.Add(d.In(1+r.IntN(8)), d.In(8))
				term.typed("typed")
				return req
			}
			p := make([]byte, 1+r.IntN(5000))
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			p = append(p, 'x')
			want = append(want, p...)
			return q.Add(d.Out(p[:len(p)/2]), d.Out(p[len(p)/2:]))
		},
		Settle: func(d *virtiotest.Driver) {
			for range d.Queues[0].Pending {
				term.typed("0123456789abcdef")
			}
		},
		Drop: func() { // what was under way may have come out or not
			want = nil
			term.mu.Lock()
			defer term.mu.Unlock()
			term.out = nil
		},
	})
	// In order, each byte once, through every save and restore.
	if term.written() != string(want) {
		t.Errorf("wrote %d bytes, want %d", len(term.written()), len(want))
	}
}

func FuzzControl(f *testing.F) {
	f.Add(control(0, 0, 1))
	f.Add(control(1, 3, 1))
	f.Add(control(1, 6, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > 100 {
			return
		}
		r := start(t, featureSize|featureMultiport, console.Port{Terminal: newTerminal()}, console.Port{Name: "p", Terminal: newTerminal()})
		r.Queues[2].Add(r.In(40))
		r.Queues[3].Do(r.Out(b))
		virtiotest.CheckClean(t, r.dev)
	})
}

var _ device.Terminal = (*terminal)(nil)
