package vswitch

import (
	"encoding/binary"

	"doppel/internal/backend"
)

const (
	ipv4MinSize = 20
	ipv6Size    = 40
	tcpMinSize  = 20

	offIPv4Total, offIPv4ID, offIPv4Sum = 2, 4, 10
	offIPv6Payload, offIPv6Next         = 4, 6
	offTCPSeq, offTCPFlags, offTCPSum   = 4, 13, 16

	protoTCP = 6

	tcpFIN, tcpPSH, tcpCWR = 1, 8, 0x80

	// minSegment is the least payload of a segment: Linux sends none shorter
	// (TCP_MIN_SND_MSS), and what asks for shorter ones makes many of one.
	minSegment = 48
)

// shift moves the offsets of an offload by bytes that were put in or taken
// out before them.
func shift(o *backend.Offload, by int) bool {
	move := func(v *uint16) bool {
		n := int(*v) + by
		*v = uint16(n)
		return n >= 0 && n <= 0xffff
	}
	ok := true
	if o.NeedsChecksum {
		ok = move(&o.ChecksumStart)
	}
	if o.GSO != backend.GSONone {
		ok = move(&o.HeaderLen) && ok
	}
	return ok
}

// transport finds where a TCP segment and its payload begin in an untagged
// frame that is to be segmented.
func transport(b []byte, kind backend.GSO) (l4, payload int, ok bool) {
	ether := binary.BigEndian.Uint16(b[offType:])
	ip := b[headerSize:]
	switch {
	case kind == backend.GSOTCP4 && ether == typeIPv4 && len(ip) >= ipv4MinSize && ip[0]>>4 == 4 && ip[9] == protoTCP:
		size := int(ip[0]&0xf) * 4
		// A fragment is not segmented again (RFC 791): no more fragments, at 0.
		if size < ipv4MinSize || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
			return 0, 0, false
		}
		l4 = headerSize + size
	case kind == backend.GSOTCP6 && ether == typeIPv6 && len(ip) >= ipv6Size && ip[0]>>4 == 6 && ip[offIPv6Next] == protoTCP:
		l4 = headerSize + ipv6Size
	default:
		return 0, 0, false
	}
	if len(b) < l4+tcpMinSize {
		return 0, 0, false
	}
	payload = l4 + int(b[l4+12]>>4)*4
	return l4, payload, payload >= l4+tcpMinSize && payload <= len(b)
}

// checkSegments holds the headers of a frame for segmentation against what
// the sender says of them, so that no receiver has to.
func (f *frame) checkSegments(mtu int) drop {
	l4, payload, ok := transport(f.bytes, f.offload.GSO)
	o := &f.offload
	if !ok || !o.NeedsChecksum || int(o.ChecksumStart) != l4 || o.ChecksumOffset != offTCPSum || o.SegmentSize < minSegment {
		return dropMalformed
	}
	if payload-headerSize+int(o.SegmentSize) > mtu {
		return dropOversized
	}
	o.HeaderLen = uint16(payload) // the sender's is a hint (virtio §5.1.6.2)
	return dropNone
}

// segments cuts a frame into what a receiver without segmentation takes. The
// checksums stay to be completed.
func (f *frame) segments() []frame {
	l4, at, ok := transport(f.bytes, f.offload.GSO)
	if !ok {
		return nil
	}
	head, data := f.bytes[:at], f.bytes[at:]
	size := int(f.offload.SegmentSize)
	out := make([]frame, 0, len(data)/size+1)
	for off := 0; off < len(data) || off == 0; off += size {
		part := data[off:min(off+size, len(data))]
		b := append(append(make([]byte, 0, len(head)+len(part)), head...), part...)
		fixHeaders(b, l4, off, len(out), off+size >= len(data))
		s := *f
		s.bytes = b
		s.offload = backend.Offload{NeedsChecksum: true, ChecksumStart: uint16(l4), ChecksumOffset: offTCPSum}
		out = append(out, s)
	}
	return out
}

// fixHeaders makes the headers those of the n-th segment, whose payload is at
// off of the whole.
func fixHeaders(b []byte, l4, off, n int, last bool) {
	be := binary.BigEndian
	ip, tcp := b[headerSize:], b[l4:]
	length := len(tcp)
	if ip[0]>>4 == 4 {
		be.PutUint16(ip[offIPv4Total:], uint16(len(ip)))
		be.PutUint16(ip[offIPv4ID:], be.Uint16(ip[offIPv4ID:])+uint16(n))
		be.PutUint16(ip[offIPv4Sum:], 0)
		be.PutUint16(ip[offIPv4Sum:], ^sum(0, b[headerSize:l4]))
		be.PutUint16(tcp[offTCPSum:], pseudo(ip[12:20], length))
	} else {
		be.PutUint16(ip[offIPv6Payload:], uint16(len(ip)-ipv6Size))
		be.PutUint16(tcp[offTCPSum:], pseudo(ip[8:40], length))
	}
	be.PutUint32(tcp[offTCPSeq:], be.Uint32(tcp[offTCPSeq:])+uint32(off))
	if !last {
		tcp[offTCPFlags] &^= tcpFIN | tcpPSH
	}
	if off > 0 {
		tcp[offTCPFlags] &^= tcpCWR // RFC 3168 §6.1.2: in the first only
	}
}

// pseudo is the sum of the pseudo-header of a TCP segment (RFC 9293 §3.1).
func pseudo(addresses []byte, length int) uint16 {
	return sum(protoTCP+uint32(length), addresses)
}

// sum is the Internet checksum's sum (RFC 1071) of at most 64 KiB, and of
// what came before: 2^15 words and a start below 2^17 cannot overflow.
func sum(start uint32, b []byte) uint16 {
	s := start
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
