package flash

import "math/bits"

// query is the CFI query structure of one chip (JESD68.01, with the Intel
// primary extended table), from word 10h. Sizes are filled in by queryByte.
var query = [...]uint8{
	0x00: 'Q', 'R', 'Y',
	0x03: 0x01, 0x00, // primary command set: Intel
	0x05: 0x31, 0x00, // primary extended table
	0x07: 0, 0, 0, 0, // no alternate command set
	0x0b: 0x45, 0x55, // Vcc 4.5 to 5.5 V
	0x0d: 0, 0, // no Vpp
	0x0f: 7, 7, 10, 0, // typical times as powers of 2: word and buffer in us, block in ms
	0x13: 4, 4, 4, 0, // maximum times, as factors
	0x17: 0,    // chip size, a power of 2
	0x18: 1, 0, // interface: 16 bits
	0x1a: 0, 0, // write buffer, a power of 2
	0x1c: 1,          // one erase region:
	0x1d: 0, 0, 0, 0, // blocks less one, size in units of 256 bytes
	0x21: 'P', 'R', 'I', '1', '0',
	0x26: 0x20, 0, 0, 0, // instant individual block locking
	0x2a: 0,    // nothing while suspended
	0x2b: 1, 0, // block status: lock bit
	0x2d: 0x50, 0, // optimum Vcc and Vpp
	0x2f: 0, // no protection fields
}

const (
	queryStart  = 0x10
	queryChip   = 0x27
	queryBuffer = 0x2a
	queryBlocks = 0x2d
	querySize   = 0x2f
	chips       = 2
)

// queryByte is the byte of the query structure at a word of the bank.
func queryByte(word, size uint64) uint8 {
	blocks, units := size/BlockSize-1, uint64(BlockSize/chips/256)
	switch word {
	case queryChip:
		return uint8(bits.Len64(size/chips) - 1)
	case queryBuffer:
		return uint8(bits.Len64(bufferBytes/chips) - 1)
	case queryBlocks:
		return uint8(blocks)
	case queryBlocks + 1:
		return uint8(blocks >> 8)
	case querySize:
		return uint8(units)
	case querySize + 1:
		return uint8(units >> 8)
	}
	if word >= queryStart && word-queryStart < uint64(len(query)) {
		return query[word-queryStart]
	}
	return 0
}
