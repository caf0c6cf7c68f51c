package doppel

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"doppel/internal/device/virtio/net"
)

// CheckHost tells whether machines could be on one host, without opening
// anything: their names, cards, ports and disks, and the networks that they
// name. It returns the number of the first that cannot, or -1 with an error of
// the host itself.
func CheckHost(hc HostConfig, machines []Config) (int, error) {
	h := &Host{config: hc, networks: map[string]*network{}}
	if _, err := newHostMemory(&hc); err != nil {
		return -1, err
	}
	for _, c := range hc.Networks {
		if err := c.validate(); err != nil {
			return -1, err
		}
		if h.networks[c.Name] != nil {
			return -1, &ConfigError{Field: "Network", Value: c.Name, Reason: "another network has this name; names are unique"}
		}
		h.networks[c.Name] = &network{config: c}
	}
	for i, cfg := range machines {
		if err := h.claim(&cfg); err != nil {
			return i, err
		}
		h.machines = append(h.machines, &Machine{host: h, config: cfg})
	}
	return 0, nil
}

// claim fills in what the host chooses (a name, hardware addresses), and
// checks that what a machine has for itself is nobody else's; the lock is held.
func (h *Host) claim(cfg *Config) error {
	if cfg.Name == "" {
		cfg.Name = h.freeName()
	}
	if err := checkName(cfg.Name); err != nil {
		return err
	}
	if h.find(cfg.Name) != nil {
		return &ConfigError{Field: "Name", Value: cfg.Name, Reason: "another machine of this host has this name; names are unique"}
	}
	if err := h.claimNICs(cfg); err != nil {
		return err
	}
	if err := h.claimPorts(cfg); err != nil {
		return err
	}
	return h.claimDisks(cfg)
}

func (h *Host) find(name string) *Machine {
	if i := slices.IndexFunc(h.machines, func(m *Machine) bool { return m.config.Name == name }); i >= 0 {
		return h.machines[i]
	}
	return nil
}

// freeName returns a name that no machine has; the lock is held.
func (h *Host) freeName() string {
	for n := h.count + 1; ; n++ {
		if name := fmt.Sprintf("machine-%d", n); h.find(name) == nil {
			return name
		}
	}
}

// maxName is the longest name of a machine, in bytes.
const maxName = 128

func checkName(name string) error {
	plain := func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != ',' && r != '"' }
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return &ConfigError{Field: "Name", Value: name, Reason: fmt.Sprintf("a name has at most %d bytes of visible characters, no spaces, commas or quotes", maxName)}
	}
	return nil
}

// claimNICs puts all cards into cfg.NICs, with their addresses.
func (h *Host) claimNICs(cfg *Config) error {
	all, err := cfg.nics()
	if err != nil {
		return err
	}
	if most := maxNICs; len(all) > most {
		return &ConfigError{Field: "Net", Value: fmt.Sprint(len(all)), Reason: fmt.Sprintf("a machine has at most %d network cards", most)}
	}
	taken := map[MAC]string{}
	for _, m := range h.machines {
		for _, n := range m.config.NICs {
			if n.Switch != "" || n.MAC != MAC(net.DefaultMAC) {
				taken[n.MAC] = m.config.Name
			}
			for _, s := range n.Static {
				taken[s] = m.config.Name
			}
		}
	}
	for _, n := range all {
		if n.Switch != "" && h.networks[n.Switch] == nil {
			return &ConfigError{Field: "Net", Value: n.String(), Reason: fmt.Sprintf("there is no network %q; %s", n.Switch, h.networkNames())}
		}
		for _, m := range append([]MAC{n.MAC}, n.Static...) {
			if m == (MAC{}) {
				continue
			}
			if who, ok := taken[m]; ok {
				return &ConfigError{Field: "Net", Value: n.String(), Reason: fmt.Sprintf("machine %q has the address %v; addresses are unique", who, m)}
			}
			taken[m] = cfg.Name
		}
	}
	for i := range all {
		chooseMAC(cfg.Name, i, all, taken)
	}
	cfg.Net, cfg.NICs = "", all
	return nil
}

