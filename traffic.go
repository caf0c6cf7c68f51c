package doppel

import (
	"doppel/internal/backend"
	"doppel/internal/backend/traffic"
)

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
