package riscv

import (
	"strconv"
	"strings"
)

// Disassemble returns the instruction in the spelling of GNU objdump with -M no-aliases: no pseudo-instructions,
// compressed ones with their own mnemonic, calling-convention register names, absolute branch targets computed from
// pc, and the rounding mode left out where an assembler would fill in the same. One space separates the mnemonic from
// the operands. What Decode takes for illegal is shown as ".2byte" or ".4byte", so that the text always assembles back
// to the same bits, except where an instruction has ignored fields that are not zero. Differs from GNU: the constants
// of FLI are written in decimal.
func (i Inst) Disassemble(pc uint64) string {
	if i.Op == ILLEGAL || i.Op >= NumOps {
		if i.Len == 2 {
			return ".2byte 0x" + strconv.FormatUint(uint64(i.Raw), 16)
		}
		return ".4byte 0x" + strconv.FormatUint(uint64(i.Raw), 16)
	}
	name, operands := specs[i.Op].name, formats[i.Op].operands
	if i.Len == 2 {
		if s := cLookup(uint16(i.Raw)); s != nil && s.op == i.Op {
			name, operands = s.name, s.operands()
			if name == "c.nop" && i.Imm != 0 {
				operands = []Operand{OperandImm}
			}
		}
	}
	switch {
	case i.Op.atomic():
		name += orderSuffixes[i.Raw>>25&3]
	case i.Op == MOP_R, i.Op == MOP_RR, i.Op == C_MOP:
		name += "." + strconv.FormatInt(i.Imm, 10)
	}
	var b strings.Builder
	b.WriteString(name)
	sep := byte(' ')
	for _, o := range operands {
		text := i.operand(o, pc)
		if text == "" {
			continue
		}
		b.WriteByte(sep)
		b.WriteString(text)
		sep = ','
	}
	return b.String()
}

// operand returns the text of one operand, or "" where it is left out.
func (i Inst) operand(o Operand, pc uint64) string {
	switch o {
	case OperandRd:
		return XName(i.Rd)
	case OperandRs1:
		return XName(i.Rs1)
	case OperandRs2:
		return XName(i.Rs2)
	case OperandFd:
		return FName(i.Rd)
	case OperandFs1:
		return FName(i.Rs1)
	case OperandFs2:
		return FName(i.Rs2)
	case OperandFs3:
		return FName(i.Rs3)
	case OperandSP:
		return XName(2)
	case OperandRM:
		if i.RM == i.Op.DefaultRM() {
			return ""
		}
		return RMName(i.RM)
	case OperandRTZ:
		return RMName(i.RM)
	case OperandImm:
		return strconv.FormatInt(i.Imm, 10)
	case OperandIOff, OperandSOff, OperandPOff:
		return strconv.FormatInt(i.Imm, 10) + "(" + XName(i.Rs1) + ")"
	case OperandMem:
		return "(" + XName(i.Rs1) + ")"
	case OperandBOff, OperandJOff:
		return hex(pc + uint64(i.Imm))
	case OperandUImm:
		return hex(uint64(i.Imm) >> 12 & 0xfffff)
	case OperandShamt6, OperandShamt5:
		return hex(uint64(i.Imm))
	case OperandCSR:
		return i.CSR().String()
	case OperandZimm:
		return strconv.Itoa(int(i.Rs1))
	case OperandPred:
		return FenceSet(uint8(i.Imm >> 4 & 15))
	case OperandSucc:
		return FenceSet(uint8(i.Imm & 15))
	case OperandFli:
		return FliName(i.Rs1)
	}
	return ""
}

func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

var rmNames = [8]string{"rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", "dyn"}

// RMName returns the assembly name of a rounding mode; the two reserved ones are "unknown".
func RMName(rm uint8) string { return rmNames[rm&7] }

// RMByName returns the rounding mode with this assembly name.
func RMByName(name string) (uint8, bool) {
	for n, s := range rmNames {
		if s == name && s != "unknown" {
			return uint8(n), true
		}
	}
	return 0, false
}

// FenceSet returns the letters of a predecessor or successor set: bit 3 is i, then o, r and w; "0" if there is none.
func FenceSet(set uint8) string {
	var b []byte
	for n, c := range []byte("iorw") {
		if set&(8>>n) != 0 {
			b = append(b, c)
		}
	}
	if b == nil {
		return "0"
	}
	return string(b)
}

// FenceSetByName is the inverse of FenceSet.
func FenceSetByName(name string) (uint8, bool) {
	for set := range uint8(16) {
		if FenceSet(set) == name {
			return set, true
		}
	}
	return 0, false
}

// fliNames are the constants of FLI (unpriv §25.1, table); min is the smallest positive normal number.
var fliNames = [32]string{"-1.0", "min", "0.0000152587890625", "0.000030517578125", "0.00390625", "0.0078125", "0.0625",
	"0.125", "0.25", "0.3125", "0.375", "0.4375", "0.5", "0.625", "0.75", "0.875", "1.0", "1.25", "1.5", "1.75", "2.0",
	"2.5", "3.0", "4.0", "8.0", "16.0", "128.0", "256.0", "32768.0", "65536.0", "inf", "nan"}

// FliName returns the assembly text of constant n of FLI.
func FliName(n uint8) string { return fliNames[n&31] }

// FliByName returns the number of the FLI constant that the text says: "min", "inf", "nan", or a number in any form.
func FliByName(text string) (uint8, bool) {
	for n, name := range fliNames {
		if name == text {
			return uint8(n), true
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false
	}
	for n, name := range fliNames {
		if w, err := strconv.ParseFloat(name, 64); err == nil && w == v {
			return uint8(n), true
		}
	}
	return 0, false
}
