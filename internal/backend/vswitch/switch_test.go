package vswitch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"doppel/internal/backend"
)

var broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func mac(n byte) MAC { return MAC{0x52, 0x54, 0, 0, 0, n} }

// ether makes a frame of 60 bytes; a tag of 0 is none.
func ether(dst, src MAC, tag VLAN, text string) []byte {
	b := slices.Concat(dst[:], src[:])
	if tag != 0 {
		b = binary.BigEndian.AppendUint16(b, typeVLAN)
		b = binary.BigEndian.AppendUint16(b, uint16(tag))
	}
	b = append(binary.BigEndian.AppendUint16(b, 0x88b5), text...) // an EtherType for experiments
	return append(b, make([]byte, max(0, 60-len(b)))...)
}

// text is what a frame says, with its tag before it.
func text(b []byte) string {
	at, tag := headerSize, ""
	if binary.BigEndian.Uint16(b[offType:]) == typeVLAN {
		at, tag = at+tagSize, fmt.Sprintf("%d:", binary.BigEndian.Uint16(b[offType+2:])&vidMask)
	}
	return tag + strings.TrimRight(string(b[at:]), "\x00")
}

// received drains a port.
func received(p *Port) string {
	var all []string
	for {
		b, _, ok := p.Receive()
		if !ok {
			return strings.Join(all, " ")
		}
		all = append(all, text(b))
	}
}

func ports(t *testing.T, s *Switch, configs ...PortConfig) []*Port {
	t.Helper()
	var all []*Port
	for i, c := range configs {
		if c.Name == "" {
			c.Name = fmt.Sprint("p", i)
		}
		p, err := s.Port(c)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func send(p *Port, b []byte) { p.Send(b, backend.Offload{}) }

// What is not known goes to all others, what is known to one, and nothing back.
func TestLearning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Name: "lan0"})
		defer s.Close()
		p := ports(t, s, PortConfig{}, PortConfig{}, PortConfig{})
		want := func(what string, got ...string) {
			t.Helper()
			for i := range p {
				if r := received(p[i]); r != got[i] {
					t.Errorf("%s: port %d got %q, want %q", what, i, r, got[i])
				}
			}
		}
		send(p[0], ether(mac(1), mac(0), 0, "a"))
		want("unknown", "", "a", "a")
		send(p[1], ether(mac(0), mac(1), 0, "b"))
		want("known", "b", "", "")
		send(p[0], ether(broadcast, mac(0), 0, "c"))
		want("broadcast", "", "c", "c")
		send(p[2], ether(mac(0), mac(1), 0, "d")) // it has moved
		send(p[0], ether(mac(1), mac(0), 0, "e"))
		want("moved", "d", "", "e")
		send(p[0], ether(mac(0), mac(7), 0, "f")) // a station of its own port
		want("to itself", "", "", "")
		time.Sleep(maxAge + time.Second)
		send(p[0], ether(mac(1), mac(0), 0, "g"))
		want("aged", "", "g", "g")
		p[2].Close()
		send(p[0], ether(mac(1), mac(0), 0, "h"))
		want("closed", "", "h", "")
	})
}

