package doppel_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doppel"
)

// What ParseNIC reads, String says, and the other way round.
func TestParseNIC(t *testing.T) {
	for in, want := range map[string]string{
		"user":                       "",
		"user,mac=52:54:00:00:00:01": "",
		"switch=lan0":                "",
		"switch=lan0,mac=52:54:00:00:00:01,vlan=10,static=02:00:00:00:00:01+02:00:00:00:00:02,locked,rate=8000,capture=a b": "",
		"switch=lan0,rate=10M,mac=52-54-00-00-00-01": "switch=lan0,mac=52:54:00:00:00:01,rate=10000000",
		"switch=lan0,trunk=10+20+30-32,native=5":     "switch=lan0,trunk=10+20+30+31+32,native=5",
		"switch=lan0,rate=9k,vlan=4094":              "switch=lan0,vlan=4094,rate=9000",
	} {
		if want == "" {
			want = in
		}
		n, err := doppel.ParseNIC(in)
		if err != nil || n.String() != want {
			t.Errorf("%s: %s, %v", in, n, err)
			continue
		}
		if again, err := doppel.ParseNIC(n.String()); err != nil || again.String() != want {
			t.Errorf("%s: %s, %v", want, again, err)
		}
	}
	for in, word := range map[string]string{
		"":                                   "user or none",
		"bridge":                             "user or none",
		"none,mac=52:54:00:00:00:01":         "user or none",
		"switch=":                            "no switch",
		"switch=a,mac=x":                     "hardware address",
		"switch=a,mac=01:00:00:00:00:00":     "even",
		"switch=a,mac=00:00:00:00:00:00":     "zero",
		"switch=a,vlan=0":                    "1 to 4094",
		"switch=a,vlan=4095":                 "1 to 4094",
		"switch=a,vlan=x":                    "1 to 4094",
		"switch=a,trunk=20-10":               "goes down",
		"switch=a,trunk=":                    "1 to 4094",
		"switch=a,trunk=1+2,vlan=3":          "exclude",
		"switch=a,native=1":                  "trunk",
		"switch=a,rate=fast":                 "10M",
		"switch=a,rate=1":                    "8000",
		"switch=a,rate=99999999999999999G":   "10M",
		"switch=a,capture=":                  "no file",
		"switch=a,locked=yes":                "no value",
		"switch=a,vlan=1,vlan=2":             "twice",
		"switch=a,colour=red":                "colour",
		"switch=a,":                          "unknown option",
		"user,vlan=2":                        "switch",
		"user,locked":                        "switch",
		"switch=a,static=52:54:00:00:00:01+": "hardware address",
	} {
		var bad *doppel.ConfigError
		if n, err := doppel.ParseNIC(in); !errors.As(err, &bad) || !strings.Contains(err.Error(), word) || bad.Field != "Net" {
			t.Errorf("%s: %v, %v; want %q", in, n, err, word)
		}
	}
}

