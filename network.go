package doppel

import (
	"doppel/internal/device/virtio"
	"doppel/internal/entropy"
)

const (
	netNone = "none"
	netUser = "user"
)

// network makes the network device, nil if there is none.
func (cfg *Config) network(source entropy.Source) (virtio.Model, error) {
	switch cfg.Net {
	case "", netNone:
		if len(cfg.Publish) > 0 {
			return nil, &ConfigError{Field: "Publish", Value: cfg.Publish[0].String(), Reason: "needs the user network (Net: \"user\")"}
		}
		return nil, nil
	case netUser:
		return nil, nil
	}
	return nil, &ConfigError{Field: "Net", Value: cfg.Net, Reason: "must be user or none"}
}
