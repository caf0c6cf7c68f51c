package netuser

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"doppel/internal/backend"
)

func start(t *testing.T, c Config) *Network {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func (g *guest) dial(ctx context.Context, a netip.Addr, port uint16) (net.Conn, error) {
	return gonet.DialContextTCP(ctx, g.Stack, fullAddress(a, port), ipv4.ProtocolNumber)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// The guest fetches a file from a server on the host's loopback through the
// gateway, and sends one.
func TestHTTPThroughGateway(t *testing.T) {
	for _, segmentation := range []bool{false, true} {
		t.Run(fmt.Sprintf("segmentation=%v", segmentation), func(t *testing.T) {
			body := make([]byte, 3<<20)
			for i := range body {
				body[i] = byte(rand.Uint32())
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					got, _ := io.ReadAll(r.Body)
					fmt.Fprint(w, bytes.Equal(got, body))
					return
				}
				w.Write(body)
			}))
			defer server.Close()
			_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
			n := start(t, Config{})
			g := newGuest(t, n, segmentation)
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				ap := netip.MustParseAddrPort(addr)
				return g.dial(ctx, ap.Addr(), ap.Port())
			}}, Timeout: 30 * time.Second}
			url := "http://" + net.JoinHostPort(Gateway.String(), port)
			r, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("fetched %d bytes, %v", len(got), err)
			}
			r, err = client.Post(url, "application/octet-stream", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, _ = io.ReadAll(r.Body)
			if string(got) != "true" {
				t.Errorf("the server got something else: %s", got)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if segmentation && g.big == 0 {
				t.Error("no long segments were sent")
			}
			if !segmentation && g.max > defaultMTU+header.EthernetMinimumSize || g.max > backend.MaxFrame {
				t.Errorf("a frame of %d bytes", g.max)
			}
		})
	}
}

// TestHalfOpen: a client that has said all it has to say gets its answer to
// the end, however long that takes, as long as something passes.
func TestHalfOpen(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const pieces, patience = 8, 400 * time.Millisecond
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.ReadAll(c) // until the client's end
		for range pieces {
			c.Write([]byte("x"))
			time.Sleep(patience / 4)
		}
	}()
	n := start(t, Config{})
	n.halfOpen = patience
	g := newGuest(t, n, false)
	c, err := g.dial(within(t), Gateway, uint16(l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(halfCloser).CloseWrite()
	if got, err := io.ReadAll(c); len(got) != pieces || err != nil {
		t.Errorf("got %d bytes of %d, %v", len(got), pieces, err)
	}
}

func TestRefused(t *testing.T) {
	n := start(t, Config{})
	g := newGuest(t, n, false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	for _, a := range []netip.Addr{Gateway, DNSServer} {
		if c, err := g.dial(within(t), a, uint16(port)); err == nil {
			c.Close()
			t.Errorf("connected to %v", a)
		}
	}
}

func TestPublishTCP(t *testing.T) {
	p, err := ParsePublish("0:7")
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, Config{Publish: []Publish{p}})
	g := newGuest(t, n, false)
	l, err := gonet.ListenTCP(g.Stack, tcpip.FullAddress{NIC: nic, Port: 7}, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	for i := range 5 {
		c, err := net.Dial("tcp", n.Published()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		want := bytes.Repeat([]byte{byte(i)}, 100_000)
		go func() {
			c.Write(want)
			c.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		c.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("echo of %d bytes, %v", len(got), err)
		}
	}
}

func TestPublishUDP(t *testing.T) {
	p, _ := ParsePublish("0:7/udp")
	n := start(t, Config{Publish: []Publish{p}})
	g := newGuest(t, n, false)
	pc, err := gonet.DialUDP(g.Stack, &tcpip.FullAddress{NIC: nic, Port: 7}, nil, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 2000)
		for {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(buf[:size], from)
		}
	}()
	echo(t, n.Published()[0].String())
}

func echo(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c, []byte("ping"), func(b []byte) bool { return string(b) == "ping" })
}

// ask sends q until an answer satisfies ok: datagrams may be lost.
func ask(t *testing.T, c net.Conn, q []byte, ok func([]byte) bool) {
	t.Helper()
	buf := make([]byte, 4096)
	for range 20 {
		c.Write(q)
		c.SetReadDeadline(time.Now().Add(time.Second))
		if size, err := c.Read(buf); err == nil {
			if !ok(buf[:size]) {
				t.Fatalf("answer %x", buf[:size])
			}
			return
		}
	}
	t.Fatal("no answer")
}

func TestUDPThroughGateway(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 2000)
		for {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(bytes.ToUpper(buf[:size]), from)
		}
	}()
	n := start(t, Config{})
	g := newGuest(t, n, false)
	to := fullAddress(Gateway, uint16(pc.LocalAddr().(*net.UDPAddr).Port))
	c, err := gonet.DialUDP(g.Stack, nil, &to, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c, []byte("hello"), func(b []byte) bool { return string(b) == "HELLO" })
}

