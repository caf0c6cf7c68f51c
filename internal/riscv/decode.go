package riscv

import (
	"math/bits"
	"sort"
)

// Decode decodes one instruction. The low 16 bits of raw suffice when they hold a compressed instruction; what is
// above them is then ignored. An encoding that is not an instruction we know, or that is reserved, gives ILLEGAL with
// Raw and Len set, so that a trap handler has the bits for mtval.
//
// Reserved rounding modes are left to the executor, because whether one is illegal may depend on frm.
func Decode(raw uint32) Inst {
	if raw&3 != 3 {
		return decodeCompressed(uint16(raw))
	}
	// unpriv §1.5: longer than 32 bits is reserved; no entry of the table has these bits, but say so plainly.
	if raw&0x1f == 0x1f {
		return Inst{Raw: raw, Len: 4}
	}
	for c := heads[headIndex(raw)]; c != 0; c = cells[c].next {
		op := cells[c].op
		if raw&specs[op].mask == specs[op].match {
			return extract(raw, op)
		}
	}
	return Inst{Raw: raw, Len: 4}
}

// extract fills in the operands of a 32-bit instruction.
func extract(raw uint32, op Op) Inst {
	f := &formats[op]
	i := Inst{Raw: raw, Op: op, Len: 4, Imm: immediate(raw, f.imm)}
	if f.fields&hasRd != 0 {
		i.Rd = uint8(raw >> 7 & 31)
	}
	if f.fields&hasRs1 != 0 {
		i.Rs1 = uint8(raw >> 15 & 31)
	}
	if f.fields&hasRs2 != 0 {
		i.Rs2 = uint8(raw >> 20 & 31)
	}
	if f.fields&hasRs3 != 0 {
		i.Rs3 = uint8(raw >> 27)
	}
	if f.fields&hasRM != 0 {
		i.RM = uint8(raw >> 12 & 7)
	}
	return i
}

// immediate gathers the immediate of a 32-bit instruction (unpriv §2.3).
func immediate(raw uint32, kind immKind) int64 {
	s := int32(raw)
	switch kind {
	case immI:
		return int64(s >> 20)
	case immS:
		return int64(s>>25<<5 | int32(raw>>7&31))
	case immB:
		return int64(s>>31<<12 | int32(raw>>7&1)<<11 | int32(raw>>25&0x3f)<<5 | int32(raw>>8&0xf)<<1)
	case immU:
		return int64(s >> 12 << 12)
	case immJ:
		return int64(s>>31<<20 | int32(raw>>12&0xff)<<12 | int32(raw>>20&1)<<11 | int32(raw>>21&0x3ff)<<1)
	case immShamt6:
		return int64(raw >> 20 & 0x3f)
	case immShamt5:
		return int64(raw >> 20 & 0x1f)
	case immU12:
		return int64(raw >> 20)
	case immPrefetch:
		return int64(s >> 25 << 5)
	case immMopR:
		return int64(raw>>30&1<<4 | raw>>26&3<<2 | raw>>20&3)
	case immMopRR:
		return int64(raw>>30&1<<2 | raw>>26&3)
	}
	return 0
}

// The decoder looks up the major opcode, funct3 and funct7 together; the entry is a list of the few instructions that
// may have these bits, the most specific first. Lists are chains of shared cells, so that the table stays small.
const headBits = 15

type cell struct {
	op   Op
	next uint16 // index into cells; 0 ends the list
}

var heads, cells = buildIndex()

func headIndex(raw uint32) uint32 {
	return raw>>2&0x1f | raw>>12&7<<5 | raw>>25<<8
}

func buildIndex() (*[1 << headBits]uint16, []cell) {
	heads := new([1 << headBits]uint16)
	cells := make([]cell, 1, 1024)
	var order []Op
	for op := ILLEGAL + 1; op < NumOps; op++ {
		if specs[op].match&3 == 3 {
			order = append(order, op)
		}
	}
	// Each is put before those already there, so the fewer mask bits an entry has, the earlier it goes in.
	sort.SliceStable(order, func(i, j int) bool {
		return bits.OnesCount32(specs[order[i]].mask) < bits.OnesCount32(specs[order[j]].mask)
	})
	for _, op := range order {
		match, free := headIndex(specs[op].match), ^headIndex(specs[op].mask)&(1<<headBits-1)
		pushed := map[uint16]uint16{}
		last, lastCell := uint16(0xffff), uint16(0)
		for sub := free; ; sub = (sub - 1) & free {
			head := &heads[match|sub]
			if *head != last {
				last = *head
				c, ok := pushed[last]
				if !ok {
					c = uint16(len(cells))
					cells = append(cells, cell{op, last})
					pushed[last] = c
				}
				lastCell = c
			}
			*head = lastCell
			if sub == 0 {
				break
			}
		}
	}
	return heads, cells
}
