package vswitch

import (
	"bytes"
	"encoding/binary"
	"testing"

	"doppel/internal/backend"
)

// tcpFrame makes a frame for segmentation.
func tcpFrame(v6 bool, payload int) ([]byte, backend.Offload) {
	var b []byte
	b = append(b, 0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1)
	o := backend.Offload{NeedsChecksum: true, ChecksumOffset: offTCPSum, SegmentSize: 1000}
	if v6 {
		ip := make([]byte, ipv6Size)
		ip[0], ip[offIPv6Next], ip[8], ip[39] = 0x60, protoTCP, 0xfe, 9
		b = append(binary.BigEndian.AppendUint16(b, typeIPv6), ip...)
		o.GSO = backend.GSOTCP6
	} else {
		ip := make([]byte, ipv4MinSize)
		ip[0], ip[9], ip[12], ip[16] = 0x45, protoTCP, 10, 10
		ip[5] = 7 // identification
		b = append(binary.BigEndian.AppendUint16(b, typeIPv4), ip...)
		o.GSO = backend.GSOTCP4
	}
	o.ChecksumStart = uint16(len(b))
	tcp := make([]byte, 32)
	binary.BigEndian.PutUint32(tcp[offTCPSeq:], 0xfffffff0)
	tcp[12], tcp[offTCPFlags] = 8<<4, tcpFIN|tcpPSH|tcpCWR|0x10
	b = append(b, tcp...)
	o.HeaderLen = uint16(len(b))
	for i := range payload {
		b = append(b, byte(i*7))
	}
	return b, o
}

// A long frame reaches a port that segments whole, and one that does not in
// pieces that are frames of their own with the same bytes in them.
func TestSegments(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, size := range []int{0, 1, 999, 1000, 1001, 5500, 60000} {
			s := New(Config{})
			p := ports(t, s, PortConfig{}, PortConfig{}, PortConfig{Trunk: []VLAN{1}})
			p[1].SetSegmentation(true, true)
			b, o := tcpFrame(v6, size)
			p[0].Send(b, o)
			whole, got, ok := p[1].Receive()
			if !ok || !bytes.Equal(whole, b) || got != o {
				t.Fatalf("whole: %d bytes, %+v; want %d, %+v", len(whole), got, len(b), o)
			}
			var data []byte
			n := max(1, (size+999)/1000)
			for i := range n {
				k, o, ok := p[2].Receive()
				if !ok || o.GSO != backend.GSONone || !o.NeedsChecksum {
					t.Fatalf("segment %d of %d: %v, %+v", i, n, ok, o)
				}
				f, _, why := parse(k, o, defaultMTU)
				if why != dropNone {
					t.Fatalf("segment %d: %v", i, why)
				}
				checkSegment(t, f.onWire(1, false), int(f.offload.ChecksumStart), len(data), i, i == n-1)
				data = append(data, k[int(o.ChecksumStart)+32:]...)
			}
			if _, _, more := p[2].Receive(); more || !bytes.Equal(data, b[o.HeaderLen:]) {
				t.Errorf("%d bytes came as %d", size, len(data))
			}
			s.Close()
		}
	}
}

// checkSegment looks at a frame without a tag.
func checkSegment(t *testing.T, b []byte, l4, off, n int, last bool) {
	t.Helper()
	ip, tcp := b[headerSize:l4], b[l4:]
	addresses := ip[8:]
	if ip[0]>>4 == 4 {
		addresses = ip[12:]
		if sum(0, ip) != 0xffff || int(binary.BigEndian.Uint16(ip[2:])) != len(b)-headerSize || binary.BigEndian.Uint16(ip[4:]) != uint16(7+n) {
			t.Errorf("segment %d: IP header %x", n, ip)
		}
	} else if int(binary.BigEndian.Uint16(ip[4:])) != len(tcp) {
		t.Errorf("segment %d: IPv6 header %x", n, ip)
	}
	if sum(protoTCP+uint32(len(tcp))+uint32(sum(0, addresses)), tcp) != 0xffff {
		t.Errorf("segment %d: checksum", n)
	}
	if seq := binary.BigEndian.Uint32(tcp[offTCPSeq:]); seq != 0xfffffff0+uint32(off) {
		t.Errorf("segment %d: sequence number %#x", n, seq)
	}
	flags := byte(0x10)
	if last {
		flags |= tcpFIN | tcpPSH
	}
	if n == 0 {
		flags |= tcpCWR
	}
	if tcp[offTCPFlags] != flags {
		t.Errorf("segment %d: flags %#x, want %#x", n, tcp[offTCPFlags], flags)
	}
}

