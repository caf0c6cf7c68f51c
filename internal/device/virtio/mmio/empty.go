package mmio

import (
	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/state"
)

// Empty is a window without a device.
type Empty struct{ name string }

// NewEmpty returns an empty slot. name is the section's name in saved state.
func NewEmpty(name string) *Empty { return &Empty{name} }

func (*Empty) Size() uint64                            { return windowSize }
func (*Empty) Reset()                                  {}
func (*Empty) Node(w device.Wiring) *fdt.Node          { return node(w) }
func (*Empty) Write(_ uint64, size int, _ uint64) bool { return size == 4 }

// Read finds magic and version, and device ID 0: nothing here (virtio §4.2.3.1.1).
func (*Empty) Read(off uint64, size int) (uint64, bool) {
	if size != 4 {
		return 0, false
	}
	switch off {
	case regMagic:
		return magic, true
	case regVersion:
		return version, true
	}
	return 0, true
}

func (e *Empty) StateName() string                      { return e.name }
func (*Empty) StateVersion() uint32                     { return 1 }
func (*Empty) Save(*state.Encoder)                      {}
func (*Empty) Restore(d *state.Decoder, _ uint32) error { return d.Err() }
