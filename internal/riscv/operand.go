package riscv

import "strings"

// Operand is one field of an assembly operand list.
type Operand uint8

const (
	OperandNone   Operand = iota
	OperandRd             // integer register, bits 11:7
	OperandRs1            // integer register, bits 19:15
	OperandRs2            // integer register, bits 24:20
	OperandFd             // floating-point register, bits 11:7
	OperandFs1            // floating-point register, bits 19:15
	OperandFs2            // floating-point register, bits 24:20
	OperandFs3            // floating-point register, bits 31:27
	OperandRM             // rounding mode, bits 14:12; may be left out in assembly, meaning dyn
	OperandRTZ            // rounding mode that must be rtz (FCVTMOD_W_D)
	OperandImm            // I-type immediate
	OperandIOff           // I-type offset before "(rs1)"
	OperandSOff           // S-type offset before "(rs1)"
	OperandPOff           // prefetch offset before "(rs1)": a multiple of 32
	OperandMem            // "(rs1)" without an offset
	OperandBOff           // B-type branch target
	OperandJOff           // J-type jump target
	OperandUImm           // U-type: the upper 20 bits, written as a 20-bit number
	OperandShamt6         // 6-bit shift amount
	OperandShamt5         // 5-bit shift amount
	OperandCSR            // CSR name or number
	OperandZimm           // 5-bit unsigned immediate in the place of rs1
	OperandPred           // set of i, o, r, w before the fence
	OperandSucc           // set of i, o, r, w after the fence
	OperandFli            // a constant of the FLI table, in the place of rs1
	OperandSP             // the register sp, which must be written although the encoding implies it
)

var operandNames = [...]string{"none", "rd", "rs1", "rs2", "fd", "fs1", "fs2", "fs3", "rm", "rtz", "imm", "ioff(rs1)",
	"soff(rs1)", "poff(rs1)", "(rs1)", "boff", "joff", "uimm", "shamt6", "shamt5", "csr", "zimm", "pred", "succ", "fli", "sp"}

// String returns the spelling that the instruction table uses.
func (o Operand) String() string {
	if int(o) < len(operandNames) {
		return operandNames[o]
	}
	return "operand?"
}

// fields is the set of Inst fields that an instruction has.
type fields uint8

const (
	hasRd fields = 1 << iota
	hasRs1
	hasRs2
	hasRs3
	hasRM
)

// immKind says where the immediate is.
type immKind uint8

const (
	immNone immKind = iota
	immI
	immS
	immB
	immU
	immJ
	immShamt6
	immShamt5
	immU12 // CSR number, or the fields of FENCE
	immPrefetch
	immMopR
	immMopRR
)

// format is what the operand list of a spec says, in the form that the decoder uses.
type format struct {
	operands []Operand
	fields   fields
	imm      immKind
}

// formats[op] is parsed once from specs[op].args.
var formats = parseFormats()

func parseFormats() (out [NumOps]format) {
	seen := map[string]format{}
	for op := range out {
		args := specs[op].args
		f, ok := seen[args]
		if !ok {
			f = parseFormat(args)
			seen[args] = f
		}
		out[op] = f
	}
	out[MOP_R].imm = immMopR
	out[MOP_RR].imm = immMopRR
	return out
}

func parseFormat(args string) (f format) {
	if args == "" {
		return f
	}
	for _, word := range strings.Split(args, ",") {
		o := OperandNone
		for i, name := range operandNames {
			if name == word {
				o = Operand(i)
			}
		}
		f.operands = append(f.operands, o)
		switch o {
		case OperandRd, OperandFd:
			f.fields |= hasRd
		case OperandRs1, OperandFs1, OperandMem, OperandZimm, OperandFli:
			f.fields |= hasRs1
		case OperandRs2, OperandFs2:
			f.fields |= hasRs2
		case OperandFs3:
			f.fields |= hasRs3
		case OperandRM, OperandRTZ:
			f.fields |= hasRM
		case OperandImm:
			f.imm = immI
		case OperandIOff:
			f.fields |= hasRs1
			f.imm = immI
		case OperandSOff:
			f.fields |= hasRs1
			f.imm = immS
		case OperandPOff:
			f.fields |= hasRs1
			f.imm = immPrefetch
		case OperandBOff:
			f.imm = immB
		case OperandJOff:
			f.imm = immJ
		case OperandUImm:
			f.imm = immU
		case OperandShamt6:
			f.imm = immShamt6
		case OperandShamt5:
			f.imm = immShamt5
		case OperandCSR, OperandPred, OperandSucc:
			f.imm = immU12
		default:
			panic("BUG: instruction table has the unknown operand " + word)
		}
	}
	return f
}
