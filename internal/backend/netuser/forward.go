package netuser

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	dialTimeout = 20 * time.Second
	// halfOpen is how long a connection stays that one side has closed, with
	// nothing passing.
	halfOpen = 2 * time.Minute
	udpIdle  = 90 * time.Second
	copySize = 32 << 10

	maxDatagram = 65535
	// refusedPause is how long a flow looks away after the host has said that
	// nobody listens, and refusedIdle how long it then stays unless more is sent.
	refusedPause = 100 * time.Millisecond
	refusedIdle  = 5 * time.Second
)

var loopback = netip.MustParseAddr("127.0.0.1")

// routable tells whether the guest may reach an address beyond the gateway.
func (n *Network) routable(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !n.subnet.Contains(a) && a.As4()[0] != 0 && a.As4()[0] < 240
}

// outside translates an address that the guest calls: the gateway stands for
// the host's loopback.
func (n *Network) outside(a netip.Addr, port uint16) (netip.AddrPort, bool) {
	if a == n.gateway {
		return netip.AddrPortFrom(loopback, port), true
	}
	return netip.AddrPortFrom(a, port), n.routable(a)
}

// take takes from a quota for a station, false if there is none left.
func (n *Network) take(q *quota, who netip.Addr) bool {
	if !q.take(who) {
		n.refused.Add(1)
		return false
	}
	return true
}

// begin runs fn as one of the network's goroutines, false if that is closed.
func (n *Network) begin(fn func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.done.Go(fn)
	return true
}

// forwardTCP makes the connection that the guest asks for. The stack calls it
// on a goroutine of its own.
func (n *Network) forwardTCP(r *tcp.ForwarderRequest) {
	id := r.ID()
	who := fromStack(id.RemoteAddress)
	dst, ok := n.outside(fromStack(id.LocalAddress), id.LocalPort)
	dns := fromStack(id.LocalAddress) == n.names && id.LocalPort == dnsPort
	if !ok && !dns || !n.take(n.dialing, who) {
		r.Complete(true)
		return
	}
	if !n.take(n.tcp, who) {
		n.dialing.give(who)
		r.Complete(true)
		return
	}
	run := func() {
		defer n.tcp.give(who)
		dialed := sync.OnceFunc(func() { n.dialing.give(who) })
		defer dialed()
		if dns {
			n.acceptDNS(r)
			return
		}
		d := net.Dialer{Timeout: dialTimeout}
		host, err := d.DialContext(n.ctx, "tcp4", dst.String())
		dialed()
		if err != nil {
			r.Complete(true) // the guest sees the connection refused
			return
		}
		n.accept(r, host)
	}
	if !n.begin(run) {
		n.dialing.give(who)
		n.tcp.give(who)
		r.Complete(true)
	}
}

// accept completes the guest's connection and joins it to the host's.
func (n *Network) accept(r *tcp.ForwarderRequest, host net.Conn) {
	var wq waiter.Queue
	ep, err := r.CreateEndpoint(&wq)
	if err != nil {
		r.Complete(true)
		host.Close()
		return
	}
	r.Complete(false)
	n.join(gonet.NewTCPConn(&wq, ep), host)
}

// halfCloser is a TCP connection of either kind.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// join copies both ways until both are closed.
func (n *Network) join(guest *gonet.TCPConn, host net.Conn) {
	defer guest.Close()
	defer host.Close()
	if !n.track(guest) {
		return
	}
	defer n.untrack(guest)
	if !n.track(host) {
		return
	}
	defer n.untrack(host)
	h, ok := host.(halfCloser)
	if !ok {
		return // not a TCP connection: cannot be
	}
	var wg sync.WaitGroup
	open := &halves{patience: n.halfOpen}
	wg.Go(func() { open.copy(h, guest) })
	open.copy(guest, h)
	wg.Wait()
}

// halves are the two directions of a connection.
type halves struct {
	ended    atomic.Bool // one of them has
	patience time.Duration
}

// copy copies one way and passes the end on.
func (h *halves) copy(dst, src halfCloser) {
	_, err := io.CopyBuffer(writerOnly{dst}, source{src, h}, make([]byte, copySize))
	if err != nil {
		// Broken: both directions end.
		dst.Close()
		src.Close()
		return
	}
	dst.CloseWrite()
	// The other direction may go on, but not for ever without a word.
	h.ended.Store(true)
	dst.SetReadDeadline(time.Now().Add(h.patience))
}

