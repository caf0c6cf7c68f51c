package netuser

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	dnsPort    = 53
	dnsTimeout = 10 * time.Second
	dnsTTL     = 30    // seconds: the host's resolver does not tell
	dnsUDPSize = 512   // RFC 1035 §2.3.4
	maxDNS     = 65535 // of a message over TCP
	maxAnswers = 24    // fit into dnsUDPSize
)

// serveDNSFlow answers the questions of one flow in turn.
func (n *Network) serveDNSFlow(f *flow) {
	guest := f.conn
	buf := make([]byte, 4096)
	for {
		guest.SetReadDeadline(time.Now().Add(dnsTimeout))
		size, err := guest.Read(buf)
		if err != nil {
			return
		}
		if reply := n.answer("udp", buf[:size]); reply != nil {
			if _, err := guest.Write(reply); err != nil {
				return
			}
		}
	}
}

// acceptDNS answers over TCP: messages carry their length.
func (n *Network) acceptDNS(r *tcp.ForwarderRequest) {
	var wq waiter.Queue
	ep, stackErr := r.CreateEndpoint(&wq)
	r.Complete(stackErr != nil)
	if stackErr != nil {
		return
	}
	guest := gonet.NewTCPConn(&wq, ep)
	defer guest.Close()
	if !n.track(guest) {
		return
	}
	defer n.untrack(guest)
	for {
		guest.SetDeadline(time.Now().Add(dnsTimeout))
		query, err := readMessage(guest)
		if err != nil {
			return
		}
		reply := n.answer("tcp", query)
		if reply == nil || writeMessage(guest, reply) != nil {
			return
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeMessage(w io.Writer, b []byte) error {
	if len(b) > maxDNS {
		return errors.New("message is too long")
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

// answer returns the reply to a query, nil if it is not one.
func (n *Network) answer(network string, query []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil || h.OpCode != 0 {
		return reply(h, nil, dnsmessage.RCodeFormatError, nil)
	}
	ctx, cancel := context.WithTimeout(n.ctx, dnsTimeout)
	defer cancel()
	// Addresses come from the host's resolver, which knows the host's own
	// names too; other questions go to its name servers as they are.
	if q.Class == dnsmessage.ClassINET && (q.Type == dnsmessage.TypeA || q.Type == dnsmessage.TypeAAAA) {
		addrs, code := n.lookup(ctx, q)
		return reply(h, &q, code, addrs)
	}
	if b := n.relay(ctx, network, query); b != nil {
		return b
	}
	return reply(h, &q, dnsmessage.RCodeServerFailure, nil)
}

// lookup asks the host's resolver for the addresses of a name.
func (n *Network) lookup(ctx context.Context, q dnsmessage.Question) ([]netip.Addr, dnsmessage.RCode) {
	name := strings.TrimSuffix(q.Name.String(), ".")
	if a, ok := n.leases.named(name); ok {
		if q.Type == dnsmessage.TypeAAAA {
			return nil, dnsmessage.RCodeSuccess
		}
		return []netip.Addr{a}, dnsmessage.RCodeSuccess
	}
	r := n.config.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	// Both families are asked for: a name that has only the other one exists.
	// Without the final dot, with which the host's own table is not looked at.
	all, err := r.LookupNetIP(ctx, "ip", name)
	var dnsErr *net.DNSError
	switch {
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		return nil, dnsmessage.RCodeNameError
	case err != nil:
		return nil, dnsmessage.RCodeServerFailure
	}
	var out []netip.Addr
	for _, a := range all {
		a = a.Unmap()
		if a.Zone() == "" && a.Is4() == (q.Type == dnsmessage.TypeA) && len(out) < maxAnswers {
			out = append(out, a)
		}
	}
	return out, dnsmessage.RCodeSuccess
}

// reply builds a reply of at most dnsUDPSize bytes, less what compression
// saves.
func reply(h dnsmessage.Header, q *dnsmessage.Question, code dnsmessage.RCode, addrs []netip.Addr) []byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: h.ID, Response: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true, RCode: code,
	})
	b.EnableCompression()
	if q != nil {
		if b.StartQuestions() != nil || b.Question(*q) != nil || b.StartAnswers() != nil {
			return nil
		}
		rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: dnsTTL}
		for _, a := range addrs {
			var err error
			if a.Is4() {
				err = b.AResource(rh, dnsmessage.AResource{A: a.As4()})
			} else {
				err = b.AAAAResource(rh, dnsmessage.AAAAResource{AAAA: a.As16()})
			}
			if err != nil {
				return nil
			}
		}
	}
	out, err := b.Finish()
	if err != nil {
		return nil
	}
	return out
}

// relay puts a query to the host's name servers, nil if none answers.
func (n *Network) relay(ctx context.Context, network string, query []byte) []byte {
	servers := n.config.Nameservers
	if servers == nil {
		servers = hostNameservers("/etc/resolv.conf")
	}
	for _, server := range servers {
		if b, err := n.exchange(ctx, network, server, query); err == nil {
			return b
		}
	}
	return nil
}

func (n *Network) exchange(ctx context.Context, network, server string, query []byte) ([]byte, error) {
	d := net.Dialer{Timeout: dnsTimeout / 4}
	c, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(dnsTimeout / 4))
	if network == "tcp" {
		if err := writeMessage(c, query); err != nil {
			return nil, err
		}
		return readMessage(c)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	size, err := c.Read(buf)
	if err != nil {
		return nil, err
	}
	if size < 2 || buf[0] != query[0] || buf[1] != query[1] {
		return nil, errors.New("a reply to another query")
	}
	return buf[:size], nil
}

// hostNameservers reads at most three name servers, as resolvers do.
func hostNameservers(path string) (out []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	s := bufio.NewScanner(io.LimitReader(f, 64<<10))
	for s.Scan() && len(out) < 3 {
		fields := strings.Fields(s.Text())
		if len(fields) >= 2 && fields[0] == "nameserver" {
			if _, err := netip.ParseAddr(fields[1]); err == nil {
				out = append(out, net.JoinHostPort(fields[1], "53"))
			}
		}
	}
	return out
}
