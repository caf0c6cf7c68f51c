// Package traffic counts what goes through disks and networks.
//
// Threads: any goroutine may count and read.
package traffic

import (
	"sync/atomic"

	"doppel/internal/backend"
)

// Counter counts transfers in one direction: requests or frames, and bytes.
type Counter struct{ times, bytes atomic.Uint64 }

func (c *Counter) add(bytes int) {
	c.times.Add(1)
	c.bytes.Add(uint64(bytes))
}

// Load returns both. They may be of different moments.
func (c *Counter) Load() (times, bytes uint64) { return c.times.Load(), c.bytes.Load() }

// Disk is a disk whose reads and writes are counted: those that succeed.
type Disk struct {
	backend.Disk
	Reads, Writes Counter
}

func length(bufs [][]byte) (n int) {
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

// ReadV implements backend.Disk.
func (d *Disk) ReadV(bufs [][]byte, off int64) error {
	err := d.Disk.ReadV(bufs, off)
	if err == nil {
		d.Reads.add(length(bufs))
	}
	return err
}

// WriteV implements backend.Disk.
func (d *Disk) WriteV(bufs [][]byte, off int64) error {
	err := d.Disk.WriteV(bufs, off)
	if err == nil {
		d.Writes.add(length(bufs))
	}
	return err
}

// Network is a network whose frames are counted as the guest sees them: a frame
// that stands for several is one.
type Network struct {
	backend.Network
	Received, Sent Counter
}

// Send implements backend.Network.
func (n *Network) Send(frame []byte, o backend.Offload) {
	n.Sent.add(len(frame))
	n.Network.Send(frame, o)
}

// Receive implements backend.Network.
func (n *Network) Receive() (frame []byte, o backend.Offload, ok bool) {
	if frame, o, ok = n.Network.Receive(); ok {
		n.Received.add(len(frame))
	}
	return frame, o, ok
}
