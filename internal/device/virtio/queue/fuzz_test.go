package queue

import (
	"bytes"
	"testing"

	"doppel/internal/memory"
)

type owner struct{ faults, interrupts int }

func (o *owner) Interrupt() { o.interrupts++ }
func (o *owner) Fail(Fault) { o.faults++ }

// FuzzQueue gives a device rings with any content. Work stays bounded, chains
// stay within their limits and in RAM, and nothing panics.
func FuzzQueue(f *testing.F) {
	const base, size = 0x80000000, 1 << 16
	mem := &memory.Space{}
	region, err := mem.Add(memory.RAM, "ram", base, size)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { mem.Close() })
	desc := bytes.Repeat([]byte{0, 0x10, 0, 0x80, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0}, 4)
	f.Add(uint8(0), desc, []byte{0, 0, 2, 0, 0, 0, 1, 0})
	f.Add(uint8(1), desc, []byte{0, 0, 0, 0})
	f.Add(uint8(7), bytes.Repeat([]byte{0, 0x20, 0, 0x80, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0x84, 0}, 8), []byte{0, 0x80, 2, 0})
	f.Fuzz(func(t *testing.T, kind uint8, ring, driver []byte) {
		var features uint64
		for bit, feature := range []uint64{FeatureRingPacked, FeatureIndirectDesc, FeatureEventIdx} {
			if kind>>bit&1 != 0 {
				features |= feature
			}
		}
		c := Config{Size: 8, Desc: base, Driver: base + 0x1000, Device: base + 0x2000}
		clear(region.Bytes())
		copy(region.Bytes(), ring)
		copy(region.Bytes()[0x1000:], driver)
		o := &owner{}
		q, err := New(mem, c, features, o)
		if err != nil {
			t.Fatal(err)
		}
		for range 64 {
			chain := q.Pop()
			if chain == nil {
				break
			}
			if n := len(chain.Readable) + len(chain.Writable); n == 0 || n > int(c.Size) || chain.ReadLen+chain.WriteLen > MaxChainBytes {
				t.Fatalf("chain of %d segments, %d bytes", n, chain.ReadLen+chain.WriteLen)
			}
			for _, s := range append(chain.Readable, chain.Writable...) {
				if len(s.Bytes) == 0 || !region.Contains(s.GPA, uint64(len(s.Bytes))) {
					t.Fatalf("segment at %#x, %d bytes", uint64(s.GPA), len(s.Bytes))
				}
			}
			chain.Write([]byte("data"), 0)
			q.Push(chain, 4)
		}
		if o.faults > 1 {
			t.Fatalf("%d faults of one queue", o.faults)
		}
	})
}

// Rewind gives back what was popped, in both layouts.
func TestRewindKeepsOrder(t *testing.T) {
	// Covered with real drivers by the network device's mergeable buffers;
	// here at the wrap of a packed ring.
	mem := &memory.Space{}
	region, err := mem.Add(memory.RAM, "ram", 0x80000000, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	c := Config{Size: 3, Desc: 0x80000000, Driver: 0x80001000, Device: 0x80002000}
	q, err := New(mem, c, FeatureRingPacked, &owner{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		copy(region.Bytes()[16*i:], []byte{0, 0x30, 0, 0x80, 0, 0, 0, 0, 4, 0, 0, 0, byte(i), 0, descAvail, 0})
	}
	var all []*Chain
	for range 3 {
		all = append(all, q.Pop())
	}
	if q.Pop() != nil {
		t.Fatal("a fourth chain")
	}
	q.Rewind(all)
	for i := range 3 {
		if chain := q.Pop(); chain == nil || chain.id != uint16(i) {
			t.Fatalf("chain %d: %+v", i, chain)
		}
	}
}

// passed is the rule of virtio §2.7.7.2 on every event near a batch.
func TestPassed(t *testing.T) {
	for _, tt := range []struct {
		event, old, new uint16
		want            bool
	}{
		{0, 0, 1, true}, {1, 0, 1, false}, {5, 0, 10, true}, {10, 0, 10, false}, {9, 0, 10, true},
		{65535, 65535, 0, true}, {0, 65535, 0, false}, {65534, 65535, 3, false}, {2, 65535, 3, true}, {7, 7, 7, false},
	} {
		if got := passed(tt.event, tt.old, tt.new); got != tt.want {
			t.Errorf("passed(%d, %d, %d) = %v", tt.event, tt.old, tt.new, got)
		}
	}
}