func query(t *testing.T, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 77, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Names that the host knows are known to the guest, by UDP and by TCP.
func TestDNS(t *testing.T) {
	n := start(t, Config{Nameservers: []string{}})
	g := newGuest(t, n, false)
	to := fullAddress(DNSServer, dnsPort)
	c, err := gonet.DialUDP(g.Stack, nil, &to, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	check := func(b []byte) bool {
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil || m.ID != 77 || !m.Response || len(m.Answers) == 0 {
			return false
		}
		a, ok := m.Answers[0].Body.(*dnsmessage.AResource)
		return ok && a.A == [4]byte{127, 0, 0, 1}
	}
	ask(t, c, query(t, "localhost.", dnsmessage.TypeA), check)
	failed := func(b []byte) bool {
		var m dnsmessage.Message
		return m.Unpack(b) == nil && m.RCode == dnsmessage.RCodeServerFailure
	}
	ask(t, c, query(t, "localhost.", dnsmessage.TypeMX), failed) // no name server

	stream, err := g.dial(within(t), DNSServer, dnsPort)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	stream.SetDeadline(time.Now().Add(20 * time.Second))
	for range 2 {
		if err := writeMessage(stream, query(t, "localhost.", dnsmessage.TypeA)); err != nil {
			t.Fatal(err)
		}
		if b, err := readMessage(stream); err != nil || !check(b) {
			t.Fatalf("answer %x, %v", b, err)
		}
	}
}

// Questions that are not for addresses go to the host's name servers.
func TestDNSRelay(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 600)
		for {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			buf[2] |= 0x80 // a response
			pc.WriteTo(buf[:size], from)
		}
	}()
	n := start(t, Config{Nameservers: []string{pc.LocalAddr().String()}})
	q := query(t, "example.", dnsmessage.TypeTXT)
	want := bytes.Clone(q)
	want[2] |= 0x80
	if got := n.answer("udp", q); !bytes.Equal(got, want) {
		t.Errorf("answer %x, want %x", got, want)
	}
}

func TestHostNameservers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	os.WriteFile(path, []byte("# x\nsearch a b\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver\nnameserver 2001:db8::1\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n"), 0o600)
	got := fmt.Sprint(hostNameservers(path))
	if want := "[192.0.2.1:53 [2001:db8::1]:53 192.0.2.3:53]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// dhcpFrame is a client's message in a frame.
func dhcpFrame(kind dhcpType, options ...byte) []byte {
	m := make([]byte, bootpSize)
	m[0], m[1], m[2] = 1, 1, 6
	copy(m[4:], "\x11\x22\x33\x44")
	copy(m[28:], guestMAC)
	m = binary.BigEndian.AppendUint32(m, dhcpCookie)
	m = append(m, optType, 1, byte(kind))
	m = append(append(m, options...), optEnd)
	b := make([]byte, 42+len(m))
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: guestMAC, DstAddr: header.EthernetBroadcastAddress, Type: header.IPv4ProtocolNumber})
	ip := header.IPv4(b[14:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: 17, SrcAddr: header.IPv4Any, DstAddr: header.IPv4Broadcast})
	ip.SetChecksum(^ip.CalculateChecksum())
	header.UDP(ip.Payload()).Encode(&header.UDPFields{SrcPort: 68, DstPort: 67, Length: uint16(8 + len(m))})
	copy(b[42:], m)
	return b
}

