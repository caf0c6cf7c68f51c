package virtiotest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/queue"
	"doppel/internal/memory"
	"doppel/internal/state"
)

// Subject is a device type under the contract suite.
type Subject struct {
	// New makes a device over the same backend each time; the suite closes it.
	New func(mem *memory.Space, line device.Line) *mmio.Device
	// Features are those of the device type to agree on.
	Features uint64
	// Queues are the sizes of the queues to set up.
	Queues []uint16
	// Submit makes a random valid request available, or nil if there is no
	// room. Its Tag may be a func(*Request) that checks the outcome.
	Submit func(d *Driver, r *rand.Rand) *Request
	// Settle, if not nil, brings about the end of what is pending.
	Settle func(d *Driver)
	// Drop, if not nil, hears that a reset threw pending requests away.
	Drop func()
}

// Rings are the combinations of features that shape a queue.
func Rings() []uint64 {
	var out []uint64
	for i := range 8 {
		var f uint64
		for bit, feature := range []uint64{queue.FeatureRingPacked, queue.FeatureIndirectDesc, queue.FeatureEventIdx} {
			if i>>bit&1 != 0 {
				f |= feature
			}
		}
		out = append(out, f)
	}
	return out
}

// RingName names a combination.
func RingName(f uint64) string {
	s := "split"
	if f&queue.FeatureRingPacked != 0 {
		s = "packed"
	}
	if f&queue.FeatureIndirectDesc != 0 {
		s += "+indirect"
	}
	if f&queue.FeatureEventIdx != 0 {
		s += "+event"
	}
	return s
}

// Run runs the contract suite: random requests with every kind of queue,
// with saves, restores and resets in their midst.
func Run(t *testing.T, s Subject) {
	for _, ring := range Rings() {
		t.Run(RingName(ring), func(t *testing.T) {
			for _, mode := range []string{"requests", "save", "reset"} {
				t.Run(mode, func(t *testing.T) { newRun(t, s, ring).run(mode) })
			}
		})
	}
}

type run struct {
	*Driver
	s    Subject
	ring uint64
	rand *rand.Rand
	dev  *mmio.Device
}

func newRun(t *testing.T, s Subject, ring uint64) *run {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := &run{s: s, ring: ring, rand: rand.New(rand.NewPCG(seed, 0))}
	mem, line := NewSpace(t), NewLine()
	r.dev = s.New(mem, line)
	t.Cleanup(func() { r.dev.Close() })
	r.Driver = NewDriver(t, mem, line, r.dev)
	r.begin()
	return r
}

func (r *run) begin() {
	r.Negotiate(r.s.Features | r.ring)
	r.next = RAMBase
	for i, size := range r.s.Queues {
		r.AddQueue(i, size)
	}
	r.Start()
}

const steps = 400

func (r *run) run(mode string) {
	for range steps {
		if r.rand.IntN(3) > 0 {
			r.s.Submit(r.Driver, r.rand)
		} else {
			r.collect(false)
		}
		if r.rand.IntN(20) > 0 {
			continue
		}
		switch mode {
		case "save":
			r.replace()
		case "reset":
			r.restart()
		}
	}
	if r.s.Settle != nil {
		r.s.Settle(r.Driver)
	}
	r.collect(true)
	if mode == "save" {
		r.checkTruncated()
	}
	CheckClean(r.T, r.dev)
}

// CheckClean fails the test if the device met a fault or a bug.
func CheckClean(t testing.TB, dev *mmio.Device) {
	t.Helper()
	if s := dev.Stats(); s != (mmio.Stats{}) {
		t.Errorf("device counted %+v", s)
	}
}

// collect takes what is used; all waits for everything pending.
func (r *run) collect(all bool) {
	for i := range r.s.Queues {
		q := r.Queues[i]
		for q.Pending > 0 {
			var req *Request
			if all {
				req = q.Next()
			} else if req = q.Collect(); req == nil {
				break
			}
			if check, ok := req.Tag.(func(*Request)); ok {
				check(req)
			}
		}
	}
}

// replace saves the device, restores into a new one and goes on with that.
func (r *run) replace() {
	r.dev.Pause()
	before := Save(r.dev)
	r.dev.Close() // first: both have the same backend
	next := r.s.New(r.Mem, r.Line)
	next.Pause()
	if err := Restore(next, before); err != nil {
		r.T.Fatal(err)
	}
	if after := Save(next); !bytes.Equal(before, after) {
		r.T.Fatalf("a restored device saves\n%x, want\n%x", after, before)
	}
	r.dev, r.Dev = next, next
	next.Resume()
}

// checkTruncated restores every prefix of a saved state, and the state with
// each byte changed (C12): the first are errors, the second do no harm.
func (r *run) checkTruncated() {
	r.dev.Pause()
	saved := Save(r.dev)
	for n := range saved {
		if Restore(r.dev, saved[:n]) == nil {
			r.T.Fatalf("%d of %d bytes were enough to restore", n, len(saved))
		}
		changed := bytes.Clone(saved)
		changed[n] ^= byte(1 + r.rand.IntN(255))
		Restore(r.dev, changed)
	}
	if err := Restore(r.dev, saved); err != nil {
		r.T.Fatal(err)
	}
	r.dev.Resume()
}

// restart resets the device with requests under way; memory stays as it is
// afterwards.
func (r *run) restart() {
	r.SetReg(Status, 0)
	ram := bytes.Clone(r.Mem.Regions()[0].Bytes())
	if r.Line.Level() {
		r.T.Fatal("the line is high after a reset")
	}
	edges := r.Line.Edges()
	r.dev.Pause() // whatever was under way is over
	if !bytes.Equal(ram, r.Mem.Regions()[0].Bytes()) {
		r.T.Fatal("the device wrote to memory after a reset")
	}
	if r.Line.Edges() != edges {
		r.T.Fatal("the device interrupted after a reset")
	}
	r.dev.Resume()
	if r.s.Drop != nil {
		r.s.Drop()
	}
	r.begin()
}

// Save returns a device's state.
func Save(d device.Device) []byte {
	var e state.Encoder
	d.Save(&e)
	return e.Data()
}

// Restore gives a device its state.
func Restore(d device.Device, b []byte) error {
	dec := state.NewDecoder(b)
	if err := d.Restore(dec, d.StateVersion()); err != nil {
		return err
	}
	if err := dec.Done(); err != nil {
		d.Reset()
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}
