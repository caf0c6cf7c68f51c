package netuser

import (
	"errors"
	"net"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// udpPort is a published UDP port: a flow to the guest for each client.
type udpPort struct {
	n    *Network
	p    Publish
	host net.PacketConn

	mu    sync.Mutex
	flows map[string]*gonet.UDPConn // by the client's address
}

// serve carries the clients' datagrams to the guest.
func (u *udpPort) serve() {
	defer u.host.Close()
	buf := make([]byte, 65535)
	for {
		size, client, err := u.host.ReadFrom(buf)
		if u.n.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // an ICMP error of an earlier answer, for example
			continue
		}
		if guest := u.flow(client); guest != nil {
			guest.SetReadDeadline(time.Now().Add(udpIdle))
			guest.Write(buf[:size]) // lost if the guest is not there, as datagrams are
		}
	}
}

// flow returns the client's flow, a new one if needed, nil if there are too
// many.
func (u *udpPort) flow(client net.Addr) *gonet.UDPConn {
	key := client.String()
	u.mu.Lock()
	defer u.mu.Unlock()
	if c := u.flows[key]; c != nil {
		return c
	}
	if !u.n.take(u.n.udp, u.p.To) {
		return nil
	}
	local, remote := fullAddress(u.n.gateway, 0), fullAddress(u.p.To, u.p.Guest)
	c, err := gonet.DialUDP(u.n.stack, &local, &remote, ipv4.ProtocolNumber)
	if err != nil {
		u.n.udp.give(u.p.To)
		return nil
	}
	c.SetReadDeadline(time.Now().Add(udpIdle))
	if !u.n.track(c) || !u.n.begin(func() { u.answers(key, client, c) }) {
		u.n.udp.give(u.p.To)
		c.Close()
		return nil
	}
	u.flows[key] = c
	return c
}

// answers carries the guest's datagrams back until the flow is idle.
func (u *udpPort) answers(key string, client net.Addr, c *gonet.UDPConn) {
	defer func() {
		u.mu.Lock()
		delete(u.flows, key)
		u.mu.Unlock()
		u.n.untrack(c)
		c.Close()
		u.n.udp.give(u.p.To)
	}()
	buf := make([]byte, 65535)
	for {
		size, err := c.Read(buf)
		if err != nil {
			return
		}
		c.SetReadDeadline(time.Now().Add(udpIdle))
		u.host.WriteTo(buf[:size], client)
	}
}
