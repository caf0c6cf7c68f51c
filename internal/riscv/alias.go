package riscv

import "strconv"

// Pretty returns the instruction in the spelling that people write and GNU objdump shows by default: pseudo-instructions
// where one fits, and compressed instructions as what they expand to. Disassemble says what is really there.
func (i Inst) Pretty(pc uint64) string {
	if text := i.alias(pc); text != "" {
		return text
	}
	if i.Len == 2 && i.Op != ILLEGAL && i.Op != C_MOP {
		i.Len, i.Raw = 4, 0
	}
	return i.Disassemble(pc)
}

// alias returns the pseudo-instruction for i, or "" (unpriv, assembly programmer's handbook).
func (i Inst) alias(pc uint64) string {
	rd, rs1, rs2 := XName(i.Rd), XName(i.Rs1), XName(i.Rs2)
	target := hex(pc + uint64(i.Imm))
	switch i.Op {
	case ADDI:
		switch {
		case i.Rd == 0 && i.Rs1 == 0 && i.Imm == 0:
			return "nop"
		case i.Rs1 == 0:
			return "li " + rd + "," + strconv.FormatInt(i.Imm, 10)
		case i.Imm == 0:
			return "mv " + rd + "," + rs1
		}
	case BEQ, BNE, BLT, BGE:
		return i.branchAlias(target)
	case JAL:
		switch i.Rd {
		case 0:
			return "j " + target
		case 1:
			return "jal " + target
		}
	case JALR:
		switch {
		case i.Imm != 0:
		case i.Rd == 0 && i.Rs1 == 1:
			return "ret"
		case i.Rd == 0:
			return "jr " + rs1
		case i.Rd == 1:
			return "jalr " + rs1
		}
	case CSRRW, CSRRS, CSRRC, CSRRWI, CSRRSI, CSRRCI:
		return i.csrAlias()
	case FSGNJ_S, FSGNJN_S, FSGNJX_S, FSGNJ_D, FSGNJN_D, FSGNJX_D:
		if i.Rs1 == i.Rs2 {
			return floatAliases[i.Op] + " " + FName(i.Rd) + "," + FName(i.Rs1)
		}
	case FENCE:
		if i.Imm == 0xff {
			return "fence"
		}
	}
	for _, a := range unaryAliases {
		if a.op == i.Op && a.is(i) {
			if a.second {
				return a.name + " " + rd + "," + rs2
			}
			return a.name + " " + rd + "," + rs1
		}
	}
	return ""
}

// unaryAliases are the pseudo-instructions with one source register.
var unaryAliases = []struct {
	op     Op
	name   string
	second bool // the source is rs2
	is     func(Inst) bool
}{
	{ADD, "mv", true, func(i Inst) bool { return i.Rs1 == 0 && i.Len == 2 }}, // c.mv
	{ADDIW, "sext.w", false, func(i Inst) bool { return i.Imm == 0 }},
	{XORI, "not", false, func(i Inst) bool { return i.Imm == -1 }},
	{ANDI, "zext.b", false, func(i Inst) bool { return i.Imm == 255 }},
	{ADD_UW, "zext.w", false, func(i Inst) bool { return i.Rs2 == 0 }},
	{SUB, "neg", true, func(i Inst) bool { return i.Rs1 == 0 }},
	{SUBW, "negw", true, func(i Inst) bool { return i.Rs1 == 0 }},
	{SLTIU, "seqz", false, func(i Inst) bool { return i.Imm == 1 }},
	{SLTU, "snez", true, func(i Inst) bool { return i.Rs1 == 0 }},
	{SLT, "sltz", false, func(i Inst) bool { return i.Rs2 == 0 }},
	{SLT, "sgtz", true, func(i Inst) bool { return i.Rs1 == 0 }},
}

var floatAliases = map[Op]string{FSGNJ_S: "fmv.s", FSGNJN_S: "fneg.s", FSGNJX_S: "fabs.s", FSGNJ_D: "fmv.d",
	FSGNJN_D: "fneg.d", FSGNJX_D: "fabs.d"}

func (i Inst) branchAlias(target string) string {
	var name string
	reg := i.Rs1
	switch {
	case i.Op == BEQ && i.Rs2 == 0:
		name = "beqz"
	case i.Op == BNE && i.Rs2 == 0:
		name = "bnez"
	case i.Op == BLT && i.Rs2 == 0:
		name = "bltz"
	case i.Op == BGE && i.Rs2 == 0:
		name = "bgez"
	case i.Op == BLT && i.Rs1 == 0:
		name, reg = "bgtz", i.Rs2
	case i.Op == BGE && i.Rs1 == 0:
		name, reg = "blez", i.Rs2
	default:
		return ""
	}
	return name + " " + XName(reg) + "," + target
}

func (i Inst) csrAlias() string {
	source := XName(i.Rs1)
	if i.Op == CSRRWI || i.Op == CSRRSI || i.Op == CSRRCI {
		source = strconv.Itoa(int(i.Rs1))
	}
	switch {
	case i.Op == CSRRS && i.Rs1 == 0:
		switch i.CSR() {
		case CSRCycle, CSRTime, CSRInstret:
			return "rd" + i.CSR().String() + " " + XName(i.Rd)
		}
		return "csrr " + XName(i.Rd) + "," + i.CSR().String()
	case i.Rd != 0:
		return ""
	}
	// csrrw is csrw where nothing is read, and so on.
	name := i.Op.String()
	return "csr" + name[len("csrr"):] + " " + i.CSR().String() + "," + source
}