func TestDHCP(t *testing.T) {
	n := start(t, Config{Hostname: "doppel"})
	ask := func(f []byte) (dhcpType, map[byte][]byte, []byte) {
		n.Send(f, backend.Offload{})
		b, _, ok := n.Receive()
		if !ok {
			return 0, nil, nil
		}
		ip := header.IPv4(b[14:])
		if !ip.IsValid(len(ip)) || !ip.IsChecksumValid() || header.Ethernet(b).DestinationAddress() != guestMAC {
			t.Fatalf("bad frame %x", b)
		}
		udp := header.UDP(ip.Payload())
		if !udp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(udp.Payload(), 0)) {
			t.Fatalf("bad UDP checksum in %x", b)
		}
		m := udp.Payload()
		o := parseOptions(m[bootpSize+4:])
		return dhcpType(o[optType][0]), o, m
	}
	kind, o, m := ask(dhcpFrame(dhcpDiscover))
	if kind != dhcpOffer || !bytes.Equal(m[16:20], Guest.AsSlice()) || string(m[4:8]) != "\x11\x22\x33\x44" {
		t.Errorf("discover: %v, %x", kind, m)
	}
	if !bytes.Equal(o[optRouter], Gateway.AsSlice()) || !bytes.Equal(o[optDNS], DNSServer.AsSlice()) || string(o[optHostname]) != "doppel" || len(o[optLease]) != 4 {
		t.Errorf("options %v", o)
	}
	right := append([]byte{optRequested, 4}, Guest.AsSlice()...)
	if kind, _, _ := ask(dhcpFrame(dhcpRequest, right...)); kind != dhcpAck {
		t.Errorf("request: %v", kind)
	}
	if kind, _, _ := ask(dhcpFrame(dhcpRequest, optRequested, 4, 192, 168, 1, 5)); kind != dhcpNak {
		t.Errorf("request of another address: %v", kind)
	}
	if kind, _, _ := ask(dhcpFrame(dhcpRequest, append(right, optServer, 4, 9, 9, 9, 9)...)); kind != 0 {
		t.Errorf("request to another server: %v", kind)
	}
	if kind, _, m := ask(dhcpFrame(dhcpInform)); kind != dhcpAck || !bytes.Equal(m[16:20], make([]byte, 4)) {
		t.Errorf("inform: %v", kind)
	}
	if kind, _, _ := ask(dhcpFrame(7)); kind != 0 {
		t.Errorf("release: %v", kind)
	}
	f := dhcpFrame(dhcpDiscover)
	for size := range f { // cut anywhere
		n.Send(f[:size], backend.Offload{})
	}
}

// pingFrame is an echo request from the guest.
func pingFrame(to netip.Addr) []byte {
	b := make([]byte, 14+20+8+4)
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: guestMAC, DstAddr: gatewayMAC, Type: header.IPv4ProtocolNumber})
	ip := header.IPv4(b[14:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: 1, SrcAddr: toStack(Guest), DstAddr: toStack(to)})
	ip.SetChecksum(^ip.CalculateChecksum())
	ic := header.ICMPv4(ip.Payload())
	ic.SetType(header.ICMPv4Echo)
	ic.SetIdent(7)
	ic.SetChecksum(header.ICMPv4Checksum(ic, 0))
	return b
}

// The gateway and the DNS server answer a ping; the stack does not pretend
// that others do.
func TestPing(t *testing.T) {
	for a, want := range map[netip.Addr]bool{Gateway: true, DNSServer: true, netip.MustParseAddr("192.0.2.1"): false, netip.MustParseAddr("10.0.2.9"): false} {
		n := start(t, Config{})
		ready := make(chan struct{}, 100)
		n.SetReady(func() { ready <- struct{}{} })
		// An ARP request tells the network where the guest is.
		n.Send(arpRequest(), backend.Offload{})
		n.Send(pingFrame(a), backend.Offload{})
		got := false
		timeout := time.After(20 * time.Second)
		if !want {
			timeout = time.After(50 * time.Millisecond)
		}
		for done := false; !done; {
			select {
			case <-ready:
			case <-timeout:
				done = true
			}
			for b, _, ok := n.Receive(); ok; b, _, ok = n.Receive() {
				ip := header.IPv4(b[14:])
				if header.Ethernet(b).Type() == header.IPv4ProtocolNumber && ip.TransportProtocol() == header.ICMPv4ProtocolNumber && header.ICMPv4(ip.Payload()).Type() == header.ICMPv4EchoReply {
					got, done = true, true
				}
			}
		}
		if got != want {
			t.Errorf("ping %v: answered %v, want %v", a, got, want)
		}
	}
}

func arpRequest() []byte {
	b := make([]byte, 14+header.ARPSize)
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: guestMAC, DstAddr: header.EthernetBroadcastAddress, Type: header.ARPProtocolNumber})
	a := header.ARP(b[14:])
	a.SetIPv4OverEthernet()
	a.SetOp(header.ARPRequest)
	copy(a.HardwareAddressSender(), guestMAC)
	copy(a.ProtocolAddressSender(), Guest.AsSlice())
	copy(a.ProtocolAddressTarget(), Gateway.AsSlice())
	return b
}