// What a sender says of a frame must be true of it.
func TestHostileOffload(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b []byte, o *backend.Offload) []byte
		want   string
	}{
		"tiny segments":      {func(b []byte, o *backend.Offload) []byte { o.SegmentSize = 1; return b }, "malformed"},
		"long segments":      {func(b []byte, o *backend.Offload) []byte { o.SegmentSize = 9000; return b }, "oversized"},
		"no checksum":        {func(b []byte, o *backend.Offload) []byte { o.NeedsChecksum = false; return b }, "malformed"},
		"checksum elsewhere": {func(b []byte, o *backend.Offload) []byte { o.ChecksumStart++; return b }, "malformed"},
		"checksum of UDP":    {func(b []byte, o *backend.Offload) []byte { o.ChecksumOffset = 6; return b }, "malformed"},
		"other kind":         {func(b []byte, o *backend.Offload) []byte { o.GSO = backend.GSOTCP6; return b }, "malformed"},
		"UDP":                {func(b []byte, o *backend.Offload) []byte { b[headerSize+9] = 17; return b }, "malformed"},
		"fragment":           {func(b []byte, o *backend.Offload) []byte { b[headerSize+6] = 0x20; return b }, "malformed"},
		"short IP header":    {func(b []byte, o *backend.Offload) []byte { b[headerSize] = 0x44; return b }, "malformed"},
		"short TCP header":   {func(b []byte, o *backend.Offload) []byte { b[34+12] = 4 << 4; return b }, "malformed"},
		"long TCP header":    {func(b []byte, o *backend.Offload) []byte { b[34+12] = 15 << 4; return b[:70] }, "malformed"},
		"cut":                {func(b []byte, o *backend.Offload) []byte { return b[:40] }, "malformed"},
		"not segmented":      {func(b []byte, o *backend.Offload) []byte { *o = backend.Offload{}; return b }, "oversized"},
		"checksum in header": {func(b []byte, o *backend.Offload) []byte { o.GSO, o.ChecksumStart = 0, 3; return b[:100] }, "malformed"},
		"checksum beyond":    {func(b []byte, o *backend.Offload) []byte { o.GSO, o.ChecksumStart = 0, 99; return b[:100] }, "malformed"},
		"pause frame": {func(b []byte, o *backend.Offload) []byte {
			copy(b, "\x01\x80\xc2\x00\x00\x01")
			*o = backend.Offload{}
			return b[:60]
		}, "reserved"},
		"group source": {func(b []byte, o *backend.Offload) []byte { b[6] |= 1; return b }, "source"},
		"no source":    {func(b []byte, o *backend.Offload) []byte { copy(b[6:], make([]byte, 6)); return b }, "source"},
		"no header":    {func(b []byte, o *backend.Offload) []byte { return b[:13] }, "malformed"},
		"half a tag": {func(b []byte, o *backend.Offload) []byte {
			copy(b[12:], "\x81\x00\x00\x01")
			return b[:17]
		}, "malformed"},
	} {
		s := New(Config{})
		p := ports(t, s, PortConfig{}, PortConfig{})
		b, o := tcpFrame(false, 3000)
		b = c.change(b, &o)
		p[0].Send(b, o)
		if _, _, ok := p[1].Receive(); ok || s.Stats()[0].Dropped[c.want] != 1 {
			t.Errorf("%s: passed %v, dropped %v, want %s", name, ok, s.Stats()[0].Dropped, c.want)
		}
	}
}

// Tags go in and out, and offsets with them.
func TestTaggedOffload(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	p := ports(t, s, PortConfig{VLAN: 5}, PortConfig{Trunk: []VLAN{5}})
	p[0].SetSegmentation(true, true)
	p[1].SetSegmentation(true, true)
	b, o := tcpFrame(false, 3000)
	p[0].Send(b, o)
	k, got, _ := p[1].Receive()
	if len(k) != len(b)+tagSize || int(got.ChecksumStart) != int(o.ChecksumStart)+tagSize || int(got.HeaderLen) != int(o.HeaderLen)+tagSize {
		t.Fatalf("%d bytes, %+v", len(k), got)
	}
	copy(k[6:], "\x52\x54\x00\x00\x00\x03")
	copy(k, "\x52\x54\x00\x00\x00\x01")
	p[1].Send(k, got)
	back, again, ok := p[0].Receive()
	if !ok || again != o || !bytes.Equal(back[12:], b[12:]) {
		t.Errorf("%v, %+v, want %+v", ok, again, o)
	}
}

// FuzzFrame: whatever a guest sends, what comes out is a frame of a length
// that its receiver takes.
func FuzzFrame(f *testing.F) {
	b, o := tcpFrame(false, 2000)
	f.Add(b, o.NeedsChecksum, o.ChecksumStart, o.ChecksumOffset, uint8(o.GSO), o.SegmentSize, o.HeaderLen)
	b, o = tcpFrame(true, 2000)
	f.Add(b, o.NeedsChecksum, o.ChecksumStart, o.ChecksumOffset, uint8(o.GSO), o.SegmentSize, o.HeaderLen)
	f.Add(ether(broadcast, mac(1), 5, "x"), true, uint16(20), uint16(2), uint8(0), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, needs bool, start, offset uint16, gso uint8, size, head uint16) {
		o := backend.Offload{NeedsChecksum: needs, ChecksumStart: start, ChecksumOffset: offset,
			GSO: backend.GSO(gso % 3), SegmentSize: size, HeaderLen: head}
		s := New(Config{})
		defer s.Close()
		p := ports(t, s, PortConfig{}, PortConfig{}, PortConfig{Trunk: []VLAN{1, 5}, Native: 7}, PortConfig{VLAN: 7}, PortConfig{Trunk: []VLAN{5}})
		p[1].SetSegmentation(true, true)
		before := bytes.Clone(b)
		p[0].Send(b, o)
		p[2].Send(b, o)
		if !bytes.Equal(b, before) {
			t.Fatal("Send wrote to the frame")
		}
		for i, q := range p {
			for {
				k, o, ok := q.Receive()
				if !ok {
					break
				}
				switch {
				case len(k) > backend.MaxFrame || len(k) < headerSize:
					t.Fatalf("port %d got %d bytes", i, len(k))
				case o.GSO == backend.GSONone && len(k) > headerSize+tagSize+defaultMTU:
					t.Fatalf("port %d got %d bytes in one", i, len(k))
				case o.NeedsChecksum && int(o.ChecksumStart)+int(o.ChecksumOffset)+2 > len(k):
					t.Fatalf("port %d: %+v in %d bytes", i, o, len(k))
				case o.GSO != backend.GSONone && (i != 1 || int(o.HeaderLen) > len(k)):
					t.Fatalf("port %d: %+v in %d bytes", i, o, len(k))
				}
				if f, tag, why := parse(k, o, defaultMTU); why == dropNone {
					f.onWire(max(tag, 1), true)
				}
			}
		}
	})
}
