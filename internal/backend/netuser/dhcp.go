package netuser

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// DHCP (RFC 2131, RFC 2132): one address, for whoever asks, or on a shared
// network one for each hardware address.
const (
	dhcpServerPort = 67
	dhcpClientPort = 68

	bootpSize  = 236
	dhcpCookie = 0x63825363

	optMask       = 1
	optRouter     = 3
	optDNS        = 6
	optHostname   = 12
	optMTU        = 26
	optRequested  = 50
	optLease      = 51
	optType       = 53
	optServer     = 54
	optEnd        = 255
	leaseSeconds  = 86400
	maxHostname   = 63
	hardwareBytes = 16
)

// dhcpType is a DHCP message type.
type dhcpType uint8

const (
	dhcpDiscover dhcpType = 1
	dhcpOffer    dhcpType = 2
	dhcpRequest  dhcpType = 3
	dhcpAck      dhcpType = 5
	dhcpNak      dhcpType = 6
	dhcpInform   dhcpType = 8
)

func (t dhcpType) String() string {
	switch t {
	case dhcpDiscover:
		return "discover"
	case dhcpOffer:
		return "offer"
	case dhcpRequest:
		return "request"
	case dhcpAck:
		return "ack"
	case dhcpNak:
		return "nak"
	case dhcpInform:
		return "inform"
	}
	return "other"
}

// isDHCP tells whether a valid packet is for a DHCP server.
func isDHCP(ip header.IPv4) bool {
	udp := header.UDP(ip.Payload())
	return ip.TransportProtocol() == header.UDPProtocolNumber && !ip.More() && ip.FragmentOffset() == 0 &&
		len(udp) >= header.UDPMinimumSize && udp.DestinationPort() == dhcpServerPort
}

// serveDHCP answers a request. What is malformed gets no answer.
func (n *Network) serveDHCP(from tcpip.LinkAddress, ip header.IPv4) {
	m := ip.Payload()[header.UDPMinimumSize:]
	if len(m) < bootpSize+4 || m[0] != 1 || m[2] > hardwareBytes || binary.BigEndian.Uint32(m[bootpSize:]) != dhcpCookie {
		n.droppedIn.Add(1)
		return
	}
	options := parseOptions(m[bootpSize+4:])
	var kind dhcpType
	if t := options[optType]; len(t) == 1 {
		kind = dhcpType(t[0])
	}
	addr, name := n.guest, n.config.Hostname
	if n.config.Shared {
		// The frame's sender, which the switch has checked, and not who it says it is.
		l := n.leases.get(MAC([]byte(from)))
		if l == nil {
			n.droppedIn.Add(1)
			return
		}
		addr, name = l.addr, l.name
	}
	answer := n.answerTo(kind, options, netip.AddrFrom4([4]byte(m[12:16])), addr)
	if answer == 0 {
		return
	}
	reply := n.dhcpReply(m, answer, kind == dhcpInform, addr, name)
	n.link.push(frame{bytes: n.udpBroadcast(from, reply)})
}

// parseOptions reads what is well-formed; the first of each counts.
func parseOptions(b []byte) map[byte][]byte {
	options := map[byte][]byte{}
	for len(b) >= 2 && b[0] != optEnd {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		size := int(b[1])
		if len(b) < 2+size {
			break
		}
		if _, dup := options[b[0]]; !dup {
			options[b[0]] = b[2 : 2+size]
		}
		b = b[2+size:]
	}
	return options
}

// answerTo is the type of the answer, 0 for none. client is the address that
// the client has, and due the one that it gets.
func (n *Network) answerTo(kind dhcpType, options map[byte][]byte, client, due netip.Addr) dhcpType {
	if s := options[optServer]; len(s) == 4 && netip.AddrFrom4([4]byte(s)) != n.gateway {
		return 0 // it chose another server
	}
	switch kind {
	case dhcpDiscover:
		return dhcpOffer
	case dhcpInform:
		return dhcpAck
	case dhcpRequest:
		wanted := client // RFC 2131 §4.3.2: renewing
		if r := options[optRequested]; len(r) == 4 {
			wanted = netip.AddrFrom4([4]byte(r))
		}
		if wanted == due {
			return dhcpAck
		}
		return dhcpNak
	}
	return 0
}

func (n *Network) dhcpReply(request []byte, kind dhcpType, inform bool, addr netip.Addr, name string) []byte {
	m := make([]byte, bootpSize, 512)
	m[0], m[1], m[2] = 2, 1, 6
	copy(m[4:8], request[4:8])     // transaction
	copy(m[10:12], request[10:12]) // flags
	copy(m[12:16], request[12:16]) // client's address
	copy(m[28:44], request[28:44]) // client's hardware address
	if kind != dhcpNak {
		if !inform {
			copy(m[16:20], addr.AsSlice())
		}
		copy(m[20:24], n.gateway.AsSlice()) // next server
	}
	m = binary.BigEndian.AppendUint32(m, dhcpCookie)
	option := func(code byte, value ...byte) { m = append(append(m, code, byte(len(value))), value...) }
	option(optType, byte(kind))
	option(optServer, n.gateway.AsSlice()...)
	if kind != dhcpNak {
		if !inform {
			option(optLease, binary.BigEndian.AppendUint32(nil, leaseSeconds)...)
		}
		option(optMask, 255, 255, 255, 0)
		option(optRouter, n.gateway.AsSlice()...)
		option(optDNS, n.names.AsSlice()...)
		option(optMTU, defaultMTU>>8, defaultMTU&0xff)
		if name != "" {
			option(optHostname, []byte(name[:min(len(name), maxHostname)])...)
		}
	}
	m = append(m, optEnd)
	for len(m) < 300 { // RFC 1542 §2.1: BOOTP's smallest message
		m = append(m, 0)
	}
	return m
}

// udpBroadcast wraps a DHCP message into a frame for a client that has no
// address yet.
func (n *Network) udpBroadcast(to tcpip.LinkAddress, payload []byte) []byte {
	const headers = header.EthernetMinimumSize + header.IPv4MinimumSize + header.UDPMinimumSize
	b := make([]byte, headers+len(payload))
	copy(b[headers:], payload)
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: gatewayMAC, DstAddr: to, Type: header.IPv4ProtocolNumber})
	src, dst := toStack(n.gateway), header.IPv4Broadcast
	ip := header.IPv4(b[header.EthernetMinimumSize:])
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(ip)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber), SrcAddr: src, DstAddr: dst,
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	udp := header.UDP(ip.Payload())
	udp.Encode(&header.UDPFields{SrcPort: dhcpServerPort, DstPort: dhcpClientPort, Length: uint16(len(udp))})
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, src, dst, uint16(len(udp)))
	udp.SetChecksum(^udp.CalculateChecksum(checksum.Checksum(payload, sum)))
	return b
}