func TestParsePublish(t *testing.T) {
	for in, want := range map[string]string{
		"8080:80":           "127.0.0.1:8080:80",
		"0.0.0.0:2222:22":   "0.0.0.0:2222:22",
		"53:53/udp":         "127.0.0.1:53:53/udp",
		"8080:80/tcp":       "127.0.0.1:8080:80",
		"[::1]:8080:80":     "[::1]:8080:80",
		"0:80":              "127.0.0.1:0:80",
		"":                  "",
		"80":                "",
		"x:80":              "",
		"80:0":              "",
		"80:65536":          "",
		"65536:80":          "",
		"80:80/icmp":        "",
		"host:80:80":        "",
		"1.2.3:80:80":       "",
		"-1:80":             "",
		":80":               "",
		"127.0.0.1::80":     "",
		"8080:80/udp/udp":   "",
		"8080:+80":          "",
		"127.0.0.1:80:80:1": "",
	} {
		p, err := ParsePublish(in)
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("ParsePublish(%q) = %v, %v; want %q", in, p, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("--publish %q", in)) {
			t.Errorf("ParsePublish(%q): error does not name it: %v", in, err)
		}
	}
}

func TestPublishInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, _ := ParsePublish(fmt.Sprintf("%d:80", l.Addr().(*net.TCPAddr).Port))
	_, err = New(Config{Publish: []Publish{p}})
	if err == nil || !strings.Contains(err.Error(), "--publish "+p.String()) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}

// C11: whatever the guest sends, flows and what waits for it stay bounded.
func TestBounds(t *testing.T) {
	sink, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	n := start(t, Config{})
	n.Send(arpRequest(), backend.Offload{})
	before := openFiles(t)
	for port := range 3000 {
		n.Send(udpFrame(uint16(1000+port), uint16(sink.LocalAddr().(*net.UDPAddr).Port)), backend.Offload{})
	}
	if got := n.udp.sum; got != maxUDP {
		t.Errorf("%d flows, want %d", got, maxUDP)
	}
	if n.Stats().Refused != 3000-maxUDP {
		t.Errorf("%d flows refused", n.Stats().Refused)
	}
	if now := openFiles(t); now > before+maxUDP+20 {
		t.Errorf("%d files open, %d before", now, before)
	}
	for range 100_000 { // nobody receives
		n.link.push(frame{bytes: make([]byte, 100)})
	}
	if n.link.queued > maxQueued || n.Stats().DroppedOut == 0 {
		t.Errorf("%d bytes wait, %d frames dropped", n.link.queued, n.Stats().DroppedOut)
	}
}

func openFiles(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	return len(files)
}

func udpFrame(src, dst uint16) []byte {
	b := make([]byte, 14+20+8+4)
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: guestMAC, DstAddr: gatewayMAC, Type: header.IPv4ProtocolNumber})
	ip := header.IPv4(b[14:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: 17, SrcAddr: toStack(Guest), DstAddr: toStack(Gateway)})
	ip.SetChecksum(^ip.CalculateChecksum())
	header.UDP(ip.Payload()).Encode(&header.UDPFields{SrcPort: src, DstPort: dst, Length: 12})
	return b
}

func TestCloseEndsConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := start(t, Config{})
	g := newGuest(t, n, false)
	if _, err := g.dial(within(t), Gateway, uint16(l.Addr().(*net.TCPAddr).Port)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the host's side is still open: %v", err)
	}
}

// C9: no frame of the guest harms the process.
func FuzzSend(f *testing.F) {
	f.Add(arpRequest())
	f.Add(pingFrame(Gateway))
	f.Add(udpFrame(1000, 53))
	f.Add(dhcpFrame(dhcpDiscover))
	f.Add(dhcpFrame(dhcpRequest, optRequested, 4, 10, 0, 2, 15))
	syn := udpFrame(1000, 80)
	syn[14+9] = 6
	f.Add(append(syn, make([]byte, 40)...))
	n, err := New(Config{Nameservers: []string{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { n.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 34 {
			// Keep the host's network out of it, and the header sum right.
			ip := header.IPv4(bytes.Clone(b[14:]))
			copy(ip[16:20], DNSServer.AsSlice())
			fixed := append(bytes.Clone(b[:14]), ip...)
			if size := int(ip.HeaderLength()); size >= 20 && size <= len(ip) {
				ip = header.IPv4(fixed[14:])
				ip.SetChecksum(0)
				ip.SetChecksum(^ip.CalculateChecksum())
			}
			n.Send(fixed, backend.Offload{})
		} else {
			n.Send(b, backend.Offload{})
		}
		for _, _, ok := n.Receive(); ok; _, _, ok = n.Receive() {
		}
	})
}

func FuzzDNS(f *testing.F) {
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("localhost."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, _ := m.Pack()
	f.Add(b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // no question leaves the process
	n := &Network{ctx: ctx, config: Config{Nameservers: []string{}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := n.answer("udp", b); len(r) > dnsUDPSize+255 {
			t.Errorf("reply of %d bytes", len(r))
		}
	})
}

var _ backend.Network = (*Network)(nil)
