package netuser

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"doppel/internal/backend"
)

// from makes a frame another station's.
func from(m MAC, b []byte) []byte {
	copy(b[6:12], m[:])
	return b
}

// discover is the address that a station is offered, and its name.
func discover(t *testing.T, n *Network, m MAC) (netip.Addr, string) {
	t.Helper()
	n.Send(from(m, dhcpFrame(dhcpDiscover)), backend.Offload{})
	b, _, ok := n.Receive()
	if !ok {
		return netip.Addr{}, ""
	}
	if to := header.Ethernet(b).DestinationAddress(); to != tcpip.LinkAddress(m[:]) {
		t.Fatalf("the answer went to %v", to)
	}
	msg := header.UDP(header.IPv4(b[14:]).Payload()).Payload()
	return netip.AddrFrom4([4]byte(msg[16:20])), string(parseOptions(msg[bootpSize+4:])[optHostname])
}

// Each station has an address of its own, the same each time; a reservation
// stays whatever others ask for; and names are found.
func TestSharedLeases(t *testing.T) {
	n := start(t, Config{Shared: true, Subnet: netip.MustParsePrefix("10.9.8.0/24"), Nameservers: []string{}})
	station := func(i int) MAC { return MAC{2, 0, 0, 0, byte(i >> 8), byte(i)} }
	web := station(9000)
	reserved, err := n.Reserve(web, "web")
	if err != nil || reserved.String() != "10.9.8.15" {
		t.Fatalf("reserved %v, %v", reserved, err)
	}
	if _, err := n.Reserve(web, "web"); err == nil {
		t.Error("reserved twice")
	}
	first, _ := discover(t, n, station(0))
	second, _ := discover(t, n, station(1))
	if again, _ := discover(t, n, station(0)); again != first || first.String() != "10.9.8.16" || second.String() != "10.9.8.17" {
		t.Errorf("addresses %v, %v, then %v", first, second, again)
	}
	for i := range 1000 { // makes addresses up
		if a, _ := discover(t, n, station(100+i)); !a.IsValid() || a == reserved {
			t.Fatalf("station %d is offered %v", i, a)
		}
	}
	if n := len(n.leases.all); n != lastHost-firstHost+1 {
		t.Errorf("%d leases", n)
	}
	if a, name := discover(t, n, web); a != reserved || name != "web" {
		t.Errorf("a reserved address: %v, %q", a, name)
	}
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("WEB."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	if all, code := n.lookup(t.Context(), q); code != dnsmessage.RCodeSuccess || fmt.Sprint(all) != "[10.9.8.15]" {
		t.Errorf("lookup: %v, %v", all, code)
	}
	q.Type = dnsmessage.TypeAAAA
	if all, code := n.lookup(t.Context(), q); code != dnsmessage.RCodeSuccess || len(all) != 0 {
		t.Errorf("lookup of IPv6: %v, %v", all, code)
	}
	n.Release(web)
	if _, ok := n.leases.named("web"); ok {
		t.Error("a released name is found")
	}
	for i := range lastHost - firstHost + 1 {
		if _, err := n.Reserve(station(5000+i), fmt.Sprint("m", i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := n.Reserve(station(8000), "late"); err == nil || !strings.Contains(err.Error(), "240") {
		t.Errorf("a network that is full: %v", err)
	}
	if a, _ := discover(t, n, station(8001)); a.IsValid() {
		t.Errorf("a network that is full offers %v", a)
	}
}

// The stack answers for the gateway and the DNS server only: machines find
// each other themselves.
func TestSharedARP(t *testing.T) {
	n := start(t, Config{Shared: true})
	for target, want := range map[netip.Addr]bool{Gateway: true, DNSServer: true, netip.MustParseAddr("10.0.2.16"): false, netip.MustParseAddr("192.0.2.1"): false} {
		b := arpRequest()
		copy(header.ARP(b[14:]).ProtocolAddressTarget(), target.AsSlice())
		n.Send(b, backend.Offload{})
		_, _, got := n.Receive()
		if !got && want { // the stack answers on a goroutine of its own
			for deadline := time.Now().Add(20 * time.Second); !got && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				_, _, got = n.Receive()
			}
		}
		if got != want {
			t.Errorf("who has %v: answered %v, want %v", target, got, want)
		}
	}
	// What a switch floods for another machine is not for the stack.
	b := pingFrame(Gateway)
	copy(b, "\x02\x00\x00\x00\x00\x05")
	n.Send(b, backend.Offload{})
	if _, _, got := n.Receive(); got {
		t.Error("the gateway answered a frame for another machine")
	}
	n.Send(arpRequest()[:20], backend.Offload{})
}

// A machine that uses all it may leaves the others theirs.
func TestSharedQuota(t *testing.T) {
	sink, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	n := start(t, Config{Shared: true})
	for port := range 1000 {
		n.Send(udpFrame(uint16(1000+port), uint16(sink.LocalAddr().(*net.UDPAddr).Port)), backend.Offload{})
	}
	if got := n.udp.sum; got != maxUDP {
		t.Errorf("one machine has %d flows, want %d", got, maxUDP)
	}
	if !n.udp.take(netip.MustParseAddr("10.0.2.16")) {
		t.Error("another machine has none")
	}
	q := newQuota(2, 3)
	a, b := netip.MustParseAddr("10.0.2.1"), netip.MustParseAddr("10.0.2.2")
	for i, c := range []struct {
		who  netip.Addr
		want bool
	}{{a, true}, {a, true}, {a, false}, {b, true}, {b, false}} {
		if q.take(c.who) != c.want {
			t.Errorf("a quota of 2 each and 3 together: number %d", i)
		}
	}
	q.give(a)
	if !q.take(b) || len(q.held) != 2 {
		t.Error("what was given back is not there")
	}
}

// A port is published for one station, and free again when that ends.
func TestSharedPublish(t *testing.T) {
	n := start(t, Config{Shared: true})
	g := newGuest(t, n, false) // has Guest's address
	addr, err := n.Reserve(MAC([]byte(guestMAC)), "m")
	if err != nil || addr != Guest {
		t.Fatal(addr, err)
	}
	l, err := gonet.ListenTCP(g.Stack, tcpip.FullAddress{NIC: nic, Port: 80}, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	for _, udp := range []bool{false, true} {
		c, err := n.Publish(Publish{Host: netip.MustParseAddrPort("127.0.0.1:0"), Guest: 80, To: addr, UDP: udp})
		if err != nil {
			t.Fatal(err)
		}
		at := n.Published()[len(n.Published())-1]
		if !udp {
			conn, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			if b, err := io.ReadAll(conn); string(b) != "hello" {
				t.Errorf("got %q, %v", b, err)
			}
			conn.Close()
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		again, err := n.Publish(Publish{Host: netip.MustParseAddrPort(at.String()), Guest: 80, To: addr, UDP: udp})
		if err != nil {
			t.Errorf("a port that was closed: %v", err)
			continue
		}
		again.Close()
	}
	n.Close()
	if _, err := n.Publish(Publish{Host: netip.MustParseAddrPort("127.0.0.1:0"), Guest: 80}); err == nil {
		t.Error("a closed network publishes")
	}
}

func TestSubnet(t *testing.T) {
	for _, s := range []string{"10.0.3.0/16", "8.8.8.0/24", "fd00::/24", "10.0.3.0/28"} {
		if n, err := New(Config{Subnet: netip.MustParsePrefix(s)}); err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %v", s, err)
			if err == nil {
				n.Close()
			}
		}
	}
}
