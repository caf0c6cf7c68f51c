package doppel

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"doppel/internal/backend/vswitch"
)

// MAC is a hardware address of a network card.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// ParseMAC reads an address such as 52:54:00:12:34:56, which must be one that
// a single card can have.
func ParseMAC(s string) (MAC, error) {
	b, err := net.ParseMAC(s)
	if err != nil || len(b) != len(MAC{}) {
		return MAC{}, fmt.Errorf("%q is no hardware address; want six bytes such as 52:54:00:12:34:56", s)
	}
	m := MAC(b)
	if m == (MAC{}) || m[0]&1 != 0 {
		return MAC{}, fmt.Errorf("%q is no card's address: the first byte must be even, and not all may be zero", s)
	}
	return m, nil
}

// NIC is a network card and what it is plugged into.
type NIC struct {
	// Switch names a network of the Host. Empty: a user-mode network of the
	// card's own, behind which is the world.
	Switch string
	// MAC is the card's address; zero: one is made from the machine's name. On
	// a switch nobody else can use it.
	MAC MAC

	// VLAN is the one that the card is in; 0 means 1, the switch's own. Trunk,
	// if not empty, are the VLANs whose frames come and go with tags instead,
	// and Native is that of frames without.
	VLAN   int
	Trunk  []int
	Native int
	// Static are further addresses that are at this card and nowhere else,
	// those of machines inside the guest, for example.
	Static []MAC
	// Locked: the guest can send from MAC and Static only.
	Locked bool

	// Rate limits each direction to so many bits a second; 0 is no limit.
	Rate uint64
	// Capture is a file to which what passes is copied, in a format that
	// Wireshark and tcpdump read.
	Capture string
}

const nicForm = "user or none, or switch=NAME, and after commas any of mac=, vlan=, trunk=, native=, static=, locked, rate=, capture="

// ParseNIC reads user or switch=NAME, and options after commas:
// mac=52:54:00:00:00:01, vlan=10, trunk=10+20+30-40, native=1,
// static=MAC+MAC, locked, rate=10M (bits a second), capture=FILE.
func ParseNIC(s string) (NIC, error) {
	bad := func(format string, args ...any) (NIC, error) {
		return NIC{}, &ConfigError{Field: "Net", Value: s, Reason: fmt.Sprintf(format, args...)}
	}
	first, rest, more := strings.Cut(s, ",")
	var n NIC
	name, isSwitch := strings.CutPrefix(first, "switch=")
	switch {
	case isSwitch && name == "":
		return bad("no switch is named; want %s", nicForm)
	case isSwitch:
		n.Switch = name
	case first != netUser:
		return bad("must be %s", nicForm)
	}
	seen := map[string]bool{}
	for more {
		var option string
		option, rest, more = strings.Cut(rest, ",")
		key, value, _ := strings.Cut(option, "=")
		if seen[key] {
			return bad("%s is given twice", key)
		}
		seen[key] = true
		if err := n.set(key, value); err != nil {
			return bad("%v", err)
		}
	}
	if err := n.check(); err != nil {
		return bad("%v", err)
	}
	return n, nil
}

// set sets an option.
func (n *NIC) set(key, value string) (err error) {
	switch key {
	case "mac":
		n.MAC, err = ParseMAC(value)
	case "vlan":
		n.VLAN, err = parseVLAN(value)
	case "native":
		n.Native, err = parseVLAN(value)
	case "trunk":
		n.Trunk, err = parseTrunk(value)
	case "static":
		for _, s := range strings.Split(value, "+") {
			m, bad := ParseMAC(s)
			n.Static, err = append(n.Static, m), cmp.Or(err, bad)
		}
	case "locked":
		n.Locked = true
		if value != "" {
			err = fmt.Errorf("locked has no value")
		}
	case "rate":
		n.Rate, err = ParseRate(value)
	case "capture":
		if n.Capture = value; value == "" {
			err = fmt.Errorf("capture names no file")
		}
	default:
		err = fmt.Errorf("unknown option %q; want %s", key, nicForm)
	}
	return err
}

// check finds what does not go together.
func (n *NIC) check() error {
	switch {
	case n.Switch == "" && (n.VLAN != 0 || len(n.Trunk) > 0 || n.Native != 0):
		return fmt.Errorf("a user network has no VLANs; plug the card into a switch")
	case n.Switch == "" && (len(n.Static) > 0 || n.Locked):
		return fmt.Errorf("static and locked are for cards on a switch")
	case n.VLAN != 0 && len(n.Trunk) > 0:
		return fmt.Errorf("vlan and trunk exclude each other: a card is in one VLAN, or carries several with tags")
	case n.Native != 0 && len(n.Trunk) == 0:
		return fmt.Errorf("native is a trunk's: it needs trunk=")
	case n.Rate != 0 && n.Rate < vswitch.MinRate:
		return fmt.Errorf("a rate is %d bits a second or more", vswitch.MinRate)
	}
	for _, v := range append([]int{n.VLAN, n.Native}, n.Trunk...) {
		if v < 0 || v > int(vswitch.MaxVLAN) {
			return fmt.Errorf("%d is no VLAN; want 1 to %d", v, vswitch.MaxVLAN)
		}
	}
	return nil
}

