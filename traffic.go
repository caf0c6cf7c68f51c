package doppel

import (
	"slices"
	"sync"

	"doppel/internal/backend"
	"doppel/internal/backend/traffic"
	"doppel/internal/backend/vswitch"
)

// CaptureStats tells how the capture of a network or of a card does.
type CaptureStats = vswitch.CaptureStats

// captures are those of a host that are open.
type captures struct {
	mu  sync.Mutex
	all []*vswitch.Capture
}

// capture makes a capture that Captures tells of.
func (h *Host) capture(path string) (*vswitch.Capture, error) {
	var missed func(vswitch.Miss)
	if tell := h.config.CaptureMissed; tell != nil {
		missed = func(why vswitch.Miss) { tell(path, why.String()) }
	}
	c, err := vswitch.CreateCapture(path, 0, missed)
	if err != nil {
		return nil, err
	}
	h.captures.mu.Lock()
	defer h.captures.mu.Unlock()
	h.captures.all = slices.DeleteFunc(h.captures.all, func(o *vswitch.Capture) bool {
		_, open := o.Stats()
		return !open
	})
	h.captures.all = append(h.captures.all, c)
	return c, nil
}

// Captures tells how the captures do that are open, in the order in which they
// were made.
func (h *Host) Captures() (all []CaptureStats) {
	h.captures.mu.Lock()
	defer h.captures.mu.Unlock()
	for _, c := range h.captures.all {
		if s, open := c.Stats(); open {
			all = append(all, s)
		}
	}
	return all
}

// DiskTraffic is what a guest has read from and written to one of its disks.
type DiskTraffic struct {
	Path                  string
	Reads, Writes         uint64 // requests
	ReadBytes, WriteBytes uint64
}

// NetworkTraffic is what a guest has received and sent through one of its
// network cards.
type NetworkTraffic struct {
	Received, Sent           uint64 // frames
	ReceivedBytes, SentBytes uint64
}

// meters count what goes through a machine's disks and networks.
type meters struct {
	disks    []*traffic.Disk
	networks []*traffic.Network
}

func (m *meters) disk(d backend.Disk) backend.Disk {
	counted := &traffic.Disk{Disk: d}
	m.disks = append(m.disks, counted)
	return counted
}

func (m *meters) network(n backend.Network) backend.Network {
	counted := &traffic.Network{Network: n}
	m.networks = append(m.networks, counted)
	return counted
}

// Disks tells what went through the machine's disks so far, in the order of
// the configuration. Any goroutine, at any time.
func (m *Machine) Disks() []DiskTraffic {
	all := make([]DiskTraffic, len(m.meters.disks))
	for i, d := range m.meters.disks {
		t := &all[i]
		t.Path = m.config.Disks[i].Path
		t.Reads, t.ReadBytes = d.Reads.Load()
		t.Writes, t.WriteBytes = d.Writes.Load()
	}
	return all
}

// Networks tells what went through the machine's network cards so far. Any
// goroutine, at any time.
func (m *Machine) Networks() []NetworkTraffic {
	all := make([]NetworkTraffic, len(m.meters.networks))
	for i, n := range m.meters.networks {
		t := &all[i]
		t.Received, t.ReceivedBytes = n.Received.Load()
		t.Sent, t.SentBytes = n.Sent.Load()
	}
	return all
}
