package netuser

import (
	"context"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"doppel/internal/backend"
)

const guestMAC = tcpip.LinkAddress("\x52\x54\x00\x12\x34\x56")

// guest is a machine on the network: a second stack.
type guest struct {
	*stack.Stack
	wire *channel.Endpoint
	mu   sync.Mutex
	big  int // frames that were left to segment
	max  int // longest frame
}

func newGuest(t *testing.T, n *Network, segmentation bool) *guest {
	t.Helper()
	g := &guest{wire: channel.New(1024, defaultMTU+header.EthernetMinimumSize, guestMAC)}
	if segmentation {
		g.wire.LinkEPCapabilities |= stack.CapabilityRXChecksumOffload
	}
	g.Stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	if err := g.CreateNIC(nic, ethernet.New(g.wire)); err != nil {
		t.Fatal(err)
	}
	pa := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: toStack(Guest), PrefixLen: 24}}
	if err := g.AddProtocolAddress(nic, pa, stack.AddressProperties{}); err != nil {
		t.Fatal(err)
	}
	subnet := tcpip.AddressWithPrefix{Address: toStack(Gateway), PrefixLen: 24}.Subnet()
	g.SetRouteTable([]tcpip.Route{{Destination: subnet, NIC: nic}, {Destination: header.IPv4EmptySubnet, Gateway: toStack(Gateway), NIC: nic}})

	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			pkt := g.wire.ReadContext(ctx)
			if pkt == nil {
				return
			}
			b := pkt.ToView().AsSlice()
			n.Send(append([]byte(nil), b...), backend.Offload{})
			pkt.DecRef()
		}
	})
	wake := make(chan struct{}, 1)
	n.SetReady(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	n.SetSegmentation(segmentation, false)
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-wake:
			}
			for b, o, ok := n.Receive(); ok; b, o, ok = n.Receive() {
				g.take(b, o)
			}
		}
	})
	t.Cleanup(func() {
		n.Close()
		cancel()
		wg.Wait()
		g.Stack.Destroy()
	})
	return g
}

func (g *guest) take(b []byte, o backend.Offload) {
	g.mu.Lock()
	if o.GSO != backend.GSONone {
		g.big++
	}
	g.max = max(g.max, len(b))
	g.mu.Unlock()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	defer pkt.DecRef()
	g.wire.InjectInbound(0, pkt)
}
