package vswitch

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds of a switch.
const (
	MaxPorts   = 1024
	defaultMTU = 1500
	// stormRate is how many frames a second, and at once, a port may send to
	// all others: broadcasts, multicasts and those to unknown addresses.
	stormRate = 5000
)

// Config describes a switch.
type Config struct {
	// Name is for messages.
	Name string
	// Capture, if not nil, gets each frame that a port sends, once, with the
	// tag of its VLAN unless that is DefaultVLAN. It is closed with the switch.
	Capture *Capture
}

// Switch is an Ethernet switch.
type Switch struct {
	config Config
	mtu    uint16

	mu     sync.Mutex
	ports  []*Port // never changed in place: forward reads it without the lock
	table  table
	cables []*cable
	closed bool
}

// ErrClosed says that a switch takes no more ports.
var ErrClosed = errors.New("the switch is closed")

// New makes a switch without ports.
func New(c Config) *Switch {
	return &Switch{config: c, mtu: defaultMTU, table: newTable()}
}

// Port adds a port. Its owner closes it, or the switch's end does.
func (s *Switch) Port(c PortConfig) (*Port, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	p := newPort(s, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case len(s.ports) >= MaxPorts:
		return nil, fmt.Errorf("switch %s has %d ports, and takes no more", s.config.Name, MaxPorts)
	}
	for _, m := range c.Static {
		if o := s.table.fixed[m]; o != nil {
			return nil, fmt.Errorf("address %v is at port %s of switch %s already", m, o.config.Name, s.config.Name)
		}
	}
	for _, m := range c.Static {
		s.table.fixed[m] = p
	}
	s.ports = append(slices.Clone(s.ports), p)
	return p, nil
}

func (s *Switch) remove(p *Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports = slices.DeleteFunc(slices.Clone(s.ports), func(o *Port) bool { return o == p })
	s.table.forget(p)
}

// forward passes a frame that a port sent on to where it is to go.
func (s *Switch) forward(from *Port, f *frame, v VLAN) {
	from.counts.framesIn.Add(1)
	from.counts.bytesIn.Add(uint64(len(f.bytes)))
	now := time.Now()
	s.mu.Lock()
	if from.closed.Load() { // the table would hold on to it
		s.mu.Unlock()
		return
	}
	if !s.table.learn(f.src, v, from, now) {
		s.mu.Unlock()
		from.drop(dropSource) // somebody else's address
		return
	}
	var to *Port
	if !f.dst.Group() {
		to = s.table.find(f.dst, v, now)
	}
	if to == nil {
		// Bounded, so that nobody can keep all others busy.
		if from.storm.wait(now) > 0 {
			s.mu.Unlock()
			from.drop(dropStorm)
			return
		}
		from.storm.take(1)
	}
	all := s.ports
	s.mu.Unlock()

	if s.config.Capture != nil {
		s.capture(from, f, v)
	}
	if to != nil {
		if to != from && to.member[v] {
			to.deliver(f, v)
		}
		return
	}
	from.counts.floods.Add(1)
	for _, p := range all {
		if p != from && p.member[v] {
			p.deliver(f, v)
		}
	}
}

// Stats counts what passed a port, as seen from the switch.
type Stats struct {
	Name                                   string
	FramesIn, BytesIn, FramesOut, BytesOut uint64
	Floods                                 uint64            // frames in that went to all
	Dropped                                map[string]uint64 // by reason; zeros are left out
	Learned                                int               // addresses
	Queued                                 int               // bytes that wait, with what the host keeps beside them
}

// Stats returns the counters of all ports, in the order of their making.
func (s *Switch) Stats() []Stats {
	s.mu.Lock()
	ports := s.ports
	learned := make([]int, len(ports))
	for i, p := range ports {
		learned[i] = s.table.count[p]
	}
	s.mu.Unlock()
	all := make([]Stats, len(ports))
	for i, p := range ports {
		all[i] = p.stats()
		all[i].Learned = learned[i]
	}
	return all
}

// Stats returns the port's counters but for Learned.
func (p *Port) stats() Stats {
	c := &p.counts
	st := Stats{
		Name: p.config.Name, FramesIn: c.framesIn.Load(), BytesIn: c.bytesIn.Load(),
		FramesOut: c.framesOut.Load(), BytesOut: c.bytesOut.Load(), Floods: c.floods.Load(), Dropped: map[string]uint64{},
	}
	for why := range drops {
		if n := c.dropped[why].Load(); n > 0 {
			st.Dropped[why.String()] = n
		}
	}
	p.inMu.Lock()
	st.Queued = p.in.bytes
	p.inMu.Unlock()
	p.outMu.Lock()
	st.Queued += p.out.bytes
	p.outMu.Unlock()
	return st
}

// Close takes all ports off the switch and ends its uplinks and captures.
func (s *Switch) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	ports, cables := s.ports, s.cables
	s.cables = nil
	s.mu.Unlock()
	if was {
		return nil
	}
	var errs []error
	for _, c := range cables {
		errs = append(errs, c.close())
	}
	for _, p := range ports {
		errs = append(errs, p.Close())
	}
	if s.config.Capture != nil {
		errs = append(errs, s.config.Capture.Close())
	}
	return errors.Join(errs...)
}
