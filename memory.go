package doppel

import (
	"fmt"
	"sync"
	"time"

	"doppel/internal/board"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/balloon"
)

const (
	balloonOn  = "on"
	balloonOff = "off"
)

// newBalloon adds a balloon to the machine's devices: nil if it is to have
// none, or if none was asked for and the others leave no slot.
func (cfg *Config) newBalloon(models []virtio.Model) (*balloon.Device, error) {
	full := len(models) >= board.VirtioSlots
	switch cfg.Balloon {
	case balloonOff:
		return nil, nil
	case "":
		if full {
			return nil, nil
		}
	case balloonOn:
		if full {
			return nil, &ConfigError{Field: "Balloon", Value: cfg.Balloon, Reason: fmt.Sprintf("no slot is left: a machine has %d virtio devices; give it fewer disks, or no balloon", board.VirtioSlots)}
		}
	default:
		return nil, &ConfigError{Field: "Balloon", Value: cfg.Balloon, Reason: "must be on or off"}
	}
	return balloon.New(), nil
}

// SetBalloon asks the guest to give size bytes of its memory back to the host,
// in all; 0 returns everything. The guest does so in its own time, as far as it
// can spare them, and takes some back before it runs out of memory.
func (m *Machine) SetBalloon(size uint64) error {
	if m.balloon == nil {
		return &ConfigError{Field: "Balloon", Value: fmt.Sprint(size), Reason: "the machine has no balloon: it was switched off, or other devices took its slot"}
	}
	if most := m.m.MemorySize(); size > most {
		return &ConfigError{Field: "Balloon", Value: fmt.Sprint(size), Reason: fmt.Sprintf("the machine has %d bytes of memory", most)}
	}
	m.squeeze.set(m, func(s *squeeze) { s.user = size })
	return nil
}

// squeeze is how large a machine's balloon shall be: what its user wants, or
// what the host does, whichever is more.
type squeeze struct {
	mu         sync.Mutex
	user, host uint64
}

func (s *squeeze) set(m *Machine, change func(*squeeze)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
	if m.balloon != nil {
		m.balloon.SetTarget(max(s.user, s.host))
	}
}

// MemoryStats tells what a machine's memory takes of the host, in bytes.
type MemoryStats struct {
	Size     uint64 // of RAM, as the guest sees it
	Resident uint64 // in the host's memory, for this machine alone
	Swapped  uint64 // on the host's swap
	Shared   uint64 // alike in other machines, and held once for all of them
	Zero     uint64 // the rest: never touched or given back; it reads as zero

	Balloon   uint64 // that the guest says it has given
	Target    uint64 // that it was asked for
	Returned  uint64 // given back through the balloon, in all
	Reported  uint64 // given back as free pages, in all
	Free      uint64 // of the guest's, as it last told; 0 if it did not
	Available uint64 // of the guest's, for new programs, as it last told
}

// Memory tells what the machine's memory takes of the host. What the guest
// says is as of the call before.
func (m *Machine) Memory() MemoryStats {
	if m.balloon != nil {
		defer m.balloon.Poll()
	}
	return m.memory()
}

func (m *Machine) memory() MemoryStats {
	s := MemoryStats{Size: m.m.MemorySize()}
	if u, ok := m.m.MemoryUsage(); ok {
		s.Resident, s.Swapped, s.Shared = u.Private, u.Swapped, u.Borrowed
		s.Zero = s.Size - min(s.Size, u.Private+u.Swapped+u.Borrowed)
	}
	if m.balloon != nil {
		b := m.balloon.State()
		s.Balloon, s.Target, s.Returned, s.Reported = min(b.Actual, s.Size), b.Target, b.Returned, b.Reported
		s.Free, _ = b.Stats.Get(balloon.Free)
		s.Available, _ = b.Stats.Get(balloon.Available)
	}
	return s
}

// HostMemoryStats tells what the memory of a host's machines takes of the
// host's, in bytes.
type HostMemoryStats struct {
	Limit    uint64 // that machines may take together; 0 for what the host has
	Counted  uint64 // towards Limit: never less than machines take, and as of now
	Size     uint64 // of all RAM, as guests see it
	Resident uint64 // in the host's memory: each machine's own, and what they share
	Swapped  uint64 // on the host's swap
	Shared   uint64 // of RAM, alike in several machines
	Copies   uint64 // of Resident, for that
	Zero     uint64 // of RAM, takes nothing
	Balloons uint64 // given by guests
	Saved    uint64 // by sharing and by zero pages: Size less Resident and Swapped
}

// Memory tells what the memory of all machines takes, as of the last second: to
// find it out takes some time for each.
func (h *Host) Memory() HostMemoryStats {
	c := &h.memory.counted
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) >= time.Second {
		c.stats = h.countMemory()
		c.at = time.Now()
	}
	s := c.stats
	if b := h.memory.budget; b != nil {
		s.Counted = b.Used()
	}
	return s
}

func (h *Host) countMemory() HostMemoryStats {
	s := HostMemoryStats{Limit: h.memory.limit, Copies: h.memory.pool.Stats().Copies}
	s.Resident = s.Copies
	for _, g := range h.memory.list() {
		one := g.m.memory()
		s.Size += one.Size
		s.Resident += one.Resident
		s.Swapped += one.Swapped
		s.Shared += one.Shared
		s.Zero += one.Zero
		s.Balloons += one.Balloon
	}
	s.Saved = s.Size - min(s.Size, s.Resident+s.Swapped)
	return s
}

// MergeMemory looks once for pages of machines that need not be in memory, as
// the host does by itself when that is short: zero pages, and pages that are
// alike. It returns the bytes that went back to the host.
func (h *Host) MergeMemory() uint64 {
	defer h.memory.counted.forget()
	return h.memory.pool.Merge()
}
