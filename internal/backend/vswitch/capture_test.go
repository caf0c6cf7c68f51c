package vswitch

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"doppel/internal/backend"
)

// A capture is read by tcpdump: each frame once, with its tag and a right
// checksum.
func TestCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lan0.pcapng")
	c, err := CreateCapture(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Capture: c})
	mirror := filepath.Join(t.TempDir(), "port.pcapng")
	c2, err := CreateCapture(mirror, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := ports(t, s, PortConfig{Name: "web/0", VLAN: 10}, PortConfig{Name: "db/0", VLAN: 10, Capture: c2}, PortConfig{Name: "other/0"})
	b, o := tcpFrame(false, 100)
	o.GSO, o.SegmentSize, o.HeaderLen = backend.GSONone, 0, 0
	binary.BigEndian.PutUint16(b[headerSize+2:], uint16(len(b)-headerSize))
	binary.BigEndian.PutUint16(b[headerSize+10:], ^sum(0, b[headerSize:34]))
	binary.BigEndian.PutUint16(b[34+offTCPSum:], pseudo(b[26:34], len(b)-34))
	p[0].Send(b, o)
	send(p[1], ether(mac(1), mac(2), 0, "back"))
	send(p[2], ether(broadcast, mac(7), 0, "apart"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tool, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is missing")
	}
	for file, want := range map[string][]string{
		path:   {"vlan 10", "(correct)", "10.0.0.0.0 > 10.0.0.0.0", "88b5", "52:54:00:00:00:07 > ff:ff:ff:ff:ff:ff"},
		mirror: {"(correct)", "52:54:00:00:00:02 > 52:54:00:00:00:01"},
	} {
		out, err := exec.Command(tool, "-e", "-n", "-vv", "-r", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("no %q in\n%s", w, out)
			}
		}
		if n := strings.Count(string(out), " > ") - strings.Count(string(out), "10.0.0.0.0 >"); file == path && n != 3 || file == mirror && (n != 2 || strings.Contains(string(out), "vlan")) {
			t.Errorf("%d frames in\n%s", n, out)
		}
	}
}

// A capture ends at its limit, and what is in it is whole.
func TestCaptureLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	told := make(chan Miss, 10)
	c, err := CreateCapture(path, 10000, func(why Miss) { told <- why })
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Capture: c})
	p := ports(t, s, PortConfig{})
	for range 1000 {
		send(p[0], ether(broadcast, mac(1), 0, "x"))
	}
	s.Close()
	stats, open := c.Stats()
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 10000 || len(b) < 9000 || stats != (CaptureStats{path, uint64(len(b)), 10000, stats.Missed}) || stats.Missed == 0 || open {
		t.Fatalf("%d bytes, %+v, %v", len(b), stats, err)
	}
	close(told)
	var why []Miss
	for m := range told {
		why = append(why, m)
	}
	if !slices.Equal(why, []Miss{MissLimit}) {
		t.Errorf("told %v", why)
	}
	for len(b) > 0 { // blocks, each with its length at both ends
		n := binary.LittleEndian.Uint32(b[4:])
		if int(n) > len(b) || binary.LittleEndian.Uint32(b[n-4:]) != n {
			t.Fatal("a block is cut")
		}
		b = b[n:]
	}
}

// Files that are no captures are left alone.
func TestCaptureFiles(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk.raw")
	os.WriteFile(disk, []byte("important"), 0o600)
	for path, want := range map[string]string{
		disk: "not a capture", dir: "regular", filepath.Join(dir, "no", "x"): "no such file", "/dev/null": "regular",
	} {
		if _, err := CreateCapture(path, 0, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if b, _ := os.ReadFile(disk); string(b) != "important" {
		t.Error("a file was replaced")
	}
	again := filepath.Join(dir, "again")
	for range 2 {
		c, err := CreateCapture(again, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
