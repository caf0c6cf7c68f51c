package blk

import "encoding/binary"

// Feature bits (virtio §5.2.3).
const (
	featureSegMax      uint64 = 1 << 2
	featureReadOnly    uint64 = 1 << 5
	featureBlkSize     uint64 = 1 << 6
	featureFlush       uint64 = 1 << 9
	featureTopology    uint64 = 1 << 10
	featureConfigWCE   uint64 = 1 << 11
	featureDiscard     uint64 = 1 << 13
	featureWriteZeroes uint64 = 1 << 14
)

// Limits that the configuration announces.
const (
	queueSize = 256
	maxSegs   = 126 // data buffers of a request

	maxRangeSectors = 1 << 18 // of one discard or write-zeroes range: 128 MiB
	maxRanges       = 16      // of one request
)

// Offsets in the configuration (virtio §5.2.4).
const (
	offCapacity           = 0
	offSegMax             = 12
	offBlkSize            = 20
	offPhysicalBlockExp   = 24
	offMinIOSize          = 26
	offOptIOSize          = 28
	offWriteback          = 32
	offMaxDiscardSectors  = 36
	offMaxDiscardSeg      = 40
	offDiscardAlignment   = 44
	offMaxZeroesSectors   = 48
	offMaxZeroesSeg       = 52
	offZeroesMayUnmap     = 56
	configSize            = 60
	blockSize             = 512
	physicalBlockExponent = 3 // 4096 bytes: a page of the host's file
)

func (d *Device) encodeConfig() []byte {
	b := make([]byte, configSize)
	le := binary.LittleEndian
	le.PutUint64(b[offCapacity:], d.sectors)
	le.PutUint32(b[offSegMax:], maxSegs)
	le.PutUint32(b[offBlkSize:], blockSize)
	b[offPhysicalBlockExp] = physicalBlockExponent
	le.PutUint16(b[offMinIOSize:], 1<<physicalBlockExponent) // in blocks
	le.PutUint32(b[offOptIOSize:], 0)                        // no preference
	b[offWriteback] = d.writeback
	le.PutUint32(b[offMaxDiscardSectors:], maxRangeSectors)
	le.PutUint32(b[offMaxDiscardSeg:], maxRanges)
	le.PutUint32(b[offDiscardAlignment:], 1<<physicalBlockExponent)
	le.PutUint32(b[offMaxZeroesSectors:], maxRangeSectors)
	le.PutUint32(b[offMaxZeroesSeg:], maxRanges)
	b[offZeroesMayUnmap] = 1
	return b
}
