package doppel

import (
	"net/netip"

	"doppel/internal/backend/netuser"
	"doppel/internal/device/virtio"
	"doppel/internal/device/virtio/net"
)

const (
	netNone = "none"
	netUser = "user"
)

// network makes the network device, nil if there is none.
func (cfg *Config) network() (virtio.Model, error) {
	switch cfg.Net {
	case "", netNone:
		if len(cfg.Publish) > 0 {
			return nil, &ConfigError{Field: "Publish", Value: cfg.Publish[0].String(), Reason: "needs the user network (Net: \"user\")"}
		}
		return nil, nil
	case netUser:
		return newUserNetwork(cfg.Publish)
	}
	return nil, &ConfigError{Field: "Net", Value: cfg.Net, Reason: "must be user or none"}
}

func newUserNetwork(publish []Publish) (virtio.Model, error) {
	var c netuser.Config
	for _, p := range publish {
		addr := p.Addr
		if !addr.IsValid() {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		c.Publish = append(c.Publish, netuser.Publish{Host: netip.AddrPortFrom(addr, p.Host), Guest: p.Guest, UDP: p.UDP})
	}
	n, err := netuser.New(c)
	if err != nil {
		return nil, err
	}
	return net.New(net.Config{Network: n, MAC: net.DefaultMAC}), nil
}
