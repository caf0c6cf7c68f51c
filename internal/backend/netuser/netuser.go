// Package netuser is a network in user mode: a gateway with DHCP, DNS and
// address translation, which needs no privilege on the host. Its addresses are
// those that people know from QEMU: network 10.0.2.0/24, gateway (and the
// host's loopback) 10.0.2.2, DNS 10.0.2.3, guest 10.0.2.15.
//
// It is one machine's, or shared by those of a switch: each then has an
// address of its own, from 10.0.2.15 up, is found by its name, and holds no
// more connections than it would alone. What machines send each other does
// not pass here.
//
// The guest's TCP connections and UDP flows end in a network stack in this
// process (gVisor's) and continue as sockets of the host. IPv6, and ICMP
// beyond the gateway, do not pass.
//
// Threads: any goroutine may call a Network. Each connection has goroutines of
// its own; their number is bounded, as is what waits in every queue. Lock
// order: Network.mu and link.mu are never held together, and neither is held
// while the stack or the host is called.
package netuser

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// The network's addresses, unless Config.Subnet says otherwise.
var (
	Subnet    = netip.MustParsePrefix("10.0.2.0/24")
	Gateway   = netip.MustParseAddr("10.0.2.2")
	DNSServer = netip.MustParseAddr("10.0.2.3")
	Guest     = netip.MustParseAddr("10.0.2.15")
)

// GatewayMAC is the hardware address of the gateway and of the DNS server.
var GatewayMAC = MAC{0x52, 0x55, 0x0a, 0x00, 0x02, 0x02}

var gatewayMAC = tcpip.LinkAddress(GatewayMAC[:])

// Bounds on what one guest may occupy on the host.
const (
	maxTCP     = 256       // connections, with two file descriptors' worth of buffers each
	maxUDP     = 256       // flows
	maxDialing = 64        // connections that are being made
	sharing    = 4         // so many times that for all machines of a shared network
	tcpBuffer  = 128 << 10 // bytes a connection may hold in each direction
	defaultMTU = 1500
	nic        = tcpip.NICID(1)
)

// Config describes a network.
type Config struct {
	Publish []Publish
	// Hostname is told to the guest by DHCP, if not empty.
	Hostname string
	// Shared: several machines are on the network.
	Shared bool
	// Subnet is the network, of 24 bits; Subnet above if not valid.
	Subnet netip.Prefix
	// Resolver answers for names; the host's if nil.
	Resolver *net.Resolver
	// Nameservers get the questions that a Resolver cannot put, as
	// address:port; those of the host's resolv.conf if nil.
	Nameservers []string
}

// Stats counts what was refused.
type Stats struct {
	DroppedIn  uint64 // frames from the guest that were malformed or not for us
	DroppedOut uint64 // frames to the guest that found the queue full
	Refused    uint64 // connections and flows over the limits
}

// Network is a backend.Network.
type Network struct {
	config  Config
	link    *link
	stack   *stack.Stack
	ctx     context.Context // ends with the network
	cancel  context.CancelFunc
	tcp     *quota // of connections
	udp     *quota // of flows
	dialing *quota // of connections that are being made
	done    sync.WaitGroup

	subnet                netip.Prefix
	gateway, names, guest netip.Addr // guest: of a network that is not shared
	leases                leases

	halfOpen time.Duration // shorter in a test

	droppedIn, refused atomic.Uint64

	mu        sync.Mutex
	closed    bool
	closers   map[interface{ Close() error }]struct{} // sockets to close at the end
	published []net.Addr
}

// ValidSubnet tells whether a network can have these addresses.
func ValidSubnet(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() == Subnet.Bits() && p.Addr().IsPrivate()
}

// New starts a network and its published ports.
func New(c Config) (*Network, error) {
	ctx, cancel := context.WithCancel(context.Background())
	n := &Network{
		config: c, ctx: ctx, cancel: cancel, subnet: c.Subnet,
		closers: map[interface{ Close() error }]struct{}{}, halfOpen: halfOpen,
	}
	if !n.subnet.IsValid() {
		n.subnet = Subnet
	}
	if !ValidSubnet(n.subnet) {
		cancel()
		return nil, fmt.Errorf("user network: subnet %v: must be a private IPv4 network of %d bits, such as 10.0.3.0/24", n.subnet, Subnet.Bits())
	}
	n.gateway, n.names, n.guest = at(n.subnet, 2), at(n.subnet, 3), at(n.subnet, firstHost)
	n.leases.subnet = n.subnet
	times := 1
	if c.Shared {
		times = sharing
	}
	n.tcp, n.udp, n.dialing = newQuota(maxTCP, times*maxTCP), newQuota(maxUDP, times*maxUDP), newQuota(maxDialing, times*maxDialing)
	n.link = newLink()
	if err := n.startStack(); err != nil {
		n.Close()
		return nil, fmt.Errorf("user network: %w", err)
	}
	for _, p := range c.Publish {
		if _, err := n.Publish(p); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

func (n *Network) startStack() error {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	n.stack = s
	if err := s.CreateNIC(nic, n.link); err != nil {
		return stackError(err)
	}
	for _, a := range []netip.Addr{n.gateway, n.names} {
		pa := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: toStack(a), PrefixLen: n.subnet.Bits()}}
		if err := s.AddProtocolAddress(nic, pa, stack.AddressProperties{}); err != nil {
			return stackError(err)
		}
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	// The stack answers in the name of every address that the guest calls.
	s.SetPromiscuousMode(nic, true)
	s.SetSpoofing(nic, true)
	if err := setBuffers(s); err != nil {
		return stackError(err)
	}
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(s, tcpBuffer, n.dialing.all, n.forwardTCP).HandlePacket)
	s.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(s, n.forwardUDP).HandlePacket)
	return nil
}

func setBuffers(s *stack.Stack) tcpip.Error {
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: tcpBuffer, Max: tcpBuffer}
	if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, &send); err != nil {
		return err
	}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: tcpBuffer, Max: tcpBuffer}
	if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive); err != nil {
		return err
	}
	moderate := tcpip.TCPModerateReceiveBufferOption(false) // would grow beyond the bound
	if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate); err != nil {
		return err
	}
	sack := tcpip.TCPSACKEnabled(true)
	return s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
}

func toStack(a netip.Addr) tcpip.Address { return tcpip.AddrFrom4(a.As4()) }

func fromStack(a tcpip.Address) netip.Addr { return netip.AddrFrom4(a.As4()) }

func stackError(err tcpip.Error) error { return fmt.Errorf("network stack: %s", err) }

// MTU is the largest packet in bytes.
func (n *Network) MTU() uint16 { return defaultMTU }

// Stats returns the counters.
func (n *Network) Stats() Stats {
	return Stats{DroppedIn: n.droppedIn.Load(), DroppedOut: n.link.dropped(), Refused: n.refused.Load()}
}

// track registers a socket to close with the network, false if that is
// closed already.
func (n *Network) track(c interface{ Close() error }) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.closers[c] = struct{}{}
	return true
}

func (n *Network) untrack(c interface{ Close() error }) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.closers, c)
}

// Close ends every connection, and waits for their goroutines.
func (n *Network) Close() error {
	n.cancel()
	n.mu.Lock()
	n.closed = true
	closers := n.closers
	n.closers = nil
	n.mu.Unlock()
	for c := range closers {
		c.Close()
	}
	n.done.Wait()
	n.link.Close()
	if n.stack != nil {
		n.stack.Close()
	}
	return nil
}
