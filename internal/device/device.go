// Package device holds the contract between what the guest sees (devices) and
// what carries them (the board's bus and interrupt wiring). The devices are in
// its subpackages.
//
// A device sees guest memory, an interrupt line, a clock, an entropy source
// and its backend: never an engine, a machine or the host.
//
// Threads: Read and Write come from any vCPU's goroutine, several at once; a
// device has one lock of its own. Lock order: a device's lock, then the
// interrupt controller's. A Line may be set with the device's lock held.
package device

import (
	"doppel/internal/fdt"
	"doppel/internal/memory"
	"doppel/internal/state"
)

// Line is an interrupt line towards an interrupt controller or a vCPU.
// Any goroutine may set it; setting the level that it has does nothing.
type Line interface {
	Set(asserted bool)
}

// LineFunc makes a function a Line.
type LineFunc func(asserted bool)

func (f LineFunc) Set(asserted bool) { f(asserted) }

// Device is what the guest reaches through a window of physical addresses.
type Device interface {
	state.Component

	// Size is the length of the window in bytes.
	Size() uint64
	// Read and Write access size bytes (1, 2, 4 or 8) at off, which is aligned
	// to size and inside the window. ok is false if the device has no access
	// of that size there: the vCPU then takes an access fault. A device never
	// panics, whatever the values.
	Read(off uint64, size int) (v uint64, ok bool)
	Write(off uint64, size int, v uint64) (ok bool)
	// Reset puts the device in its state at power-on.
	Reset()
	// Node describes the device in the device tree, nil if it is not in it.
	Node(Wiring) *fdt.Node
}

// Wiring tells where the board put a device.
type Wiring struct {
	Base      memory.GPA
	IRQ       uint32 // interrupt number at the parent, 0 for none
	IRQParent uint32 // phandle of the interrupt controller
}

// Worker is a device that works on goroutines of its own. Pause returns when
// no work is under way and none will start until Resume: guest memory and
// interrupt lines stay untouched. A machine pauses workers before it saves.
type Worker interface {
	Pause()
	Resume()
	// Close ends the goroutines and releases the backend.
	Close() error
}
