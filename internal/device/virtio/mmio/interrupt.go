package mmio

import (
	"sync"

	"doppel/internal/device"
	"doppel/internal/device/virtio/queue"
)

// Stats counts what a driver did wrong, and what became of it.
type Stats struct {
	Misuse uint64                   // register accesses without effect
	Faults [queue.FaultCount]uint64 // by reason: the device needed a reset
	Panics uint64                   // workers that survived a bug of ours
}

// interrupts is the part of a device that its workers reach: the interrupt
// status and the need for a reset. It has the innermost lock.
type interrupts struct {
	mu         sync.Mutex
	line       device.Line
	status     uint32
	driverOK   bool
	needsReset bool
	generation uint32
	stats      Stats
}

func (n *interrupts) raise(bits uint32) {
	n.status |= bits
	n.line.Set(n.status != 0)
}

// Interrupt, Fail, ConfigChanged and Panicked make it a virtio.Owner.

func (n *interrupts) Interrupt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.raise(IntUsedBuffer)
}

func (n *interrupts) Fail(f queue.Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f < queue.FaultCount {
		n.stats.Faults[f]++
	}
	n.fail()
}

// fail is DEVICE_NEEDS_RESET (virtio §2.1.2): the driver is told by a
// configuration change if it is running.
func (n *interrupts) fail() {
	if n.needsReset {
		return
	}
	n.needsReset = true
	if n.driverOK {
		n.raise(IntConfigChange)
	}
}

func (n *interrupts) ConfigChanged() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.generation++ // virtio §4.2.2: changes when the configuration does
	if n.driverOK {
		n.raise(IntConfigChange)
	}
}

func (n *interrupts) Panicked(any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Panics++
	n.fail()
}

// misuse counts an access that has no effect; in a live device it is an error
// that the driver cannot recover from.
func (n *interrupts) misuse(fatal bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Misuse++
	if fatal {
		n.fail()
	}
}

func (n *interrupts) ack(bits uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.status &^= bits
	n.line.Set(n.status != 0)
}

func (n *interrupts) setDriverOK() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.driverOK = true
	if n.needsReset {
		n.raise(IntConfigChange)
	}
}

func (n *interrupts) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.status, n.driverOK, n.needsReset = 0, false, false
	n.line.Set(false)
}

// read returns the interrupt status, whether a reset is needed, and the
// generation of the configuration.
func (n *interrupts) read() (status uint32, needsReset bool, generation uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status, n.needsReset, n.generation
}