// Two machines cannot have one thing, and a machine not what is not there.
func TestHostClaims(t *testing.T) {
	dir := t.TempDir()
	disk, link := filepath.Join(dir, "disk"), filepath.Join(dir, "link")
	if err := os.WriteFile(disk, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(disk, link); err != nil {
		t.Fatal(err)
	}
	kernel := filepath.Join(dir, "kernel")
	if err := os.WriteFile(kernel, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	mac, err := doppel.ParseMAC("52:54:00:00:00:09")
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, doppel.HostConfig{Networks: []doppel.Network{{Name: "lan0"}, {Name: "apart", Uplink: "none"}}})
	first, err := h.New(doppel.Config{
		Name: "first", Memory: 16 << 20, NICs: []doppel.NIC{{Switch: "lan0", MAC: mac}, {Switch: "apart"}},
		Publish: []doppel.Publish{{Host: 0, Guest: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := first.Addr(0), first.Addr(1); a != netip.MustParseAddr("10.0.2.15") || b.IsValid() || first.NICs()[1].MAC == (doppel.MAC{}) {
		t.Errorf("addresses %v, %v, cards %v", a, b, first.NICs())
	}
	nic := func(s string) []doppel.NIC {
		n, err := doppel.ParseNIC(s)
		if err != nil {
			t.Fatal(err)
		}
		return []doppel.NIC{n}
	}
	port := []doppel.Publish{{Host: 65000, Guest: 80}, {Host: 65000, Guest: 81, Addr: netip.MustParseAddr("0.0.0.0")}}
	for name, c := range map[string]struct {
		config doppel.Config
		field  string
		words  string
	}{
		"name":           {doppel.Config{Name: "first"}, "Name", "another machine"},
		"MAC":            {doppel.Config{NICs: nic("switch=apart,mac=" + mac.String())}, "Net", `"first"`},
		"MAC twice":      {doppel.Config{Name: "x", NICs: append(nic("switch=apart,mac=02:00:00:00:00:01"), nic("switch=lan0,static=02:00:00:00:00:01")...)}, "Net", `"x"`},
		"switch":         {doppel.Config{Net: "switch=lan1"}, "Net", "lan0, apart"},
		"cards":          {doppel.Config{NICs: make([]doppel.NIC, 7)}, "Net", "at most 6"},
		"port twice":     {doppel.Config{Net: "user", Publish: port}, "Publish", "twice"},
		"port apart":     {doppel.Config{Net: "switch=apart", Publish: port[:1]}, "Publish", "user network"},
		"disk twice":     {doppel.Config{Kernel: kernel, Disks: []doppel.Disk{{Path: disk}, {Path: link, ReadOnly: true}}}, "Disk", "twice"},
		"bad card":       {doppel.Config{NICs: []doppel.NIC{{Switch: "lan0", VLAN: 5000}}}, "NICs", "1 to 4094"},
		"capture folder": {doppel.Config{NICs: nic("switch=lan0,capture=" + dir)}, "Net", "regular"},
	} {
		c.config.Memory = 16 << 20
		var bad *doppel.ConfigError
		if m, err := h.New(c.config); !errors.As(err, &bad) || bad.Field != c.field || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want a ConfigError for %s with %q", name, err, c.field, c.words)
			if err == nil {
				m.Close()
			}
		}
	}
	if n := len(h.Ports("lan0")); n != 2 { // the uplink and the first machine
		t.Errorf("%d ports are left", n)
	}
	// What a machine had is free when it is closed.
	first.Close()
	again, err := h.New(doppel.Config{Name: "first", Memory: 16 << 20, NICs: []doppel.NIC{{Switch: "lan0", MAC: mac}}})
	if err != nil || again.Addr(0) != netip.MustParseAddr("10.0.2.15") {
		t.Errorf("again: %v", err)
	}
}

func TestBadNetworks(t *testing.T) {
	for name, c := range map[string]struct {
		networks []doppel.Network
		word     string
	}{
		"no name":  {[]doppel.Network{{}}, "1 to 64"},
		"bad name": {[]doppel.Network{{Name: "a,b"}}, "1 to 64"},
		"twice":    {[]doppel.Network{{Name: "a"}, {Name: "a"}}, "unique"},
		"uplink":   {[]doppel.Network{{Name: "a", Uplink: "bridge"}}, "user or none"},
		"subnet":   {[]doppel.Network{{Name: "a", Subnet: netip.MustParsePrefix("10.0.0.0/8")}}, "24 bits"},
		"no use":   {[]doppel.Network{{Name: "a", Uplink: "none", Subnet: netip.MustParsePrefix("10.0.9.0/24")}}, "without an uplink"},
		"VLAN":     {[]doppel.Network{{Name: "a", UplinkVLAN: 4095}}, "4094"},
		"capture":  {[]doppel.Network{{Name: "a", Capture: "/"}}, "regular"},
	} {
		h, err := doppel.NewHost(doppel.HostConfig{Networks: c.networks})
		var bad *doppel.ConfigError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, want %q", name, err, c.word)
		}
		if err == nil {
			h.Close()
		}
	}
}

// Machines whose names hosts cannot have are found all the same.
func TestHostnames(t *testing.T) {
	h := newHost(t, doppel.HostConfig{Networks: []doppel.Network{{Name: "lan0"}}})
	for _, name := range []string{"debian:trixie-1", "???", strings.Repeat("x", 100)} {
		m, err := h.New(doppel.Config{Name: name, Memory: 16 << 20, Net: "switch=lan0"})
		if err != nil || !m.Addr(0).IsValid() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Captures are those that are open.
func TestCaptures(t *testing.T) {
	dir := t.TempDir()
	lan, card := filepath.Join(dir, "lan"), filepath.Join(dir, "card")
	h, err := doppel.NewHost(doppel.HostConfig{Networks: []doppel.Network{{Name: "lan0", Uplink: "none", Capture: lan}},
		CaptureMissed: func(file, reason string) { t.Errorf("%s: %s", file, reason) }})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	n, err := doppel.ParseNIC("switch=lan0,capture=" + card)
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.New(doppel.Config{NICs: []doppel.NIC{n}})
	if err != nil {
		t.Fatal(err)
	}
	files := func() (all []string) {
		for _, c := range h.Captures() {
			if c.Missed != 0 || c.Limit != 1<<30 {
				t.Errorf("%+v", c)
			}
			all = append(all, c.File)
		}
		return all
	}
	if got := strings.Join(files(), " "); got != lan+" "+card {
		t.Errorf("captures %q", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(files(), " "); got != lan {
		t.Errorf("with the machine closed, captures %q", got)
	}
}
