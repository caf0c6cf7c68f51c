package riscv

// Compress returns the 16-bit encoding that expands to i, if there is one that is not a hint. It uses Op and the
// operands of i; rounding modes and aq, rl do not occur in what can be compressed. It stays within the extension C, as
// the encodings of Zcb are not everywhere that C is.
func Compress(i Inst) (uint16, bool) {
	if raw, ok := compressExact(i); ok {
		return raw, true
	}
	switch {
	case i.Op == ADDI && i.Imm == 0 && i.Rd != 0 && i.Rs1 != 0: // mv
		return compressExact(Inst{Op: ADD, Rd: i.Rd, Rs2: i.Rs1})
	case i.Rs2 == i.Rd && (i.Op == ADD || i.Op == AND || i.Op == OR || i.Op == XOR || i.Op == ADDW): // commutative
		i.Rs1, i.Rs2 = i.Rs2, i.Rs1
		return compressExact(i)
	}
	return 0, false
}

func compressExact(i Inst) (uint16, bool) {
	for n := range cspecs {
		s := &cspecs[n]
		if s.op != i.Op || s.ext != ExtC || s.hint(i) {
			continue
		}
		if raw, ok := s.encode(i); ok {
			return raw, true
		}
	}
	return 0, false
}

// hint reports whether s would encode i as one of the hints (unpriv §27.7).
func (s *cspec) hint(i Inst) bool {
	switch s.kind {
	case cImm:
		return i.Op == ADDI && (i.Rd == 0) != (i.Imm == 0)
	case cShiftP, cSlli:
		return i.Imm == 0 || i.Rd == 0
	case cLi, cLui, cMv, cAdd:
		return i.Rd == 0
	}
	return false
}

// encode packs the operands of i without checking them, then decodes the result: what does not come back the same
// cannot be encoded.
func (s *cspec) encode(i Inst) (uint16, bool) {
	raw := s.match | s.pack(i)
	got, row := decodeCompressed(raw), cLookup(raw)
	ok := row != nil && row.kind == s.kind && got.Op == i.Op && got.Imm == i.Imm && got.Rd == i.Rd && got.Rs1 == i.Rs1 && got.Rs2 == i.Rs2
	return raw, ok
}

// put is the inverse of field: bits of v from bit to on go to bit from on.
func put(v int64, from, width, to uint) uint16 {
	return uint16(v>>to&(1<<width-1)) << from
}

func (s *cspec) pack(i Inst) uint16 {
	v := i.Imm
	rd, rs1, rs2 := uint16(i.Rd&31)<<7, uint16(i.Rs1&31)<<7, uint16(i.Rs2&31)<<2
	rdHigh, rs1High := uint16(i.Rd&7)<<7, uint16(i.Rs1&7)<<7 // rd', rs1' in bits 9:7
	rdLow, rs2Low := uint16(i.Rd&7)<<2, uint16(i.Rs2&7)<<2   // rd', rs2' in bits 4:2
	imm6 := put(v, 12, 1, 5) | put(v, 2, 5, 0)
	offB := put(v, 5, 1, 1) | put(v, 6, 1, 0)
	offH := put(v, 5, 1, 1)
	offW := put(v, 10, 3, 3) | put(v, 6, 1, 2) | put(v, 5, 1, 6)
	offD := put(v, 10, 3, 3) | put(v, 5, 2, 6)
	switch s.kind {
	case cAddi4spn:
		return rdLow | put(v, 11, 2, 4) | put(v, 7, 4, 6) | put(v, 6, 1, 2) | put(v, 5, 1, 3)
	case cLoadB:
		return rdLow | rs1High | offB
	case cLoadH:
		return rdLow | rs1High | offH
	case cLoadW:
		return rdLow | rs1High | offW
	case cLoadD:
		return rdLow | rs1High | offD
	case cStoreB:
		return rs2Low | rs1High | offB
	case cStoreH:
		return rs2Low | rs1High | offH
	case cStoreW:
		return rs2Low | rs1High | offW
	case cStoreD:
		return rs2Low | rs1High | offD
	case cImm, cLi, cSlli:
		return rd | imm6
	case cAddi16sp:
		return put(v, 12, 1, 9) | put(v, 6, 1, 4) | put(v, 5, 1, 6) | put(v, 3, 2, 7) | put(v, 2, 1, 5)
	case cLui:
		return rd | put(v, 12, 1, 17) | put(v, 2, 5, 12)
	case cShiftP, cAndi:
		return rdHigh | imm6
	case cArith:
		return rdHigh | rs2Low
	case cZextB, cNot, cUnary, cZextW:
		return rdHigh
	case cJump:
		return put(v, 12, 1, 11) | put(v, 11, 1, 4) | put(v, 9, 2, 8) | put(v, 8, 1, 10) | put(v, 7, 1, 6) |
			put(v, 6, 1, 7) | put(v, 3, 3, 1) | put(v, 2, 1, 5)
	case cBranch:
		return rs1High | put(v, 12, 1, 8) | put(v, 10, 2, 3) | put(v, 5, 2, 6) | put(v, 3, 2, 1) | put(v, 2, 1, 5)
	case cLwsp:
		return rd | put(v, 12, 1, 5) | put(v, 4, 3, 2) | put(v, 2, 2, 6)
	case cLdsp:
		return rd | put(v, 12, 1, 5) | put(v, 5, 2, 3) | put(v, 2, 3, 6)
	case cSwsp:
		return rs2 | put(v, 9, 4, 2) | put(v, 7, 2, 6)
	case cSdsp:
		return rs2 | put(v, 10, 3, 3) | put(v, 7, 3, 6)
	case cJr, cJalr:
		return rs1
	case cMv, cAdd:
		return rd | rs2
	case cMop:
		return put(v, 7, 5, 0)
	}
	return 0
}

