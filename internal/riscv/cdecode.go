package riscv

// cbuckets lists the rows of cspecs by funct3 and quadrant, in their order.
var cbuckets = buildCBuckets()

func buildCBuckets() (b [32][]uint8) {
	for n := range cspecs {
		k := cBucket(cspecs[n].match)
		b[k] = append(b[k], uint8(n))
	}
	return b
}

func cBucket(raw uint16) uint16 { return raw>>13<<2 | raw&3 }

// cLookup finds the row for a compressed encoding.
func cLookup(raw uint16) *cspec {
	for _, n := range cbuckets[cBucket(raw)] {
		s := &cspecs[n]
		if raw&s.mask == s.match && (s.nonzero == 0 || raw&s.nonzero != 0) {
			return s
		}
	}
	return nil
}

// EncodingExtension returns the extension that a 16-bit encoding belongs to, ExtC, ExtZcb or ExtZcmop, which a hart must
// have in addition to that of the instruction it expands to. For 32-bit encodings and illegal ones it is ExtNone.
func (i Inst) EncodingExtension() Extension {
	if i.Len != 2 {
		return ExtNone
	}
	if s := cLookup(uint16(i.Raw)); s != nil {
		return s.ext
	}
	return ExtNone
}

// field moves the width bits of raw that start at from so that they start at to.
func field(raw uint16, from, width, to uint) int64 {
	return int64(raw>>from&(1<<width-1)) << to
}

// signExtend takes the low n bits of v as a signed number.
func signExtend(v int64, n uint) int64 { return v << (64 - n) >> (64 - n) }

func decodeCompressed(raw uint16) Inst {
	i := Inst{Raw: uint32(raw), Len: 2}
	s := cLookup(raw)
	if s == nil {
		return i
	}
	i.Op = s.op
	rd := uint8(raw >> 7 & 31)  // also rs1
	rs2 := uint8(raw >> 2 & 31) //
	rdp := uint8(raw>>7&7) + 8  // rd' or rs1'
	rs2p := uint8(raw>>2&7) + 8 // rs2', or rd' of CIW and CL
	imm6 := field(raw, 12, 1, 5) | field(raw, 2, 5, 0)
	offW := field(raw, 10, 3, 3) | field(raw, 6, 1, 2) | field(raw, 5, 1, 6)
	offD := field(raw, 10, 3, 3) | field(raw, 5, 2, 6)
	offH := field(raw, 5, 1, 1)
	offB := field(raw, 5, 1, 1) | field(raw, 6, 1, 0)
	switch s.kind {
	case cNone:
	case cAddi4spn:
		i.Rd, i.Rs1 = rs2p, 2
		i.Imm = field(raw, 11, 2, 4) | field(raw, 7, 4, 6) | field(raw, 6, 1, 2) | field(raw, 5, 1, 3)
	case cLoadB:
		i.Rd, i.Rs1, i.Imm = rs2p, rdp, offB
	case cLoadH:
		i.Rd, i.Rs1, i.Imm = rs2p, rdp, offH
	case cLoadW:
		i.Rd, i.Rs1, i.Imm = rs2p, rdp, offW
	case cLoadD:
		i.Rd, i.Rs1, i.Imm = rs2p, rdp, offD
	case cStoreB:
		i.Rs2, i.Rs1, i.Imm = rs2p, rdp, offB
	case cStoreH:
		i.Rs2, i.Rs1, i.Imm = rs2p, rdp, offH
	case cStoreW:
		i.Rs2, i.Rs1, i.Imm = rs2p, rdp, offW
	case cStoreD:
		i.Rs2, i.Rs1, i.Imm = rs2p, rdp, offD
	case cImm:
		i.Rd, i.Rs1, i.Imm = rd, rd, signExtend(imm6, 6)
	case cLi:
		i.Rd, i.Imm = rd, signExtend(imm6, 6)
	case cAddi16sp:
		i.Rd, i.Rs1 = 2, 2
		i.Imm = signExtend(field(raw, 12, 1, 9)|field(raw, 6, 1, 4)|field(raw, 5, 1, 6)|field(raw, 3, 2, 7)|field(raw, 2, 1, 5), 10)
	case cLui:
		i.Rd, i.Imm = rd, signExtend(imm6, 6)<<12
	case cShiftP:
		i.Rd, i.Rs1, i.Imm = rdp, rdp, imm6
	case cAndi:
		i.Rd, i.Rs1, i.Imm = rdp, rdp, signExtend(imm6, 6)
	case cArith:
		i.Rd, i.Rs1, i.Rs2 = rdp, rdp, rs2p
	case cZextB:
		i.Rd, i.Rs1, i.Imm = rdp, rdp, 255
	case cNot:
		i.Rd, i.Rs1, i.Imm = rdp, rdp, -1
	case cUnary, cZextW:
		i.Rd, i.Rs1 = rdp, rdp
	case cJump:
		i.Imm = signExtend(field(raw, 12, 1, 11)|field(raw, 11, 1, 4)|field(raw, 9, 2, 8)|field(raw, 8, 1, 10)|
			field(raw, 7, 1, 6)|field(raw, 6, 1, 7)|field(raw, 3, 3, 1)|field(raw, 2, 1, 5), 12)
	case cBranch:
		i.Rs1 = rdp
		i.Imm = signExtend(field(raw, 12, 1, 8)|field(raw, 10, 2, 3)|field(raw, 5, 2, 6)|field(raw, 3, 2, 1)|field(raw, 2, 1, 5), 9)
	case cSlli:
		i.Rd, i.Rs1, i.Imm = rd, rd, imm6
	case cLwsp:
		i.Rd, i.Rs1 = rd, 2
		i.Imm = field(raw, 12, 1, 5) | field(raw, 4, 3, 2) | field(raw, 2, 2, 6)
	case cLdsp:
		i.Rd, i.Rs1 = rd, 2
		i.Imm = field(raw, 12, 1, 5) | field(raw, 5, 2, 3) | field(raw, 2, 3, 6)
	case cSwsp:
		i.Rs2, i.Rs1 = rs2, 2
		i.Imm = field(raw, 9, 4, 2) | field(raw, 7, 2, 6)
	case cSdsp:
		i.Rs2, i.Rs1 = rs2, 2
		i.Imm = field(raw, 10, 3, 3) | field(raw, 7, 3, 6)
	case cJr:
		i.Rs1 = rd
	case cJalr:
		i.Rd, i.Rs1 = 1, rd
	case cMv:
		i.Rd, i.Rs2 = rd, rs2
	case cAdd:
		i.Rd, i.Rs1, i.Rs2 = rd, rd, rs2
	case cMop:
		i.Imm = int64(rd)
	}
	return i
}
