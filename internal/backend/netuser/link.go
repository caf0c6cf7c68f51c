package netuser

import (
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"doppel/internal/backend"
)

// maxQueued bounds the frames, in bytes, that wait for the guest.
const maxQueued = 2 << 20

// frame is one on its way to the guest.
type frame struct {
	bytes   []byte
	offload backend.Offload
}

// link is the stack's network card, with the guest at the other end of the
// wire.
type link struct {
	mu         sync.Mutex
	dispatcher stack.NetworkDispatcher
	queue      []frame
	queued     int // bytes
	drops      uint64
	ready      func()
	starved    bool // Receive found nothing: the next frame calls ready
	tcp4       bool // the guest takes segmentation
	closed     bool
}

func newLink() *link { return &link{starved: true} }

func (l *link) MTU() uint32                             { return defaultMTU }
func (l *link) SetMTU(uint32)                           {}
func (l *link) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (l *link) LinkAddress() tcpip.LinkAddress          { return gatewayMAC }
func (l *link) SetLinkAddress(tcpip.LinkAddress)        {}
func (l *link) Wait()                                   {}
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (l *link) AddHeader(*stack.PacketBuffer)           {}
func (l *link) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (l *link) SetOnCloseAction(func())                 {}
func (l *link) GSOMaxSize() uint32                      { return 60 << 10 } // with headers within 64 KiB

// Capabilities: a guest's frame has not crossed any wire, so that its
// checksums, often left out, are not looked at.
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired | stack.CapabilityRXChecksumOffload
}

// SupportedGSO is asked for each new connection.
func (l *link) SupportedGSO() stack.SupportedGSO {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tcp4 {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

func (l *link) Attach(d stack.NetworkDispatcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dispatcher = d
}

func (l *link) IsAttached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dispatcher != nil
}

func (l *link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.queue, l.queued = nil, 0
}

// deliver hands a packet from the guest to the stack.
func (l *link) deliver(proto tcpip.NetworkProtocolNumber, packet []byte) {
	l.mu.Lock()
	d := l.dispatcher
	l.mu.Unlock()
	if d == nil {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
	defer pkt.DecRef()
	d.DeliverNetworkPacket(proto, pkt)
}

// WritePackets takes packets from the stack.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range pkts.AsSlice() {
		if !l.push(encode(pkt)) {
			return n, &tcpip.ErrNoBufferSpace{}
		}
		n++
	}
	return n, nil
}

// encode makes a frame of a packet.
func encode(pkt *stack.PacketBuffer) frame {
	b := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+pkt.Size())
	header.Ethernet(b).Encode(&header.EthernetFields{
		SrcAddr: gatewayMAC,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
	for _, s := range pkt.AsSlices() {
		b = append(b, s...)
	}
	f := frame{bytes: b}
	if g := pkt.GSOOptions; g.Type == stack.GSOTCPv4 && g.NeedsCsum {
		f.offload = offload(pkt, g)
	}
	return f
}

func offload(pkt *stack.PacketBuffer, g stack.GSO) backend.Offload {
	start := header.EthernetMinimumSize + len(pkt.NetworkHeader().Slice())
	o := backend.Offload{NeedsChecksum: true, ChecksumStart: uint16(start), ChecksumOffset: g.CsumOffset}
	if pkt.Data().Size() > int(g.MSS) && g.MSS > 0 {
		o.GSO = backend.GSOTCP4
		o.SegmentSize = g.MSS
		o.HeaderLen = uint16(start + len(pkt.TransportHeader().Slice()))
	}
	return o
}

// push queues a frame for the guest, false if there is no room.
func (l *link) push(f frame) bool {
	l.mu.Lock()
	if l.closed || l.queued+len(f.bytes) > maxQueued {
		l.drops++
		l.mu.Unlock()
		return false
	}
	l.queue = append(l.queue, f)
	l.queued += len(f.bytes)
	var ready func()
	if l.starved {
		ready = l.ready
		l.starved = false
	}
	l.mu.Unlock()
	if ready != nil {
		ready()
	}
	return true
}

func (l *link) receive() (frame, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue = nil // what was taken is free to go
		l.starved = true
		return frame{}, false
	}
	f := l.queue[0]
	l.queue[0] = frame{}
	l.queue = l.queue[1:]
	l.queued -= len(f.bytes)
	return f, true
}

func (l *link) dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drops
}

// Receive returns the next frame for the guest.
func (n *Network) Receive() ([]byte, backend.Offload, bool) {
	f, ok := n.link.receive()
	return f.bytes, f.offload, ok
}

// SetReady names what is called when a frame has come after none was there.
func (n *Network) SetReady(fn func()) {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	n.link.ready = fn
	n.link.starved = true
}

// SetSegmentation tells whether the guest takes unsegmented TCP.
func (n *Network) SetSegmentation(tcp4, _ bool) {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	n.link.tcp4 = tcp4
}

// Send takes a frame from the guest. Offloads need no work: the stack neither
// checks sums nor minds long segments.
func (n *Network) Send(b []byte, _ backend.Offload) {
	if len(b) < header.EthernetMinimumSize || len(b) > backend.MaxFrame {
		n.droppedIn.Add(1)
		return
	}
	eth := header.Ethernet(b)
	packet := b[header.EthernetMinimumSize:]
	switch eth.Type() {
	case header.ARPProtocolNumber:
		if n.ours(eth, packet) {
			n.link.deliver(header.ARPProtocolNumber, packet)
		}
	case header.IPv4ProtocolNumber:
		if n.config.Shared && eth.DestinationAddress() != gatewayMAC && b[0]&1 == 0 {
			return // for another machine, that the switch does not know yet
		}
		n.sendIPv4(eth.SourceAddress(), packet)
	default:
		n.droppedIn.Add(1)
	}
}

// ours tells whether an ARP packet is for the stack, which would answer in
// everybody's name: on a shared network, questions are for whom they ask.
func (n *Network) ours(eth header.Ethernet, packet []byte) bool {
	if !n.config.Shared {
		return true
	}
	a := header.ARP(packet)
	if !a.IsValid() {
		n.droppedIn.Add(1)
		return false
	}
	target := netip.AddrFrom4([4]byte(a.ProtocolAddressTarget()))
	return a.Op() == header.ARPReply && eth.DestinationAddress() == gatewayMAC || a.Op() == header.ARPRequest && (target == n.gateway || target == n.names)
}

func (n *Network) sendIPv4(from tcpip.LinkAddress, packet []byte) {
	ip := header.IPv4(packet)
	if !ip.IsValid(len(packet)) {
		n.droppedIn.Add(1)
		return
	}
	if isDHCP(ip) {
		n.serveDHCP(from, ip)
		return
	}
	dst := fromStack(ip.DestinationAddress())
	own := dst == n.gateway || dst == n.names
	// The stack would answer an echo request in anybody's name; and group
	// and broadcast traffic has nobody to go to.
	if ip.TransportProtocol() == header.ICMPv4ProtocolNumber && !own || !own && !n.routable(dst) {
		n.droppedIn.Add(1)
		return
	}
	n.link.deliver(header.IPv4ProtocolNumber, packet)
}