// Frames stay in their VLAN; an access port has no tags, a trunk has them but
// for the native VLAN; what does not belong is dropped and counted.
func TestVLANs(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	p := ports(t, s,
		PortConfig{VLAN: 10}, PortConfig{VLAN: 10}, PortConfig{VLAN: 20},
		PortConfig{Trunk: []VLAN{10, 20}}, PortConfig{Trunk: []VLAN{20, 30}, Native: 30}, PortConfig{})
	for _, c := range []struct {
		name string
		from int
		tag  VLAN
		want []string
	}{
		{"access", 0, 0, []string{"", "x", "", "10:x", "", ""}},
		{"other access", 2, 0, []string{"", "", "", "20:x", "20:x", ""}},
		{"tagged on access", 0, 10, make([]string, 6)},
		{"tagged for others", 0, 20, make([]string, 6)},
		{"trunk", 3, 20, []string{"", "", "x", "", "20:x", ""}},
		{"trunk, not its VLAN", 3, 30, make([]string, 6)},
		{"trunk without native", 3, 0, make([]string, 6)},
		{"native", 4, 0, make([]string, 6)},
		{"native with a tag", 4, 30, make([]string, 6)},
		{"reserved VLAN", 3, 4095, make([]string, 6)},
		{"default", 5, 0, make([]string, 6)},
	} {
		send(p[c.from], ether(broadcast, mac(byte(c.from)), c.tag, "x"))
		for i := range p {
			if got := received(p[i]); got != c.want[i] {
				t.Errorf("%s: port %d got %q, want %q", c.name, i, got, c.want[i])
			}
		}
	}
	if n := s.Stats()[0].Dropped["vlan"]; n != 2 {
		t.Errorf("port 0 dropped %d for their VLAN, want 2", n)
	}
	// An address is known for each VLAN by itself.
	send(p[0], ether(broadcast, mac(9), 0, "y"))
	for _, q := range p {
		received(q)
	}
	send(p[3], ether(mac(9), mac(8), 20, "z"))
	if got := received(p[2]) + "," + received(p[0]); got != "z," {
		t.Errorf("VLAN 20 with VLAN 10's address: %q", got)
	}
}

// A static address is at its port, whoever claims it; a locked port has no other.
func TestStatic(t *testing.T) {
	s := New(Config{Name: "lan0"})
	defer s.Close()
	p := ports(t, s, PortConfig{Static: []MAC{mac(1)}, Locked: true}, PortConfig{Static: []MAC{mac(2)}}, PortConfig{})
	send(p[1], ether(broadcast, mac(1), 0, "thief"))
	send(p[0], ether(broadcast, mac(5), 0, "masked"))
	for i := range p {
		if got := received(p[i]); got != "" {
			t.Errorf("port %d got %q", i, got)
		}
	}
	send(p[2], ether(mac(1), mac(3), 0, "first"))
	if got := received(p[0]) + "," + received(p[1]); got != "first," {
		t.Errorf("to an address that has not spoken: %q", got)
	}
	st := s.Stats()
	if st[0].Dropped["source"] != 1 || st[1].Dropped["source"] != 1 {
		t.Errorf("dropped %v, %v", st[0].Dropped, st[1].Dropped)
	}
	if _, err := s.Port(PortConfig{Static: []MAC{mac(1)}}); err == nil || !strings.Contains(err.Error(), "port p0 of switch lan0") {
		t.Errorf("an address at two ports: %v", err)
	}
	p[0].Close()
	if _, err := s.Port(PortConfig{Static: []MAC{mac(1)}}); err != nil {
		t.Errorf("an address of a closed port: %v", err)
	}
}

