package doppel

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"doppel/internal/backend"
	"doppel/internal/backend/netuser"
	"doppel/internal/backend/vswitch"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/net"
)

const (
	netNone = "none"
	netUser = "user"
)

// Network is a switch between machines of a Host.
type Network struct {
	// Name is that by which NIC.Switch calls it.
	Name string
	// Uplink is "user" (or empty): a gateway to the world, which gives each
	// machine an address of its own and finds machines by their names; or
	// "none".
	Uplink string
	// Subnet is the network behind the uplink, of 24 bits; 10.0.2.0/24 if not
	// valid. The gateway is .2, and machines are from .15 up.
	Subnet netip.Prefix
	// UplinkVLAN is the VLAN that the uplink is in; 0 means 1.
	UplinkVLAN int
	// Capture is a file to which what machines send is copied, once, in a
	// format that Wireshark and tcpdump read.
	Capture string
}

// PortStats counts what passed a port of a switch, as seen from the switch.
// Dropped is by reason.
type PortStats = vswitch.Stats

// network is one that runs.
type network struct {
	config Network
	sw     *vswitch.Switch
	user   *netuser.Network // nil without an uplink
}

// uplinked tells whether the world is behind the network.
func (c *Network) uplinked() bool { return c.Uplink != netNone }

func (c *Network) validate() *ConfigError {
	bad := func(field string, value any, why string) *ConfigError {
		return &ConfigError{Field: field, Value: fmt.Sprint(value), Reason: why}
	}
	switch {
	case !networkName.MatchString(c.Name):
		return bad("Network", c.Name, "a network's name has 1 to 64 letters, digits, dots, dashes and underscores")
	case c.Uplink != "" && c.Uplink != netUser && c.Uplink != netNone:
		return bad("Uplink", c.Uplink, "must be user or none")
	case c.Uplink == netNone && (c.Subnet.IsValid() || c.UplinkVLAN != 0):
		return bad("Uplink", c.Uplink, "without an uplink there is neither a subnet nor an uplink's VLAN")
	case c.Subnet.IsValid() && !netuser.ValidSubnet(c.Subnet):
		return bad("Subnet", c.Subnet, "must be a private IPv4 network of 24 bits, such as 10.0.3.0/24")
	case c.UplinkVLAN < 0 || c.UplinkVLAN > int(vswitch.MaxVLAN):
		return bad("UplinkVLAN", c.UplinkVLAN, fmt.Sprintf("must be 1 to %d", vswitch.MaxVLAN))
	}
	return nil
}

var networkName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// openNetwork starts a switch and its uplink.
func (h *Host) openNetwork(c Network) (_ *network, err error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	sc := vswitch.Config{Name: c.Name}
	if c.Capture != "" {
		if sc.Capture, err = h.capture(c.Capture); err != nil {
			return nil, &ConfigError{Field: "Capture", Value: c.Capture, Reason: err.Error()}
		}
	}
	n := &network{config: c, sw: vswitch.New(sc)}
	if !c.uplinked() {
		return n, nil
	}
	if n.user, err = netuser.New(netuser.Config{Shared: true, Subnet: c.Subnet}); err != nil {
		return nil, errors.Join(&ConfigError{Field: "Subnet", Value: c.Subnet.String(), Reason: err.Error()}, n.sw.Close())
	}
	port := vswitch.PortConfig{Name: "uplink", VLAN: vswitch.VLAN(c.UplinkVLAN), Static: []vswitch.MAC{vswitch.MAC(netuser.GatewayMAC)}}
	if err := n.sw.Uplink(n.user, port); err != nil {
		return nil, errors.Join(err, n.sw.Close())
	}
	return n, nil
}

// cable is a card's end of a network, and what goes with it.
type cable struct {
	backend.Network
	after []func() error
}

