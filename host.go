package doppel

import (
	"errors"
	"slices"
	"sync"
)

// HostConfig describes what the machines of a Host share. The zero value is a
// host without networks between its machines.
type HostConfig struct {
	// Networks are switches, into which machines plug their cards (NIC).
	Networks []Network

	// MemoryLimit bounds what the memory of all machines takes of the host's,
	// in bytes; 0 leaves it to what the host has. It holds however busy the
	// host is: a machine stands still rather than store to a page beyond it.
	// New and Restore fail if there is no room for a kernel or a saved state.
	MemoryLimit uint64
	// MemoryPolicy is "overcommit" (or empty): machines may have more memory,
	// in sum, than the limit; when it runs out, they are asked to give some
	// back, and the one that takes more is paused until there is room. Or
	// "strict": a machine is refused that does not fit.
	MemoryPolicy string
	// MemorySharing is "auto" (or empty): pages that are alike in several machines
	// are held once, which is looked for when memory is short and when a machine
	// is restored; "on": also meanwhile; or "off": never. A guest can find out by
	// the time of its stores whether another machine has a page like one of its
	// own: choose "off" for guests that must not learn of each other.
	MemorySharing string
	// MemoryPaused, if not nil, hears of each machine that is paused because
	// memory is short, with the reason, and that goes on, with "". It is called
	// on a goroutine of the host's, and must not take long.
	MemoryPaused func(m *Machine, reason string)

	// CaptureMissed, if not nil, hears of each capture that frames are missing
	// in, with the reason and once for each: the file is as large as it may be
	// (1 GiB), cannot be written, or is slower than the network. It is called on
	// a goroutine of the host's, and must not take long.
	CaptureMissed func(file, reason string)
}

// Host is a set of machines that live in this process and share what the
// process lends them. Its methods may be called from any goroutine.
type Host struct {
	config   HostConfig
	networks map[string]*network
	memory   *hostMemory

	// mu guards what follows. It is held while a machine is built, so that two
	// cannot claim the same thing, and never while one runs or ends.
	mu       sync.Mutex
	machines []*Machine
	count    int // of machines that were made, for names
	closed   bool

	captures captures
}

// ErrHostClosed says that a host takes no more machines.
var ErrHostClosed = errors.New("the host is closed")

// NewHost makes a host without machines.
//
// What is a host's own is its networks, its memory limit and sharing, and the
// names of its machines. The processors are the process's: the machines of all
// Hosts of a process stand before one scheduler, and CPUWeight parts processors
// among all of them. So are files and ports: a disk that a machine of one Host
// writes to is refused to one of another.
func NewHost(cfg HostConfig) (*Host, error) {
	h := &Host{config: cfg, networks: map[string]*network{}}
	var err error
	if h.memory, err = newHostMemory(&cfg); err != nil {
		return nil, err
	}
	for _, c := range cfg.Networks {
		if h.networks[c.Name] != nil {
			return nil, errors.Join(&ConfigError{Field: "Network", Value: c.Name, Reason: "another network has this name; names are unique"}, h.Close())
		}
		n, err := h.openNetwork(c)
		if err != nil {
			return nil, errors.Join(err, h.Close())
		}
		h.networks[c.Name] = n
	}
	return h, nil
}

// New builds a machine on the host: files are read, disks opened and ports
// bound. Nothing runs before Run, and nothing is left of a machine that cannot
// be built. The machine leaves the host when it is closed.
func (h *Host) New(cfg Config) (*Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrHostClosed
	}
	if err := h.claim(&cfg); err != nil {
		return nil, err
	}
	if err := h.memory.claim(&cfg); err != nil {
		return nil, err
	}
	m, err := h.build(&cfg)
	if err != nil {
		return nil, err
	}
	if err := h.memory.fits(m); err != nil {
		return nil, errors.Join(err, m.m.Close(), m.aids.close(), releaseAll(m.held))
	}
	m.host, m.config = h, cfg
	h.memory.join(m)
	h.machines = append(h.machines, m)
	h.count++
	return m, nil
}

// Machines returns the machines that are not closed, in the order in which
// they were made.
func (h *Host) Machines() []*Machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.machines)
}

// Close closes all machines and releases what they shared. It may be called
// twice.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	all := slices.Clone(h.machines)
	h.mu.Unlock()
	var errs []error
	for _, m := range all {
		errs = append(errs, m.Close())
	}
	h.memory.close()
	for _, n := range h.networks {
		errs = append(errs, n.sw.Close()) // and its uplink
	}
	return errors.Join(errs...)
}

// Ports counts what passed the ports of a network, in the order in which the
// cards were plugged in; the uplink comes first.
func (h *Host) Ports(network string) []PortStats {
	n := h.networks[network]
	if n == nil {
		return nil
	}
	return n.sw.Stats()
}

// leave takes a machine that was closed off the list.
func (h *Host) leave(m *Machine) {
	h.mu.Lock()
	h.machines = slices.DeleteFunc(h.machines, func(o *Machine) bool { return o == m })
	h.memory.leave(m)
	h.mu.Unlock()
	h.memory.pool.Left()
}
