package net

import (
	"encoding/binary"

	"doppel/internal/backend"
	"doppel/internal/device/virtio"
)

// The header before each frame (virtio §5.1.6).
const (
	headerSize = 12

	offFlags      = 0
	offGSOType    = 1
	offHdrLen     = 2
	offGSOSize    = 4
	offCsumStart  = 6
	offCsumOffset = 8
	offNumBuffers = 10

	flagNeedsCsum = 1
	flagDataValid = 2

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoECN   = 0x80
)

// decodeHeader reads the header of a frame from the guest, ok false if it
// asks for what was not negotiated or makes no sense for the frame.
func decodeHeader(h, frame []byte, s *virtio.Session) (o backend.Offload, ok bool) {
	le := binary.LittleEndian
	if h[offFlags]&flagNeedsCsum != 0 {
		o.NeedsChecksum = true
		o.ChecksumStart, o.ChecksumOffset = le.Uint16(h[offCsumStart:]), le.Uint16(h[offCsumOffset:])
		// In int: the sum cannot overflow.
		if !s.Has(featureCsum) || int(o.ChecksumStart)+int(o.ChecksumOffset)+2 > len(frame) {
			return o, false
		}
	}
	o.SegmentSize, o.HeaderLen = le.Uint16(h[offGSOSize:]), le.Uint16(h[offHdrLen:])
	switch h[offGSOType] &^ gsoECN {
	case gsoNone:
		o.SegmentSize, o.HeaderLen = 0, 0
		return o, true
	case gsoTCPv4:
		o.GSO = backend.GSOTCP4
		ok = s.Has(featureHostTSO4)
	case gsoTCPv6:
		o.GSO = backend.GSOTCP6
		ok = s.Has(featureHostTSO6)
	}
	// virtio §5.1.6.2: segmentation comes with a checksum and a size.
	return o, ok && o.NeedsChecksum && o.SegmentSize != 0 && int(o.HeaderLen) <= len(frame)
}

// encodeHeader writes the header of a frame for the guest, doing what the
// guest did not offer to do. ok is false if the frame cannot be given to it.
func encodeHeader(h, frame []byte, o backend.Offload, s *virtio.Session) (ok bool) {
	le := binary.LittleEndian
	switch o.GSO {
	case backend.GSOTCP4:
		if !s.Has(featureGuestTSO4) {
			return false
		}
		h[offGSOType] = gsoTCPv4
	case backend.GSOTCP6:
		if !s.Has(featureGuestTSO6) {
			return false
		}
		h[offGSOType] = gsoTCPv6
	}
	if o.GSO != backend.GSONone {
		le.PutUint16(h[offHdrLen:], o.HeaderLen)
		le.PutUint16(h[offGSOSize:], o.SegmentSize)
	}
	switch {
	case o.NeedsChecksum && s.Has(featureGuestCsum):
		h[offFlags] = flagNeedsCsum
		le.PutUint16(h[offCsumStart:], o.ChecksumStart)
		le.PutUint16(h[offCsumOffset:], o.ChecksumOffset)
	case o.NeedsChecksum:
		return complete(frame, o)
	case o.ChecksumValid && s.Has(featureGuestCsum):
		h[offFlags] = flagDataValid
	}
	return true
}

// complete sums up a frame whose checksum field holds the pseudo-header's
// sum, false if the field is not in the frame.
func complete(frame []byte, o backend.Offload) bool {
	start, field := int(o.ChecksumStart), int(o.ChecksumStart)+int(o.ChecksumOffset)
	if field+2 > len(frame) {
		return false
	}
	var sum uint64 // of at most 2^16 words of 16 bits: cannot overflow
	data := frame[start:]
	for ; len(data) >= 2; data = data[2:] {
		sum += uint64(binary.BigEndian.Uint16(data))
	}
	if len(data) == 1 {
		sum += uint64(data[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	value := ^uint16(sum)
	if value == 0 {
		value = 0xffff // RFC 768: zero would mean that there is none
	}
	binary.BigEndian.PutUint16(frame[field:], value)
	return true
}
