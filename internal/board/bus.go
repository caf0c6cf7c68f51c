package board

import (
	"fmt"
	"sort"

	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/memory"
)

// Bus finds a device by physical address. An access is never split: it lies
// in one window and the device has an access of its size, or nothing answers
// and the hart takes an access fault.
type Bus struct {
	slots []Slot // sorted by base
}

// Slot is a device at its place.
type Slot struct {
	device.Device
	device.Wiring
}

// Attach puts a device on the bus. Windows must not overlap.
func (b *Bus) Attach(d device.Device, w device.Wiring) error {
	end := uint64(w.Base) + d.Size()
	for _, s := range b.slots {
		if uint64(w.Base) < uint64(s.Base)+s.Size() && uint64(s.Base) < end {
			return fmt.Errorf("device %s at %#x overlaps %s at %#x", d.StateName(), uint64(w.Base), s.StateName(), uint64(s.Base))
		}
	}
	b.slots = append(b.slots, Slot{d, w})
	sort.Slice(b.slots, func(i, j int) bool { return b.slots[i].Base < b.slots[j].Base })
	return nil
}

// Slots lists the devices from the lowest address up.
func (b *Bus) Slots() []Slot { return b.slots }

// Slot returns the slot that holds all size bytes from gpa, or nil.
func (b *Bus) Slot(gpa memory.GPA, size int) *Slot {
	if !valid(gpa, size) {
		return nil
	}
	return b.slot(gpa, size)
}

// find returns the device that holds all size bytes from gpa and the offset
// in its window, or nil. size is a power of two and gpa is aligned to it, so
// the access cannot wrap.
func (b *Bus) find(gpa memory.GPA, size int) (device.Device, uint64) {
	s := b.slot(gpa, size)
	if s == nil {
		return nil, 0
	}
	return s.Device, uint64(gpa - s.Base)
}

func (b *Bus) slot(gpa memory.GPA, size int) *Slot {
	i := sort.Search(len(b.slots), func(i int) bool { return b.slots[i].Base > gpa }) - 1
	if i < 0 {
		return nil
	}
	s := &b.slots[i]
	off := uint64(gpa - s.Base)
	if n := s.Size(); off >= n || uint64(size) > n-off {
		return nil
	}
	return s
}

// valid tells whether an access has a size and alignment that a bus carries.
func valid(gpa memory.GPA, size int) bool {
	return (size == 1 || size == 2 || size == 4 || size == 8) && uint64(gpa)%uint64(size) == 0
}

// Read reads from the device at gpa.
func (b *Bus) Read(gpa memory.GPA, size int) (uint64, bool) {
	if !valid(gpa, size) {
		return 0, false
	}
	d, off := b.find(gpa, size)
	if d == nil {
		return 0, false
	}
	return d.Read(off, size)
}

// Write writes to the device at gpa.
func (b *Bus) Write(gpa memory.GPA, size int, v uint64) bool {
	if !valid(gpa, size) {
		return false
	}
	d, off := b.find(gpa, size)
	if d == nil {
		return false
	}
	return d.Write(off, size, v)
}

// nodes returns the devices' nodes for the device tree.
func (b *Bus) nodes() []*fdt.Node {
	var out []*fdt.Node
	for _, s := range b.slots {
		if n := s.Node(s.Wiring); n != nil {
			out = append(out, n)
		}
	}
	return out
}
