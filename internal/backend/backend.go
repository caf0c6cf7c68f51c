// Package backend holds the contracts between devices and what the host lends
// them: disks and networks. (The contract of terminals is device.Terminal.)
// The backends are in the subpackages.
//
// A backend knows nothing of guest memory layouts, queues or registers, and
// trusts nothing that comes through a device.
package backend

// Disk is an array of bytes, a multiple of SectorSize. Several goroutines may
// call it; requests that overlap are as ordered as the callers make them.
// Ranges lie within the disk: the device has checked them.
type Disk interface {
	// ReadV and WriteV move all bytes of bufs from and to off, or fail.
	ReadV(bufs [][]byte, off int64) error
	WriteV(bufs [][]byte, off int64) error
	// Flush returns when every write that completed before is stable.
	Flush() error
	// Discard says that nobody needs the n bytes from off: they read as
	// before or as zeros from now on.
	Discard(off, n int64) error
	// WriteZeroes makes n bytes from off zeros; mayUnmap allows to give up
	// the space that they take.
	WriteZeroes(off, n int64, mayUnmap bool) error

	Size() int64
	ReadOnly() bool
	Close() error
}

// SectorSize is the unit of a disk's size and addresses.
const SectorSize = 512

// GSO is a kind of segmentation that is left to the receiver of a frame.
type GSO uint8

const (
	GSONone GSO = iota
	GSOTCP4     // TCP over IPv4
	GSOTCP6     // TCP over IPv6
)

func (g GSO) String() string {
	switch g {
	case GSOTCP4:
		return "tcp4"
	case GSOTCP6:
		return "tcp6"
	}
	return "none"
}

// Offload says what was left undone in a frame.
type Offload struct {
	// NeedsChecksum: the transport checksum at ChecksumStart+ChecksumOffset
	// holds the pseudo-header's sum only; it covers ChecksumStart to the end.
	NeedsChecksum                 bool
	ChecksumStart, ChecksumOffset uint16
	// ChecksumValid: the transport checksum needs no check.
	ChecksumValid bool
	// GSO: the frame stands for several of SegmentSize payload bytes each,
	// after HeaderLen bytes of headers.
	GSO                    GSO
	SegmentSize, HeaderLen uint16
}

// MaxFrame is the longest frame in bytes: 64 KiB of packet and an Ethernet
// header, which is what segmentation offload can make.
const MaxFrame = 65535 + 14

// Network is an Ethernet link to the host's side. Several goroutines may call
// it.
type Network interface {
	// Send takes a frame from the guest, which it does not keep. Whatever the
	// bytes, it neither fails nor waits for long; it may drop the frame.
	Send(frame []byte, o Offload)
	// Receive returns the next frame for the guest, of at most MaxFrame
	// bytes, or ok false. The network holds a bounded number of frames.
	Receive() (frame []byte, o Offload, ok bool)
	// SetReady names a function that the network calls when a frame has come
	// after Receive found none. It must not block.
	SetReady(fn func())
	// SetSegmentation tells whether the guest takes frames that need a
	// checksum and segmentation (GSOTCP4, GSOTCP6).
	SetSegmentation(tcp4, tcp6 bool)

	// MTU is the largest packet in bytes, the Ethernet header not counted.
	MTU() uint16
	Close() error
}
