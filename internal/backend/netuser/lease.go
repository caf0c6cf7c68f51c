package netuser

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// MAC is a hardware address.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// firstHost and lastHost bound the addresses that stations get, by their last
// byte.
const (
	firstHost = 15
	lastHost  = 254
)

// lease is an address that a station has.
type lease struct {
	mac      MAC
	addr     netip.Addr
	name     string // "" if it was not reserved
	reserved bool
}

// leases gives each station of a shared network an address of its own. Those
// that were reserved stay; of the others, when all are taken, the one that was
// asked for longest ago goes to who asks: a machine that makes addresses up
// takes from its like.
type leases struct {
	subnet netip.Prefix

	mu  sync.Mutex
	all []*lease // the longest not asked for first
}

func (l *leases) find(is func(*lease) bool) *lease {
	if i := slices.IndexFunc(l.all, is); i >= 0 {
		return l.all[i]
	}
	return nil
}

// free returns an address that nobody has; the lock is held.
func (l *leases) free() (netip.Addr, bool) {
	for n := firstHost; n <= lastHost; n++ {
		a := at(l.subnet, byte(n))
		if l.find(func(e *lease) bool { return e.addr == a }) == nil {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// get returns the lease of a station, a new one if it has none; nil if all
// addresses are reserved.
func (l *leases) get(m MAC) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.find(func(e *lease) bool { return e.mac == m })
	if e == nil {
		e = l.grant(m)
		if e == nil {
			return nil
		}
	} else {
		l.all = slices.DeleteFunc(l.all, func(o *lease) bool { return o == e })
	}
	l.all = append(l.all, e)
	copied := *e
	return &copied
}

// grant makes a lease; the lock is held.
func (l *leases) grant(m MAC) *lease {
	if a, ok := l.free(); ok {
		return &lease{mac: m, addr: a}
	}
	old := l.find(func(e *lease) bool { return !e.reserved })
	if old == nil {
		return nil
	}
	l.all = slices.DeleteFunc(l.all, func(o *lease) bool { return o == old })
	return &lease{mac: m, addr: old.addr}
}

// named returns the address of the machine of that name.
func (l *leases) named(name string) (netip.Addr, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.find(func(e *lease) bool { return e.name != "" && strings.EqualFold(e.name, name) }); e != nil {
		return e.addr, true
	}
	return netip.Addr{}, false
}

// Reserve keeps an address of a shared network for a station, and tells it the
// name, by which the others find it.
func (n *Network) Reserve(m MAC, name string) (netip.Addr, error) {
	if !n.config.Shared {
		return netip.Addr{}, errors.New("the network is one machine's")
	}
	l := &n.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.find(func(e *lease) bool { return e.mac == m }); e != nil && e.reserved {
		return netip.Addr{}, fmt.Errorf("address %v is another machine's", m)
	} else if e != nil {
		e.name, e.reserved = name, true
		return e.addr, nil
	}
	e := l.grant(m)
	if e == nil {
		return netip.Addr{}, fmt.Errorf("network %v has no address left: it serves %d machines", l.subnet, lastHost-firstHost+1)
	}
	e.name, e.reserved = name, true
	l.all = append(l.all, e)
	return e.addr, nil
}

// Address is the one that a station has, not valid if it has none.
func (n *Network) Address(m MAC) netip.Addr {
	l := &n.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.find(func(e *lease) bool { return e.mac == m }); e != nil {
		return e.addr
	}
	return netip.Addr{}
}

// Release ends a reservation.
func (n *Network) Release(m MAC) {
	l := &n.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(e *lease) bool { return e.mac == m })
}

// at is the address of a network with the given last byte.
func at(p netip.Prefix, last byte) netip.Addr {
	b := p.Masked().Addr().As4()
	b[3] = last
	return netip.AddrFrom4(b)
}