// source reads from a connection. Once it is half open, each read gives it
// time for the next.
type source struct {
	conn halfCloser
	h    *halves
}

func (s source) Read(p []byte) (int, error) {
	n, err := s.conn.Read(p)
	if err == nil && s.h.ended.Load() {
		s.conn.SetReadDeadline(time.Now().Add(s.h.patience))
	}
	return n, err
}

// writerOnly hides the methods that would copy without our bounded buffer, as
// source does.
type writerOnly struct{ io.Writer }

// forwardUDP starts the flow of a datagram. The stack calls it on Send's
// goroutine.
func (n *Network) forwardUDP(r *udp.ForwarderRequest) bool {
	id := r.ID()
	if fromStack(id.LocalAddress) == n.names && id.LocalPort == dnsPort {
		return n.startUDP(r, n.serveDNSFlow)
	}
	dst, ok := n.outside(fromStack(id.LocalAddress), id.LocalPort)
	if !ok {
		return false // the stack answers: port unreachable
	}
	return n.startUDP(r, func(f *flow) {
		host, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(dst))
		if err != nil {
			return
		}
		n.joinUDP(f, host)
	})
}

// flow is the guest's end of one.
type flow struct {
	conn     *gonet.UDPConn
	endpoint tcpip.Endpoint // of conn
	queue    waiter.Queue   // who waits for it
}

// startUDP runs serve on the guest's flow. True: the datagram is dealt with,
// though perhaps by dropping it.
func (n *Network) startUDP(r *udp.ForwarderRequest, serve func(*flow)) bool {
	who := fromStack(r.ID().RemoteAddress)
	if !n.take(n.udp, who) {
		return true
	}
	f := &flow{}
	var err tcpip.Error
	if f.endpoint, err = r.CreateEndpoint(&f.queue); err != nil {
		n.udp.give(who)
		return true
	}
	f.conn = gonet.NewUDPConn(&f.queue, f.endpoint)
	run := func() {
		defer n.udp.give(who)
		defer f.conn.Close()
		if n.track(f.conn) {
			defer n.untrack(f.conn)
			serve(f)
		}
	}
	if !n.begin(run) {
		n.udp.give(who)
		f.conn.Close()
	}
	return true
}

// joinUDP copies datagrams both ways until nothing passes any more. Those of the
// guest pass on the goroutine that sends them, so that a flood of them is work
// of the machine that makes it.
func (n *Network) joinUDP(f *flow, host net.Conn) {
	if !n.track(host) {
		return
	}
	defer n.untrack(host)
	defer host.Close()
	var last atomic.Int64
	alive := func() { // both directions keep the flow
		if now := time.Now(); last.Swap(now.Unix()) != now.Unix() {
			host.SetReadDeadline(now.Add(udpIdle))
		}
	}
	up := &upward{endpoint: f.endpoint, host: host, alive: alive, buf: make([]byte, maxDatagram)}
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents|waiter.EventHUp, func(m waiter.EventMask) {
		if m&waiter.EventHUp == 0 {
			up.pass()
		}
	})
	f.queue.EventRegister(&entry)
	defer f.queue.EventUnregister(&entry)
	alive()
	up.pass() // what came before
	datagrams(f.conn, host, alive)
}

// upward is a flow's way to the host.
type upward struct {
	endpoint tcpip.Endpoint
	host     net.Conn
	alive    func()

	mu  sync.Mutex
	buf []byte
}

// pass sends what waits. What the host does not take is lost, as datagrams are.
func (u *upward) pass() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		w := tcpip.SliceWriter(u.buf)
		r, err := u.endpoint.Read(&w, tcpip.ReadOptions{})
		if err != nil {
			return
		}
		u.alive()
		u.host.Write(u.buf[:r.Count])
	}
}

// datagrams copies what comes from the host. Nobody listens there, perhaps, or
// not yet: the flow stays, for another would be made for the next datagram.
func datagrams(dst, src net.Conn, alive func()) {
	buf := make([]byte, maxDatagram)
	for {
		size, err := src.Read(buf)
		if errors.Is(err, syscall.ECONNREFUSED) {
			src.SetReadDeadline(time.Now().Add(refusedIdle))
			time.Sleep(refusedPause)
			continue
		}
		if err != nil {
			return
		}
		alive()
		if _, err := dst.Write(buf[:size]); err != nil {
			return
		}
	}
}

var _ stack.LinkEndpoint = (*link)(nil)
var _ stack.GSOEndpoint = (*link)(nil)
