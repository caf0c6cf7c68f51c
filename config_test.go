package doppel

import (
	"net/netip"
	"testing"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "4096": 4096, "1k": 1024, "512M": 512 << 20, "4G": 4 << 30, "1T": 1 << 40} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "M", "-1", "1.5G", "512MB", "99999999999G", "0x10"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
}

func TestParseDisk(t *testing.T) {
	for s, want := range map[string]Disk{
		"a.raw": {Path: "a.raw"}, "a,ro": {Path: "a", ReadOnly: true}, "/x/y,ephemeral": {Path: "/x/y", Ephemeral: true},
		"a,,b": {Path: "a,b"}, "a,,,ro": {Path: "a,", ReadOnly: true}, ",,": {Path: ","}, "a,,ro,ro": {Path: "a,ro", ReadOnly: true},
	} {
		if got, err := ParseDisk(s); err != nil || got != want {
			t.Errorf("ParseDisk(%q) = %+v, %v, want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", ",ro", "a,rw", "a,ro,ephemeral", "a,b", "a,ro,,ephemeral"} {
		if got, err := ParseDisk(s); err == nil {
			t.Errorf("ParseDisk(%q) = %+v, want an error", s, got)
		}
	}
}

func TestParsePublish(t *testing.T) {
	for s, want := range map[string]Publish{
		"8080:80":          {Host: 8080, Guest: 80},
		"0:22/tcp":         {Guest: 22},
		"0.0.0.0:53:5/udp": {Addr: netip.MustParseAddr("0.0.0.0"), Host: 53, Guest: 5, UDP: true},
		"[::1]:1:2":        {Addr: netip.MustParseAddr("::1"), Host: 1, Guest: 2},
	} {
		if got, err := ParsePublish(s); err != nil || got != want {
			t.Errorf("ParsePublish(%q) = %+v, %v, want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "80", "80:", ":80", "1:0", "70000:1", "1:70000", "host:1:2", "1:2/sctp", "a:b"} {
		if got, err := ParsePublish(s); err == nil {
			t.Errorf("ParsePublish(%q) = %+v, want an error", s, got)
		}
	}
}