func parseVLAN(s string) (int, error) {
	v, err := strconv.ParseUint(s, 10, 16)
	if err != nil || v < 1 || v > uint64(vswitch.MaxVLAN) {
		return 0, fmt.Errorf("%q is no VLAN; want 1 to %d", s, vswitch.MaxVLAN)
	}
	return int(v), nil
}

// parseTrunk reads VLANs and ranges of them, joined by +.
func parseTrunk(s string) ([]int, error) {
	var all []int
	for _, part := range strings.Split(s, "+") {
		low, high, isRange := strings.Cut(part, "-")
		from, err := parseVLAN(low)
		to := from
		if err == nil && isRange {
			to, err = parseVLAN(high)
		}
		if err != nil {
			return nil, err
		}
		if to < from {
			return nil, fmt.Errorf("the range of VLANs %q goes down", part)
		}
		for v := from; v <= to; v++ {
			all = append(all, v)
		}
		if len(all) > int(vswitch.MaxVLAN) {
			return nil, fmt.Errorf("a trunk has at most %d VLANs", vswitch.MaxVLAN)
		}
	}
	return all, nil
}

// ParseRate reads bits a second with an optional suffix k, M or G (powers of
// 1000), such as "10M".
func ParseRate(s string) (uint64, error) {
	digits, times := s, uint64(1)
	if s != "" {
		if i := strings.IndexByte("KMG", s[len(s)-1]&^0x20); i >= 0 {
			digits, times = s[:len(s)-1], [...]uint64{1e3, 1e6, 1e9}[i]
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > 1e15/times {
		return 0, fmt.Errorf("%q is no rate; want bits a second with an optional k, M or G, such as 10M", s)
	}
	if n*times < vswitch.MinRate {
		return 0, fmt.Errorf("%q: a rate is %d bits a second or more", s, vswitch.MinRate)
	}
	return n * times, nil
}

// nics lists a configuration's cards: that of Net is the first.
func (cfg *Config) nics() ([]NIC, error) {
	var all []NIC
	if cfg.Net != "" && cfg.Net != netNone {
		n, err := ParseNIC(cfg.Net)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	for _, n := range cfg.NICs {
		if err := n.check(); err != nil {
			return nil, &ConfigError{Field: "NICs", Value: n.String(), Reason: err.Error()}
		}
		all = append(all, n)
	}
	return all, nil
}

// String is the card as ParseNIC reads it.
func (n NIC) String() string {
	s := netUser
	if n.Switch != "" {
		s = "switch=" + n.Switch
	}
	add := func(on bool, format string, args ...any) {
		if on {
			s += fmt.Sprintf(","+format, args...)
		}
	}
	join := func(list any) string { return strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", "+") }
	add(n.MAC != MAC{}, "mac=%v", n.MAC)
	add(n.VLAN != 0, "vlan=%d", n.VLAN)
	add(len(n.Trunk) > 0, "trunk=%s", join(n.Trunk))
	add(n.Native != 0, "native=%d", n.Native)
	add(len(n.Static) > 0, "static=%s", join(n.Static))
	add(n.Locked, "locked")
	add(n.Rate != 0, "rate=%d", n.Rate)
	add(n.Capture != "", "capture=%s", n.Capture)
	return s
}

// ParseNetwork reads NAME, and options after commas: uplink=user or none,
// subnet=10.0.3.0/24, uplink-vlan=10, capture=FILE.
func ParseNetwork(s string) (Network, error) {
	bad := func(reason string) (Network, error) {
		return Network{}, &ConfigError{Field: "Switch", Value: s, Reason: reason}
	}
	name, rest, more := strings.Cut(s, ",")
	n := Network{Name: name}
	for more {
		var option string
		option, rest, more = strings.Cut(rest, ",")
		key, value, _ := strings.Cut(option, "=")
		if err := n.Set(key, value); err != nil {
			return bad(err.Error())
		}
	}
	if err := n.validate(); err != nil {
		return bad(err.Reason)
	}
	return n, nil
}

// Set sets an option that ParseNetwork knows.
func (n *Network) Set(key, value string) (err error) {
	switch key {
	case "uplink":
		n.Uplink = value
	case "subnet":
		if n.Subnet, err = netip.ParsePrefix(value); err != nil {
			err = fmt.Errorf("%q is no network; want one such as 10.0.3.0/24", value)
		}
	case "uplink-vlan":
		n.UplinkVLAN, err = parseVLAN(value)
	case "capture":
		if n.Capture = value; value == "" {
			err = fmt.Errorf("capture names no file")
		}
	default:
		err = fmt.Errorf("unknown option %q; want uplink, subnet, uplink-vlan or capture", key)
	}
	return err
}