func (c *cable) Close() error {
	errs := []error{c.Network.Close()}
	for _, fn := range c.after {
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}

// network makes a machine's i-th network device. publish are the ports that
// this card serves.
func (h *Host) network(cfg *Config, i int, n NIC, publish []Publish, meters *meters) (virtio.Model, error) {
	var b backend.Network
	var err error
	if n.Switch == "" {
		b, err = h.userNetwork(cfg.Name, n, publish)
	} else {
		b, err = h.plug(cfg.Name, i, n, publish)
	}
	if err != nil {
		return nil, err
	}
	return net.New(net.Config{Network: meters.network(b), MAC: net.MAC(n.MAC)}), nil
}

// userNetwork makes a network of one card. A rate and a capture are a
// switch's business, which is then between the card and the network.
func (h *Host) userNetwork(machine string, n NIC, publish []Publish) (backend.Network, error) {
	var c netuser.Config
	for _, p := range publish {
		c.Publish = append(c.Publish, p.backend(netip.Addr{}))
	}
	user, err := netuser.New(c)
	if err != nil || n.Rate == 0 && n.Capture == "" {
		return user, err
	}
	sw := vswitch.New(vswitch.Config{Name: netUser})
	if err := sw.Uplink(user, vswitch.PortConfig{Name: "uplink"}); err != nil {
		return nil, err
	}
	port, err := h.openPort(sw, vswitch.PortConfig{Name: machine, Rate: n.Rate}, n)
	if err != nil {
		return nil, errors.Join(err, sw.Close())
	}
	return &cable{port, []func() error{sw.Close}}, nil
}

// openPort adds a port, with its capture.
func (h *Host) openPort(sw *vswitch.Switch, c vswitch.PortConfig, n NIC) (_ *vswitch.Port, err error) {
	if n.Capture != "" {
		if c.Capture, err = h.capture(n.Capture); err != nil {
			return nil, &ConfigError{Field: "Net", Value: n.String(), Reason: err.Error()}
		}
	}
	port, err := sw.Port(c)
	if err != nil {
		err = &ConfigError{Field: "Net", Value: n.String(), Reason: err.Error()}
		if c.Capture != nil {
			err = errors.Join(err, c.Capture.Close())
		}
	}
	return port, err
}

// plug plugs a card into a switch of the host.
func (h *Host) plug(machine string, i int, n NIC, publish []Publish) (_ backend.Network, err error) {
	to := h.networks[n.Switch]
	c := vswitch.PortConfig{
		Name: fmt.Sprintf("%s/%d", machine, i), VLAN: vswitch.VLAN(n.VLAN), Native: vswitch.VLAN(n.Native),
		Static: []vswitch.MAC{vswitch.MAC(n.MAC)}, Locked: n.Locked, Rate: n.Rate,
	}
	for _, v := range n.Trunk {
		c.Trunk = append(c.Trunk, vswitch.VLAN(v))
	}
	for _, m := range n.Static {
		c.Static = append(c.Static, vswitch.MAC(m))
	}
	port, err := h.openPort(to.sw, c, n)
	if err != nil {
		return nil, err
	}
	end := &cable{Network: port}
	defer func() {
		if err != nil {
			err = errors.Join(err, end.Close())
		}
	}()
	if to.user == nil {
		return end, nil
	}
	addr, err := to.user.Reserve(netuser.MAC(n.MAC), hostname(machine, i))
	if err != nil {
		return nil, &ConfigError{Field: "Net", Value: n.String(), Reason: err.Error()}
	}
	end.after = append(end.after, func() error { to.user.Release(netuser.MAC(n.MAC)); return nil })
	for _, p := range publish {
		var open io.Closer
		if open, err = to.user.Publish(p.backend(addr)); err != nil {
			return nil, err
		}
		end.after = append(end.after, open.Close)
	}
	return end, nil
}

// NICs are the machine's network cards, with their addresses.
func (m *Machine) NICs() []NIC { return slices.Clone(m.config.NICs) }

// Addr is the network address that the machine's i-th card gets by DHCP, not
// valid if nobody gives one.
func (m *Machine) Addr(i int) netip.Addr {
	n := m.config.NICs[i]
	if n.Switch == "" {
		return netuser.Guest
	}
	if user := m.host.networks[n.Switch].user; user != nil {
		return user.Address(netuser.MAC(n.MAC))
	}
	return netip.Addr{}
}

// hostname is how others on the network find a machine's i-th card: its name,
// with dashes for what a host's name cannot have (RFC 1123 §2.1).
func hostname(machine string, i int) string {
	if i > 0 {
		machine = fmt.Sprintf("%s-%d", machine, i)
	}
	name := strings.Trim(notHostname.ReplaceAllString(machine, "-"), "-")
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

var notHostname = regexp.MustCompile(`[^A-Za-z0-9]+`)

func (p Publish) backend(to netip.Addr) netuser.Publish {
	addr := p.Addr
	if !addr.IsValid() {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netuser.Publish{Host: netip.AddrPortFrom(addr, p.Host), Guest: p.Guest, UDP: p.UDP, To: to}
}

// derivedMAC makes an address of a machine's name and the number of the card,
// so that it is the same each time; try tells apart those that collide.
func derivedMAC(machine string, i, try int) MAC {
	f := fnv.New32a()
	fmt.Fprintf(f, "%s\x00%d\x00%d", machine, i, try)
	s := f.Sum(nil)
	return MAC{0x52, 0x54, 0x00, s[1], s[2], s[3]}
}