func TestPortConfigs(t *testing.T) {
	s := New(Config{})
	for _, c := range []struct {
		config PortConfig
		want   string
	}{
		{PortConfig{VLAN: 4095}, "1 to 4094"},
		{PortConfig{VLAN: 1, Trunk: []VLAN{2}}, "not both"},
		{PortConfig{Trunk: []VLAN{2, 4095}}, "1 to 4094"},
		{PortConfig{Trunk: []VLAN{0}}, "1 to 4094"},
		{PortConfig{Native: 3}, "trunk"},
		{PortConfig{Trunk: []VLAN{2}, Native: 5000}, "1 to 4094"},
		{PortConfig{Rate: 100}, "8000"},
		{PortConfig{Locked: true}, "address"},
		{PortConfig{Static: []MAC{broadcast}}, "station"},
		{PortConfig{Static: []MAC{{}}}, "station"},
	} {
		if _, err := s.Port(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
	}
	s.Close()
	if _, err := s.Port(PortConfig{}); err != ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

// Nothing that one port sends grows without bound: not the table, not the
// queues, not the work of others.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		p := ports(t, s, PortConfig{}, PortConfig{}, PortConfig{})
		send(p[2], ether(broadcast, mac(2), 0, ""))
		received(p[0])
		received(p[1])
		for i := range 3 * maxLearned {
			m := MAC{0x02, 0, 0, 0, byte(i >> 8), byte(i)}
			send(p[0], ether(mac(2), m, 0, ""))
		}
		if n := s.Stats()[0].Learned; n != maxLearned {
			t.Errorf("learned %d", n)
		}
		received(p[2])
		// Another port still learns.
		send(p[1], ether(mac(2), mac(1), 0, "hello"))
		send(p[2], ether(mac(1), mac(2), 0, "you"))
		if got := received(p[1]); got != "you" || s.Stats()[1].Learned != 1 {
			t.Errorf("%q, %d learned", got, s.Stats()[1].Learned)
		}
		received(p[2])
		received(p[0])
		long := append(ether(mac(2), mac(1), 0, ""), make([]byte, 1400)...)
		for range 10000 {
			send(p[1], long)
		}
		st := s.Stats()
		if st[2].Dropped["full"] == 0 || st[2].Queued > maxQueued {
			t.Errorf("dropped %v, %d bytes wait", st[2].Dropped, st[2].Queued)
		}
		for range 3 * stormRate {
			send(p[0], ether(broadcast, mac(0), 0, ""))
		}
		if n := s.Stats()[0]; n.Dropped["storm"] < stormRate || n.Floods > stormRate+1 {
			t.Errorf("a storm: %+v", n)
		}
		time.Sleep(time.Second)
		send(p[0], ether(broadcast, mac(0), 0, ""))
		if n := s.Stats()[0].Dropped["storm"]; n != 2*stormRate {
			t.Errorf("after a storm: %d dropped", n)
		}
		time.Sleep(maxAge)
		send(p[0], ether(broadcast, mac(99), 0, "")) // sweeps
		if n := s.Stats()[0].Learned; n != 1 {
			t.Errorf("%d learned after all have aged", n)
		}
	})
}

// A rate holds in both directions, and two rates have their ratio.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		const low = 1 << 20
		p := ports(t, s, PortConfig{Rate: low}, PortConfig{Rate: 4 * low}, PortConfig{})
		var got [3]atomic.Int64
		clear := func() {
			for i := range got {
				got[i].Store(0)
			}
		}
		drain := func(i int) {
			for {
				b, _, ok := p[i].Receive()
				if !ok {
					return
				}
				got[i].Add(int64(len(b)))
			}
		}
		for i := range p {
			p[i].SetReady(func() { drain(i) })
			send(p[i], ether(broadcast, mac(byte(i)), 0, ""))
		}
		synctest.Wait()
		clear()
		const seconds = 20
		frame := func(to, from int) []byte {
			return append(ether(mac(byte(to)), mac(byte(from)), 0, ""), make([]byte, 1400)...)
		}
		for range seconds * 1000 { // both at 11.7 Mbit/s
			send(p[2], frame(0, 2))
			send(p[2], frame(1, 2))
			time.Sleep(time.Millisecond)
		}
		for i, rate := range []float64{low, 4 * low} {
			if share := float64(got[i].Load()*8) / seconds / rate; share < 0.97 || share > 1.03 {
				t.Errorf("port %d received %.3f of its rate", i, share)
			}
		}
		if r := float64(got[1].Load()) / float64(got[0].Load()); r < 3.9 || r > 4.1 {
			t.Errorf("the rates 1 and 4 have the ratio %.2f", r)
		}
		clear()
		for range seconds * 1000 {
			send(p[0], frame(2, 0))
			time.Sleep(time.Millisecond)
		}
		if share := float64(got[2].Load()*8) / seconds / low; share < 0.97 || share > 1.03 {
			t.Errorf("port 0 sent %.3f of its rate", share)
		}
		if st := s.Stats()[0]; st.Dropped["rate"] == 0 || st.Queued > 2*leastQueued {
			t.Errorf("%+v", st)
		}
		// What is below the rate passes at once and whole.
		time.Sleep(10 * time.Second)
		clear()
		for range 10 {
			send(p[0], frame(2, 0))
			time.Sleep(100 * time.Millisecond)
		}
		if n := got[2].Load(); n != int64(10*len(frame(2, 0))) {
			t.Errorf("%d bytes of a slow sender", n)
		}
	})
}

