package lan

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doppel"
	"doppel/test/guest/shell"
)

// TestLAN: three machines on one switch get addresses of their own, find each
// other by name, and reach the host; the host reaches one of them; and what
// they sent is in a capture that tcpdump reads.
func TestLAN(t *testing.T) {
	capture := filepath.Join(t.TempDir(), "lan0.pcapng")
	port := freePort(t)
	h, err := doppel.NewHost(doppel.HostConfig{Networks: []doppel.Network{{Name: "lan0", Capture: capture}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	var configs []doppel.Config
	for i := range 3 {
		c := doppel.Config{Name: fmt.Sprintf("node-%d", i+1), Net: "switch=lan0"}
		if i == 1 {
			c.Publish = []doppel.Publish{{Host: port, Guest: 80}}
		}
		configs = append(configs, c)
	}
	nodes := boot(t, h, configs...)
	for i, s := range nodes {
		s.Sh("ip link set eth0 up && udhcpc -q -n -i eth0 -s /usr/share/udhcpc/default.script")
		want := fmt.Sprintf("10.0.2.%d", 15+i)
		if got := s.Sh("ip -4 addr show eth0"); !strings.Contains(got, want+"/24") || s.Addr(0) != netip.MustParseAddr(want) {
			t.Errorf("%s has %s, want %s", s.Name(), got, want)
		}
		if got := strings.TrimSpace(s.Sh("hostname")); got != s.Name() {
			t.Errorf("%s calls itself %q", s.Name(), got)
		}
	}
	for i, s := range nodes {
		for j := range nodes {
			if i != j && !reaches(s, fmt.Sprintf("node-%d", j+1)) {
				t.Errorf("%s does not reach node-%d", s.Name(), j+1)
			}
		}
		if !reaches(s, "10.0.2.2") {
			t.Errorf("%s does not reach the gateway", s.Name())
		}
	}
	// The world is the host's loopback here.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "from the host") }))
	defer server.Close()
	_, hostPort, _ := net.SplitHostPort(server.Listener.Addr().String())
	if got := nodes[2].Sh("wget -q -O - http://10.0.2.2:" + hostPort); got != "from the host" {
		t.Errorf("node-3 fetched %q", got)
	}
	// And back, to the one whose port is published.
	nodes[1].Must(nodes[1].Begin("echo from node-2 | nc -l -p 80"))
	conn := dial(t, port)
	if b, err := io.ReadAll(conn); string(b) != "from node-2\n" {
		t.Errorf("the host got %q, %v", b, err)
	}
	conn.Close()
	_, _, err = nodes[1].Answer()
	nodes[1].Must(err)
	// Much data from one machine to another, segmented where that serves.
	sum := nodes[0].Sh("head -c 3000000 /dev/urandom > /tmp/x; busybox httpd -p 8080 -h /tmp && md5sum < /tmp/x")
	if got := nodes[1].Sh("wget -q -O - http://node-1:8080/x | md5sum"); got != sum {
		t.Errorf("sent %q, received %q", sum, got)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	checkCapture(t, capture)
}

func freePort(t *testing.T) uint16 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// dial connects to a published port until the guest behind it listens: until
// then the connection ends without a word.
func dial(t *testing.T, port uint16) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(shell.Patience); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(deadline)
		b := make([]byte, 1)
		if _, err := io.ReadFull(conn, b); err == nil {
			return &pushedBack{conn, b}
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("nobody answers at the published port")
		}
	}
}

// pushedBack is a connection of which a byte was read already.
type pushedBack struct {
	net.Conn
	first []byte
}

func (p *pushedBack) Read(b []byte) (int, error) {
	if n := copy(b, p.first); n > 0 {
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

func checkCapture(t *testing.T, path string) {
	t.Helper()
	tool, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Fatalf("tcpdump is missing: %v; make deps-test installs it", err)
	}
	out, err := exec.Command(tool, "-n", "-v", "-r", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{"10.0.2.15 > 10.0.2.16: ICMP echo request", "10.0.2.16 > 10.0.2.15: ICMP echo reply",
		"who-has 10.0.2.17", "BOOTP/DHCP, Reply", "10.0.2.17.", "10.0.2.3.53: ", "node-2"} {
		if !strings.Contains(text, want) {
			t.Errorf("the capture has no %q", want)
		}
	}
	if n := strings.Count(text, "10.0.2.15 > 10.0.2.16: ICMP echo request"); n > 2 {
		t.Errorf("a ping of 2 packets is in the capture %d times", n)
	}
	if i := strings.Index(text, "incorrect"); i >= 0 {
		t.Errorf("a checksum is wrong: %s", text[max(0, i-300):i+50])
	}
}

// TestVLAN: machines of two VLANs do not see each other, whatever they try; a
// trunk sees both. A rate is kept, as a ratio to another in the same run.
func TestVLAN(t *testing.T) {
	h, err := doppel.NewHost(doppel.HostConfig{Networks: []doppel.Network{{Name: "lan0", Uplink: "none"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	nics := []string{
		"switch=lan0,vlan=10,mac=52:54:00:00:00:01",
		"switch=lan0,vlan=10,mac=52:54:00:00:00:02,rate=1M",
		"switch=lan0,vlan=20,mac=52:54:00:00:00:03",
	}
	var configs []doppel.Config
	for _, n := range nics {
		configs = append(configs, doppel.Config{NICs: []doppel.NIC{nic(t, n), {Switch: "lan0", VLAN: 99, Rate: 4e6}}})
	}
	m := boot(t, h, configs...)
	for i, s := range m {
		s.Sh(fmt.Sprintf("ip link set eth0 up; ip addr add 192.168.1.%d/24 dev eth0; ip link set eth1 up; ip addr add 192.168.99.%d/24 dev eth1", i+1, i+1))
	}
	if !reaches(m[0], "192.168.1.2") || !reaches(m[1], "192.168.1.1") {
		t.Error("two machines of one VLAN do not reach each other")
	}
	if reaches(m[0], "192.168.1.3") || reaches(m[2], "192.168.1.2") {
		t.Error("a VLAN does not separate")
	}
	// Nor with the other's hardware address before its eyes.
	m[2].Sh("ip neigh add 192.168.1.2 lladdr 52:54:00:00:00:02 dev eth0 2>/dev/null || ip neigh change 192.168.1.2 lladdr 52:54:00:00:00:02 dev eth0 || true")
	if reaches(m[2], "192.168.1.2") {
		t.Error("a VLAN does not separate who knows the address")
	}
	if !reaches(m[2], "192.168.99.2") {
		t.Error("the second cards do not reach each other")
	}

	m[0].Sh("head -c 400000 /dev/zero > /tmp/slow; head -c 1600000 /dev/zero > /tmp/fast; busybox httpd -p 80 -h /tmp")
	slow, fast := throughput(m[1], "192.168.1.1/slow", 400e3), throughput(m[1], "192.168.99.1/fast", 1600e3)
	if r := fast / slow; r < 3.2 || r > 4.8 {
		t.Errorf("rates of 1 and 4 Mbit/s have the ratio %.2f (%.0f and %.0f bytes/s)", r, slow, fast)
	}
	t.Logf("rates of 1 and 4 Mbit/s have the ratio %.2f: %.0f and %.0f bytes/s", fast/slow, slow, fast)
}

// throughput fetches a file and returns how many bytes came in a second of the
// machine's.
func throughput(s *shell.VM, url string, size float64) float64 {
	out := s.Sh("a=$(cut -d' ' -f1 /proc/uptime); wget -q -O /tmp/y http://" + url + " && b=$(cut -d' ' -f1 /proc/uptime) && echo $a $b $(wc -c < /tmp/y)")
	var from, to, got float64
	if n, err := fmt.Sscan(out, &from, &to, &got); n != 3 || err != nil || got != size {
		s.Must(fmt.Errorf("received %q", out))
	}
	return size / (to - from)
}
