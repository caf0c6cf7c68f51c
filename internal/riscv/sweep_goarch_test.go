package riscv

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/arch/riscv64/riscv64asm"
)

// goText decodes with the Go project's disassembler, which needs no tool to be installed, and gives the result in the
// form of goForm.
func goText(raw uint32) string {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], raw)
	i, err := riscv64asm.Decode(b[:])
	if err != nil {
		return "reserved"
	}
	words := []string{strings.ToLower(i.Op.String())}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	for _, arg := range i.Args {
		switch a := arg.(type) {
		case nil:
		case riscv64asm.Reg:
			add("%s", strings.ToLower(a.String()))
		case riscv64asm.Simm:
			add("%d", a.Imm)
		case riscv64asm.Uimm:
			add("%d", a.Imm)
		case riscv64asm.RegOffset:
			add("%d(%s)", a.Ofs.Imm, strings.ToLower(a.OfsReg.String()))
		case riscv64asm.RegPtr:
			add("%s", strings.ToLower(a.String()))
		case riscv64asm.CSR:
			add("csr%d", uint16(a))
		case riscv64asm.MemOrder:
			add("order%d", uint8(a))
		default:
			add("?%T", arg)
		}
	}
	return strings.Join(words, " ")
}

// goForm writes our instruction the way goText does: the expanded form of compressed ones, numbered registers, no
// rounding modes.
func goForm(i Inst) string {
	if i.Op == ILLEGAL {
		return "reserved"
	}
	name := i.Op.String()
	if i.Op.atomic() {
		name += orderSuffixes[i.Raw>>25&3&-uint32(i.Len>>2)]
	}
	words := []string{name}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	for _, o := range formats[i.Op].operands {
		switch o {
		case OperandRd:
			add("x%d", i.Rd)
		case OperandRs1:
			add("x%d", i.Rs1)
		case OperandRs2:
			add("x%d", i.Rs2)
		case OperandFd:
			add("f%d", i.Rd)
		case OperandFs1:
			add("f%d", i.Rs1)
		case OperandFs2:
			add("f%d", i.Rs2)
		case OperandFs3:
			add("f%d", i.Rs3)
		case OperandIOff, OperandSOff, OperandPOff:
			add("%d(x%d)", i.Imm, i.Rs1)
		case OperandMem:
			add("(x%d)", i.Rs1)
		case OperandUImm:
			add("%d", uint64(i.Imm)>>12&0xfffff)
		case OperandCSR:
			add("csr%d", i.CSR())
		case OperandZimm:
			add("%d", i.Rs1)
		case OperandPred:
			add("order%d", i.Imm>>4&15)
		case OperandSucc:
			add("order%d", i.Imm&15)
		case OperandRM, OperandRTZ:
		default:
			add("%d", i.Imm)
		}
	}
	return strings.Join(words, " ")
}

// goLacks are the instructions that golang.org/x/arch v0.32.0 does not have.
func goLacks(op Op) bool {
	switch op.Extension() {
	case ExtZfa, ExtZbkb, ExtZimop, ExtZcmop, ExtZawrs, ExtPriv, ExtSvinval, ExtZicbop, ExtZihintpause:
		return true
	}
	return op == FCVT_D_H || op == FCVT_H_D || op == FENCE_TSO
}

func TestSweepGo(t *testing.T) {
	t.Parallel()
	const none = "reserved"
	c := &comparison{known: []difference{
		{why: "all zero is shown as a write of a read-only CSR", is: func(i Inst, _, theirs string) bool {
			return i.Raw == 0 && theirs == "csrrw x0 csr3072 x0"
		}},
		{why: "compressed hints are not known", is: func(i Inst, _, theirs string) bool {
			return i.Len == 2 && (i.Rd == 0 || i.Imm == 0) && i.EncodingExtension() == ExtC && theirs == none
		}},
		{why: "the immediate of a c.nop hint is lost", is: func(i Inst, ours, theirs string) bool {
			return strings.HasPrefix(ours, "addi x0 x0") && i.Len == 2 && theirs == "addi x0 x0 0"
		}},
		{why: "Zcb is not known", is: func(i Inst, _, theirs string) bool { return i.EncodingExtension() == ExtZcb && theirs == none }},
		{why: "the immediate of c.lui is not cut to 20 bits", is: func(i Inst, ours, theirs string) bool {
			return i.Op == LUI && i.Len == 2 && strings.HasSuffix(theirs, fmt.Sprint(uint32(i.Imm>>12)))
		}},
		{why: "the offset of c.j is put together wrongly (unpriv §27.4; other disassemblers agree with us)", is: func(i Inst, _, theirs string) bool {
			return i.Op == JAL && i.Len == 2 && strings.HasPrefix(theirs, "jal x0 ")
		}},
		{why: "V, Q and Zfh, which we do not have", is: func(i Inst, _, theirs string) bool {
			name, _, _ := strings.Cut(theirs, " ")
			return i.Op == ILLEGAL && (name[0] == 'v' || name[0] == 'f' && strings.ContainsAny(name[1:], "hq"))
		}},
		{why: "prefetches are shown as the hint that they are", is: func(i Inst, _, theirs string) bool {
			return i.Op.Extension() == ExtZicbop && strings.HasPrefix(theirs, "ori x0 ")
		}},
		{why: "pause and fence.tso are shown as the fence that they are", is: func(i Inst, _, theirs string) bool {
			return (i.Op == PAUSE || i.Op == FENCE_TSO) && strings.HasPrefix(theirs, "fence ")
		}},
		{why: "extension not known", is: func(i Inst, _, theirs string) bool { return goLacks(i.Op) && theirs == none }},
	}}
	for _, raw := range words16() {
		i := Decode(raw)
		c.check(t, i, goForm(i), goText(raw))
	}
	// It tries its formats one by one and is slow, so one more pair must do.
	for _, raw := range append(words32(every), words32(special[0])...) {
		i := Decode(raw)
		c.check(t, i, goForm(i), goText(raw))
	}
	c.finish(t, goLacks)
}