// Ports come, send and go at once.
func TestConcurrent(t *testing.T) {
	s := New(Config{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				p, err := s.Port(PortConfig{Name: "x", Rate: uint64(g%2) * 1e6, Static: []MAC{mac(byte(g))}})
				if err != nil {
					t.Error(err)
					return
				}
				p.SetReady(func() { p.Receive() })
				for range 20 {
					send(p, ether(mac(byte(i%8)), mac(byte(g)), 0, "x"))
					send(p, ether(broadcast, mac(byte(g)), 0, "x"))
				}
				p.Close()
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(s.Stats()) != 0 || len(s.table.learned)+len(s.table.fixed)+len(s.table.count) != 0 {
		t.Error("something is left of the ports")
	}
}

// wire is the far end of an uplink.
type wire struct {
	mu    sync.Mutex
	in    [][]byte
	got   chan []byte
	ready func()
	seg   bool
	gone  bool
}

func (w *wire) Send(b []byte, _ backend.Offload) { w.got <- bytes.Clone(b) }
func (w *wire) Receive() ([]byte, backend.Offload, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.in) == 0 {
		return nil, backend.Offload{}, false
	}
	b := w.in[0]
	w.in = w.in[1:]
	return b, backend.Offload{}, true
}
func (w *wire) SetReady(fn func())           { w.ready = fn }
func (w *wire) SetSegmentation(tcp4, _ bool) { w.seg = tcp4 }
func (w *wire) MTU() uint16                  { return 1500 }
func (w *wire) Close() error                 { w.gone = true; return nil }

// An uplink is a station like others.
func TestUplink(t *testing.T) {
	s := New(Config{})
	w := &wire{got: make(chan []byte, 10)}
	if err := s.Uplink(w, PortConfig{Name: "uplink", Static: []MAC{mac(9)}}); err != nil {
		t.Fatal(err)
	}
	p := ports(t, s, PortConfig{})[0]
	back := make(chan struct{}, 1)
	p.SetReady(func() { back <- struct{}{} })
	send(p, ether(mac(9), mac(1), 0, "up"))
	if got := text(<-w.got); got != "up" {
		t.Errorf("uplink got %q", got)
	}
	w.mu.Lock()
	w.in = append(w.in, ether(mac(1), mac(9), 0, "down"))
	w.mu.Unlock()
	w.ready()
	<-back
	if got := received(p); got != "down" || !w.seg {
		t.Errorf("port got %q, segmentation %v", got, w.seg)
	}
	if err := s.Close(); err != nil || !w.gone {
		t.Errorf("closed: %v, %v", w.gone, err)
	}
	other := &wire{}
	if err := s.Uplink(other, PortConfig{}); err != ErrClosed || !other.gone {
		t.Errorf("an uplink of a closed switch: %v", err)
	}
}

// What a closed port still sends goes nowhere, and the switch holds on to
// nothing of it.
func TestSendFromClosedPort(t *testing.T) {
	s := New(Config{Name: "lan0"})
	defer s.Close()
	p := ports(t, s, PortConfig{}, PortConfig{})
	p[0].Close()
	send(p[0], ether(broadcast, mac(0), 0, "late"))
	if got := received(p[1]); got != "" {
		t.Errorf("another port got %q", got)
	}
	if len(s.table.learned)+len(s.table.count) != 0 {
		t.Errorf("the table has %v", s.table.learned)
	}
}
