package vswitch

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"

	"doppel/internal/backend"
)

// MAC is a hardware address.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Group tells whether m is a multicast or the broadcast address.
func (m MAC) Group() bool { return m[0]&1 != 0 }

// reserved tells whether a bridge must not pass m on (IEEE 802.1Q §8.6.3):
// pause frames, spanning tree, link discovery.
func (m MAC) reserved() bool {
	return m[0] == 0x01 && m[1] == 0x80 && m[2] == 0xc2 && m[3] == 0 && m[4] == 0 && m[5] <= 0x0f
}

// VLAN is a VLAN identifier, 1 to MaxVLAN; 0 is none.
type VLAN uint16

func (v VLAN) String() string { return strconv.Itoa(int(v)) }

// VLANs. An untagged network is DefaultVLAN.
const (
	DefaultVLAN VLAN = 1
	MaxVLAN     VLAN = 4094
)

const (
	headerSize = 14
	tagSize    = 4
	offType    = 12

	typeVLAN = 0x8100
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd

	vidMask = 0x0fff
)

// frame is an Ethernet frame without a tag, the VLAN that it belongs to apart
// from it. Its bytes are not written to.
type frame struct {
	bytes    []byte
	offload  backend.Offload
	dst, src MAC
	priority uint16 // PCP and DEI, in their place in a tag
}

// drop is why a frame is dropped.
type drop uint8

const (
	dropNone      drop = iota
	dropMalformed      // no Ethernet frame, or offload that does not fit it
	dropOversized      // longer than the MTU allows
	dropVLAN           // a tag, or none, that the port does not take
	dropSource         // a source address that is not the port's to use
	dropReserved       // for the bridge itself, of which there is none
	dropStorm          // more floods than the port may start
	dropRate           // the queue before the port's rate limit is full
	dropFull           // the queue to the port is full
	dropUnsuited       // segmentation that the receiver does not do, nor we
	drops
)

func (d drop) String() string {
	names := [...]string{"none", "malformed", "oversized", "vlan", "source", "reserved", "storm", "rate", "full", "unsuited"}
	if int(d) < len(names) {
		return names[d]
	}
	return fmt.Sprintf("drop(%d)", uint8(d))
}

// parse reads a frame as it comes from a port. tag is the VLAN that it says it
// belongs to, 0 if it says none (a priority tag says none).
func parse(b []byte, o backend.Offload, mtu int) (f frame, tag VLAN, why drop) {
	if len(b) < headerSize || len(b) > backend.MaxFrame {
		return f, 0, dropMalformed
	}
	f = frame{offload: o, dst: MAC(b[0:6]), src: MAC(b[6:12])}
	if binary.BigEndian.Uint16(b[offType:]) != typeVLAN {
		f.bytes = append(make([]byte, 0, len(b)), b...)
		return f, 0, f.check(mtu)
	}
	if len(b) < headerSize+tagSize {
		return f, 0, dropMalformed
	}
	tci := binary.BigEndian.Uint16(b[offType+2:])
	f.priority = tci &^ vidMask
	f.bytes = append(append(make([]byte, 0, len(b)-tagSize), b[:offType]...), b[offType+tagSize:]...)
	if !shift(&f.offload, -tagSize) {
		return f, 0, dropMalformed
	}
	return f, VLAN(tci & vidMask), f.check(mtu)
}

// check looks at what every receiver relies on.
func (f *frame) check(mtu int) drop {
	switch {
	case f.src.Group():
		return dropSource
	case f.src == MAC{}:
		return dropSource
	case f.dst.reserved():
		return dropReserved
	case f.offload.GSO == backend.GSONone && len(f.bytes) > headerSize+mtu:
		return dropOversized
	case f.offload.NeedsChecksum && (int(f.offload.ChecksumStart) < headerSize ||
		int(f.offload.ChecksumStart)+int(f.offload.ChecksumOffset)+2 > len(f.bytes)):
		return dropMalformed
	case f.offload.GSO != backend.GSONone:
		return f.checkSegments(mtu)
	}
	return dropNone
}

// tagged is the frame as a trunk has it, ok false if it then is too long.
func (f *frame) tagged(v VLAN) (b []byte, o backend.Offload, ok bool) {
	b = make([]byte, len(f.bytes)+tagSize)
	copy(b, f.bytes[:offType])
	binary.BigEndian.PutUint16(b[offType:], typeVLAN)
	binary.BigEndian.PutUint16(b[offType+2:], f.priority|uint16(v))
	copy(b[offType+tagSize:], f.bytes[offType:])
	o = f.offload
	return b, o, shift(&o, tagSize) && len(b) <= backend.MaxFrame
}
