package riscv

import "fmt"

// RangeError says that an operand has no encoding.
type RangeError struct {
	What     string
	Value    int64
	Min, Max int64
	Multiple int64 // 1 where any value from Min to Max is allowed
}

func (e *RangeError) Error() string {
	if e.Multiple > 1 {
		return fmt.Sprintf("%s %d is not a multiple of %d from %d to %d", e.What, e.Value, e.Multiple, e.Min, e.Max)
	}
	return fmt.Sprintf("%s %d is not in %d to %d", e.What, e.Value, e.Min, e.Max)
}

// immRange is what an immediate of each kind can be.
var immRanges = [...]RangeError{
	immI:        {What: "immediate", Min: -2048, Max: 2047, Multiple: 1},
	immS:        {What: "offset", Min: -2048, Max: 2047, Multiple: 1},
	immB:        {What: "branch offset", Min: -4096, Max: 4094, Multiple: 2},
	immU:        {What: "upper immediate", Min: -1 << 31, Max: 1<<31 - 4096, Multiple: 4096},
	immJ:        {What: "jump offset", Min: -1 << 20, Max: 1<<20 - 2, Multiple: 2},
	immShamt6:   {What: "shift amount", Max: 63, Multiple: 1},
	immShamt5:   {What: "shift amount", Max: 31, Multiple: 1},
	immU12:      {What: "12-bit field", Max: 4095, Multiple: 1},
	immPrefetch: {What: "prefetch offset", Min: -2048, Max: 2016, Multiple: 32},
	immMopR:     {What: "number", Max: 31, Multiple: 1},
	immMopRR:    {What: "number", Max: 7, Multiple: 1},
}

// Encode is the inverse of Decode for 32-bit instructions: it uses Op and the operands that Op has and ignores Raw
// and Len. aq and rl are zero. C_MOP has a compressed encoding only; see Compress and FormByName. The bits may be those
// of an instruction that is a special case of Op, such as ZEXT_H for PACKW with rs2 x0; Decode then gives that one.
func Encode(i Inst) (uint32, error) {
	if i.Op == ILLEGAL || i.Op >= NumOps || specs[i.Op].match&3 != 3 {
		return 0, fmt.Errorf("%v has no 32-bit encoding", i.Op)
	}
	f := &formats[i.Op]
	if f.imm != immNone {
		r := immRanges[f.imm]
		if i.Imm < r.Min || i.Imm > r.Max || i.Imm&(r.Multiple-1) != 0 {
			r.Value = i.Imm
			return 0, &r
		}
	}
	raw := specs[i.Op].match | packImmediate(uint32(i.Imm), f.imm)
	if f.fields&hasRd != 0 {
		raw |= uint32(i.Rd&31) << 7
	}
	if f.fields&hasRs1 != 0 {
		raw |= uint32(i.Rs1&31) << 15
	}
	if f.fields&hasRs2 != 0 {
		raw |= uint32(i.Rs2&31) << 20
	}
	if f.fields&hasRs3 != 0 {
		raw |= uint32(i.Rs3&31) << 27
	}
	if f.fields&hasRM != 0 {
		raw |= uint32(i.RM&7) << 12
	}
	// Bits that the mask fixes may be part of a field: AMOCAS_Q has even registers, FCVTMOD_W_D one rounding mode.
	if raw&specs[i.Op].mask != specs[i.Op].match {
		if i.Op == AMOCAS_Q {
			return 0, fmt.Errorf("%v: rd and rs2 must be even-numbered, they are pairs", i.Op)
		}
		return 0, fmt.Errorf("%v has no encoding with these operands", i.Op)
	}
	return raw, nil
}

// packImmediate puts a value that is in range where immediate takes it from.
func packImmediate(v uint32, kind immKind) uint32 {
	switch kind {
	case immI, immU12:
		return v << 20
	case immS:
		return v>>5<<25 | v&31<<7
	case immB:
		return v>>12&1<<31 | v>>5&0x3f<<25 | v>>1&0xf<<8 | v>>11&1<<7
	case immU:
		return v
	case immJ:
		return v>>20&1<<31 | v>>1&0x3ff<<21 | v>>11&1<<20 | v>>12&0xff<<12
	case immShamt6, immShamt5:
		return v << 20
	case immPrefetch:
		return v >> 5 << 25
	case immMopR:
		return v>>4&1<<30 | v>>2&3<<26 | v&3<<20
	case immMopRR:
		return v>>2&1<<30 | v&3<<26
	}
	return 0
}