// chooseMAC gives a card an address if it has none. The first on a user
// network has the one that QEMU gives: it is alone there.
func chooseMAC(machine string, i int, all []NIC, taken map[MAC]string) {
	n := &all[i]
	if n.MAC != (MAC{}) {
		return
	}
	first := MAC(net.DefaultMAC)
	if n.Switch == "" && taken[first] == "" && !slices.ContainsFunc(all, func(o NIC) bool { return o.MAC == first }) {
		n.MAC = first
		return
	}
	for try := 0; ; try++ {
		n.MAC = derivedMAC(machine, i, try)
		if _, ok := taken[n.MAC]; !ok && n.MAC != first {
			taken[n.MAC] = machine
			return
		}
	}
}

func (h *Host) networkNames() string {
	var names []string
	for _, n := range h.config.Networks {
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		return "this host has none"
	}
	return "this host has " + strings.Join(names, ", ")
}

// claimPorts finds who has the ports of the host that a machine is to have.
func (h *Host) claimPorts(cfg *Config) error {
	if len(cfg.Publish) > 0 && h.publisher(cfg) < 0 {
		return &ConfigError{Field: "Publish", Value: cfg.Publish[0].String(), Reason: "needs a user network, or a switch that has one as its uplink"}
	}
	for i, p := range cfg.Publish {
		for _, o := range cfg.Publish[:i] {
			if p.collides(o) {
				return &ConfigError{Field: "Publish", Value: p.String(), Reason: "this port of the host is published twice"}
			}
		}
		for _, m := range h.machines {
			if slices.ContainsFunc(m.config.Publish, p.collides) {
				return &ConfigError{Field: "Publish", Value: p.String(), Reason: fmt.Sprintf("machine %q has this port of the host; choose another", m.config.Name)}
			}
		}
	}
	return nil
}

// publisher is the card that serves published ports, -1 if none can; the lock
// is held.
func (h *Host) publisher(cfg *Config) int {
	return slices.IndexFunc(cfg.NICs, func(n NIC) bool { return n.Switch == "" || h.networks[n.Switch].config.uplinked() })
}

// collides tells whether two cannot both be had.
func (p Publish) collides(o Publish) bool {
	all := func(a netip.Addr) bool { return a.IsValid() && a.IsUnspecified() }
	pa, oa := p.backend(netip.Addr{}).Host.Addr(), o.backend(netip.Addr{}).Host.Addr()
	return p.Host != 0 && p.Host == o.Host && p.UDP == o.UDP && (pa == oa || all(pa) || all(oa))
}

// claimDisks finds who has a disk that is written.
func (h *Host) claimDisks(cfg *Config) error {
	if most := cfg.maxDisks(); len(cfg.Disks) > most {
		return &ConfigError{Field: "Disks", Value: fmt.Sprint(len(cfg.Disks)), Reason: fmt.Sprintf("at most %d disks fit beside the machine's other virtio devices", most)}
	}
	for i, d := range cfg.Disks {
		for _, o := range cfg.Disks[:i] {
			if d.collides(o) {
				return &ConfigError{Field: "Disk", Value: d.Path, Reason: "is in use twice by this machine, and one of them is to write to it: add ,ro or ,ephemeral to both"}
			}
		}
		for _, m := range h.machines {
			if slices.ContainsFunc(m.config.Disks, d.collides) {
				return &ConfigError{Field: "Disk", Value: d.Path, Reason: fmt.Sprintf("machine %q has this disk, and one of them is to write to it: add ,ro or ,ephemeral to both, or use a copy", m.config.Name)}
			}
		}
	}
	return nil
}

func (d Disk) collides(o Disk) bool {
	if (d.ReadOnly || d.Ephemeral) && (o.ReadOnly || o.Ephemeral) {
		return false
	}
	if filepath.Clean(d.Path) == filepath.Clean(o.Path) {
		return true
	}
	a, err := os.Stat(d.Path)
	b, err2 := os.Stat(o.Path)
	return err == nil && err2 == nil && os.SameFile(a, b)
}
