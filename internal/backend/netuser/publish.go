package netuser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// Publish is a port of the guest that the host offers.
type Publish struct {
	Host  netip.AddrPort // port 0: one that is free
	Guest uint16
	UDP   bool
	// To is a station of a shared network; not valid: the machine's own.
	To netip.Addr
}

func (p Publish) network() string {
	if p.UDP {
		return "udp"
	}
	return "tcp"
}

func (p Publish) String() string {
	s := fmt.Sprintf("%s:%d", p.Host, p.Guest)
	if p.UDP {
		s += "/udp"
	}
	return s
}

// ParsePublish reads [ADDR:]HOST:GUEST[/tcp|/udp]. Without an address, only
// programs on the host itself reach the port.
func ParsePublish(s string) (Publish, error) {
	bad := func(why string) (Publish, error) {
		return Publish{}, fmt.Errorf("--publish %q: %s; want [ADDR:]HOST:GUEST[/udp], for example 8080:80 or 0.0.0.0:2222:22", s, why)
	}
	rest, proto, _ := strings.Cut(s, "/")
	p := Publish{UDP: proto == "udp"}
	if proto != "" && proto != "udp" && proto != "tcp" {
		return bad(fmt.Sprintf("protocol %q is not tcp or udp", proto))
	}
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return bad("the guest's port is missing")
	}
	guest, err := strconv.ParseUint(rest[i+1:], 10, 16)
	if err != nil || guest == 0 {
		return bad(fmt.Sprintf("guest port %q is not 1 to 65535", rest[i+1:]))
	}
	p.Guest = uint16(guest)
	addr, port := loopback, rest[:i]
	if j := strings.LastIndexByte(port, ':'); j >= 0 {
		text := strings.TrimSuffix(strings.TrimPrefix(port[:j], "["), "]")
		if addr, err = netip.ParseAddr(text); err != nil {
			return bad(fmt.Sprintf("%q is not an IP address", text))
		}
		port = port[j+1:]
	}
	host, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return bad(fmt.Sprintf("host port %q is not 0 to 65535", port))
	}
	p.Host = netip.AddrPortFrom(addr, uint16(host))
	return p, nil
}

// explain says what to do about a port that cannot be had.
func (p Publish) explain(err error) error {
	remedy := "choose another address or port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("--publish %s: %s port %d of %s is in use on the host; stop the program that has it, or choose another port",
			p, p.network(), p.Host.Port(), p.Host.Addr())
	case errors.Is(err, syscall.EACCES):
		remedy = "choose a port from 1024 up"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "the host does not have that address"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("--publish %s: port %d of %s cannot be opened: %w; %s", p, p.Host.Port(), p.Host.Addr(), err, remedy)
}

// Publish offers a port until what it returns is closed, or the network.
func (n *Network) Publish(p Publish) (io.Closer, error) {
	if !p.To.IsValid() {
		p.To = n.guest
	}
	if p.UDP {
		return n.publishUDP(p)
	}
	l, err := net.Listen("tcp", p.Host.String())
	if err != nil {
		return nil, p.explain(err)
	}
	if !n.track(l) || !n.begin(func() { n.acceptLoop(l, p) }) {
		l.Close()
		return nil, net.ErrClosed
	}
	n.addPublished(l.Addr())
	return tracked{n, l}, nil
}

// tracked is a socket that the network closes unless its owner does before.
type tracked struct {
	n *Network
	io.Closer
}

func (t tracked) Close() error {
	t.n.untrack(t.Closer)
	return t.Closer.Close()
}

func (n *Network) acceptLoop(l net.Listener, p Publish) {
	defer l.Close()
	for {
		host, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || n.ctx.Err() != nil {
				return
			}
			time.Sleep(50 * time.Millisecond) // out of descriptors, for example
			continue
		}
		if !n.take(n.tcp, p.To) {
			host.Close()
			continue
		}
		run := func() {
			defer n.tcp.give(p.To)
			n.inbound(host, p)
		}
		if !n.begin(run) {
			n.tcp.give(p.To)
			host.Close()
		}
	}
}

// inbound connects a client of the host to the guest.
func (n *Network) inbound(host net.Conn, p Publish) {
	ctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
	defer cancel()
	guest, err := gonet.DialTCPWithBind(ctx, n.stack, fullAddress(n.gateway, 0), fullAddress(p.To, p.Guest), ipv4.ProtocolNumber)
	if err != nil {
		host.Close()
		return
	}
	n.join(guest, host)
}

func fullAddress(a netip.Addr, port uint16) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: toStack(a), Port: port}
}

// Published lists the addresses on which ports are published, in order.
func (n *Network) Published() []net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.published
}

func (n *Network) addPublished(a net.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.published = append(n.published, a)
}

func (n *Network) publishUDP(p Publish) (io.Closer, error) {
	pc, err := net.ListenPacket("udp", p.Host.String())
	if err != nil {
		return nil, p.explain(err)
	}
	f := &udpPort{n: n, p: p, host: pc, flows: map[string]*gonet.UDPConn{}}
	if !n.track(pc) || !n.begin(f.serve) {
		pc.Close()
		return nil, net.ErrClosed
	}
	n.addPublished(pc.LocalAddr())
	return tracked{n, pc}, nil
}
