package queue

import (
	"fmt"

	"doppel/internal/memory"
	"doppel/internal/state"
)

// Feature bits that shape a queue (virtio §6).
const (
	FeatureIndirectDesc uint64 = 1 << 28
	FeatureEventIdx     uint64 = 1 << 29
	FeatureVersion1     uint64 = 1 << 32
	FeatureRingPacked   uint64 = 1 << 34
	FeatureRingReset    uint64 = 1 << 40
)

// Features are those that every device of ours offers.
const Features = FeatureIndirectDesc | FeatureEventIdx | FeatureVersion1 | FeatureRingPacked | FeatureRingReset

// MaxChainBytes bounds what one chain may describe. It is far above what any
// driver asks for, and keeps one request from occupying a worker for long.
const MaxChainBytes = 256 << 20

// Config is a queue as the driver describes it. It is plain data: nothing
// looks at it until New makes a live queue of it.
type Config struct {
	Size   uint16     // in descriptors
	Desc   memory.GPA // descriptor area
	Driver memory.GPA // driver area: available ring, or driver event suppression
	Device memory.GPA // device area: used ring, or device event suppression
}

// Save appends the configuration.
func (c *Config) Save(e *state.Encoder) {
	e.U16(c.Size)
	e.U64(uint64(c.Desc))
	e.U64(uint64(c.Driver))
	e.U64(uint64(c.Device))
}

// Restore reads what Save wrote. New checks the values.
func (c *Config) Restore(d *state.Decoder) {
	c.Size = d.U16()
	c.Desc = memory.GPA(d.U64())
	c.Driver = memory.GPA(d.U64())
	c.Device = memory.GPA(d.U64())
}

// area is one part of a queue in guest memory.
type area struct {
	name  string
	gpa   memory.GPA
	size  uint64
	align uint64
}

func (c *Config) areas(packed bool) [3]area {
	n := uint64(c.Size)
	if packed {
		// virtio §2.8.10: alignments; the event suppression structures have 4 bytes.
		return [3]area{{"descriptor", c.Desc, 16 * n, 16}, {"driver", c.Driver, 4, 4}, {"device", c.Device, 4, 4}}
	}
	// virtio §2.7: alignments and sizes, the event fields included.
	return [3]area{{"descriptor", c.Desc, 16 * n, 16}, {"driver", c.Driver, 6 + 2*n, 2}, {"device", c.Device, 6 + 8*n, 4}}
}

// check tells whether a device can work on the queue.
func (c *Config) check(mem *memory.Space, packed bool) error {
	switch {
	case c.Size == 0:
		return fmt.Errorf("queue size is 0")
	case c.Size > 32768: // virtio §2.7, §2.8: the largest queue size
		return fmt.Errorf("queue size %d is over 32768", c.Size)
	case !packed && c.Size&(c.Size-1) != 0: // virtio §2.7: a power of 2 if split
		return fmt.Errorf("split queue size %d is not a power of 2", c.Size)
	}
	for _, a := range c.areas(packed) {
		if uint64(a.gpa)%a.align != 0 {
			return fmt.Errorf("%s area %#x is not aligned to %d", a.name, uint64(a.gpa), a.align)
		}
		if r := mem.Find(a.gpa, a.size); r == nil || !r.Writable() {
			return fmt.Errorf("%s area %#x, %d bytes, is not in RAM", a.name, uint64(a.gpa), a.size)
		}
	}
	return nil
}