// imply fills in the operands that the compressed mnemonic does not write.
func (s *cspec) imply(i *Inst) {
	switch s.kind {
	case cAddi4spn, cLwsp, cLdsp:
		i.Rs1 = 2
	case cAddi16sp:
		i.Rd, i.Rs1 = 2, 2
	case cImm, cShiftP, cAndi, cArith, cUnary, cZextW, cSlli, cAdd:
		i.Rs1 = i.Rd
	case cZextB:
		i.Rs1, i.Imm = i.Rd, 255
	case cNot:
		i.Rs1, i.Imm = i.Rd, -1
	case cJalr:
		i.Rd = 1
	}
}

// operands is the operand list of the compressed mnemonic.
func (s *cspec) operands() []Operand {
	float := formats[s.op].operands
	rd, rs2 := OperandRd, OperandRs2
	if len(float) > 0 && (float[0] == OperandFd || float[0] == OperandFs2) {
		rd, rs2 = OperandFd, OperandFs2
	}
	switch s.kind {
	case cAddi4spn:
		return []Operand{OperandRd, OperandSP, OperandImm}
	case cAddi16sp:
		return []Operand{OperandSP, OperandImm}
	case cLoadB, cLoadH, cLoadW, cLoadD, cLwsp, cLdsp:
		return []Operand{rd, OperandIOff}
	case cStoreB, cStoreH, cStoreW, cStoreD, cSwsp, cSdsp:
		return []Operand{rs2, OperandSOff}
	case cImm:
		if s.name == "c.nop" {
			return nil
		}
		return []Operand{OperandRd, OperandImm}
	case cLi, cAndi:
		return []Operand{OperandRd, OperandImm}
	case cLui:
		return []Operand{OperandRd, OperandUImm}
	case cShiftP, cSlli:
		return []Operand{OperandRd, OperandShamt6}
	case cArith, cMv, cAdd:
		return []Operand{OperandRd, OperandRs2}
	case cZextB, cNot, cUnary, cZextW:
		return []Operand{OperandRd}
	case cJump:
		return []Operand{OperandJOff}
	case cBranch:
		return []Operand{OperandRs1, OperandBOff}
	case cJr, cJalr:
		return []Operand{OperandRs1}
	}
	return nil
}

// allowed says in words which operands s can encode.
func (s *cspec) allowed() string {
	const eight = "registers x8 to x15 (f8 to f15) only"
	switch s.kind {
	case cAddi4spn:
		return "rd must be x8 to x15, the immediate a multiple of 4 from 4 to 1020"
	case cLoadB, cStoreB:
		return eight + ", offset 0 to 3"
	case cLoadH, cStoreH:
		return eight + ", offset 0 or 2"
	case cLoadW, cStoreW:
		return eight + ", offset a multiple of 4 from 0 to 124"
	case cLoadD, cStoreD:
		return eight + ", offset a multiple of 8 from 0 to 248"
	case cImm, cLi:
		if s.op == ADDIW {
			return "rd must not be x0, the immediate -32 to 31"
		}
		return "the immediate must be -32 to 31"
	case cAddi16sp:
		return "the immediate must be a multiple of 16 from -512 to 496, not 0"
	case cLui:
		return "rd must not be x2, the immediate 1 to 31 or 0xfffe0 to 0xfffff"
	case cShiftP:
		return "rd must be x8 to x15, the shift amount 0 to 63"
	case cAndi:
		return "rd must be x8 to x15, the immediate -32 to 31"
	case cJump:
		return "the target must be within -2048 to 2046 bytes"
	case cBranch:
		return "rs1 must be x8 to x15, the target within -256 to 254 bytes"
	case cSlli:
		return "the shift amount must be 0 to 63"
	case cLwsp:
		return "rd must not be x0, the base must be sp, the offset a multiple of 4 from 0 to 252"
	case cLdsp:
		return "the base must be sp, the offset a multiple of 8 from 0 to 504, an integer rd not x0"
	case cSwsp:
		return "the base must be sp, the offset a multiple of 4 from 0 to 252"
	case cSdsp:
		return "the base must be sp, the offset a multiple of 8 from 0 to 504"
	case cJr, cJalr:
		return "rs1 must not be x0"
	case cMv, cAdd:
		return "rs2 must not be x0"
	}
	return eight
}
