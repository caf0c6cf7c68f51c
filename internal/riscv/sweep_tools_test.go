package riscv

import (
	"strconv"
	"strings"
	"testing"
)

const gnuArch = "rv64imafdc_zicsr_zifencei_zba_zbb_zbc_zbs_zbkb_zicbom_zicbop_zicboz_zihintpause_zfhmin_svinval_zawrs"

func sweepGNU(t *testing.T, c *comparison, words []uint32, size int) {
	objdump := tool(t, "riscv64-linux-gnu-objdump", "binutils-riscv64-linux-gnu")
	obj := object(t, gnuArch, words, size)
	count := 0
	disassembleWith(t, func(n int, text string) {
		if n >= len(words) {
			t.Fatalf("more instructions than words")
		}
		count++
		// "\t00c58533          \tadd\ta0,a1,a2 # comment"
		fields := strings.SplitN(text, "\t", 3)
		theirs, _, _ := strings.Cut(fields[len(fields)-1], " #")
		theirs, _, _ = strings.Cut(theirs, " <")
		theirs = strings.TrimSpace(strings.Replace(theirs, "\t", " ", 1))
		i := Decode(words[n])
		c.check(t, i, i.Disassemble(uint64(n*size)), theirs)
	}, objdump, "-d", "-z", "-M", "no-aliases", obj)
	if count != len(words) {
		t.Errorf("%d instructions for %d words", count, len(words))
	}
}

// reserved reports whether the other tool knows no instruction.
func reserved(theirs string) bool {
	return strings.HasPrefix(theirs, ".4byte") || strings.HasPrefix(theirs, ".2byte") || theirs == "<unknown>"
}

// oneOf reports whether the text's mnemonic is in a list of words.
func oneOf(text, list string) bool {
	mnemonic, _, _ := strings.Cut(text, " ")
	for _, w := range strings.Fields(list) {
		if w == mnemonic {
			return true
		}
	}
	return false
}

// csrNameOnly reports whether the texts differ only in one of them having the CSR's number for its name.
func csrNameOnly(i Inst, ours, theirs string) (nameIsTheirs, ok bool) {
	if i.Op.Extension() != ExtZicsr {
		return false, false
	}
	a, b := strings.FieldsFunc(ours, comma), strings.FieldsFunc(theirs, comma)
	if len(a) != 3 || len(b) != 3 || a[0] != b[0] || a[2] != b[2] {
		return false, false
	}
	number := hex(uint64(i.CSR()))
	_, named := i.CSR().Name()
	return a[1] == number, a[1] == number || named && b[1] == number
}

func comma(r rune) bool { return r == ',' }

// gnuLacks are the instructions that binutils 2.40 does not have.
func gnuLacks(op Op) bool {
	switch op.Extension() {
	case ExtZfa, ExtZacas, ExtZicond, ExtZimop, ExtZcmop:
		return true
	}
	return false
}

func TestSweepGNU16(t *testing.T) {
	t.Parallel()
	c := &comparison{known: []difference{
		{why: "all zero is illegal and has the name c.unimp", is: func(i Inst, _, theirs string) bool { return i.Raw == 0 && theirs == "c.unimp" }},
		{why: "c.nop is written as c.addi zero", is: func(i Inst, ours, theirs string) bool {
			return strings.HasPrefix(ours, "c.nop") && i.Op == ADDI && theirs == "c.addi zero,"+i.operand(OperandImm, 0)
		}},
		{why: "a shift by 0 has its name of RV128", is: func(i Inst, ours, theirs string) bool {
			return i.Imm == 0 && strings.Replace(strings.TrimSuffix(ours, ",0x0"), " ", "64 ", 1) == theirs
		}},
		{why: "c.addi16sp of 0 is reserved (unpriv §27.5.2) but shown", is: func(i Inst, _, theirs string) bool {
			return i.Raw == 0x6101 && i.Op == ILLEGAL && theirs == "c.addi16sp sp,0"
		}},
		{why: "Zcb and Zcmop are newer than the tool", is: func(i Inst, _, theirs string) bool {
			return (i.EncodingExtension() == ExtZcb || i.EncodingExtension() == ExtZcmop) && reserved(theirs)
		}},
	}}
	sweepGNU(t, c, words16(), 2)
	c.finish(t, nil)
}

func TestSweepGNU32(t *testing.T) {
	t.Parallel()
	c := &comparison{known: []difference{
		{why: "the empty set of a fence is written unknown", is: func(i Inst, ours, theirs string) bool {
			return i.Op == FENCE && strings.ReplaceAll(theirs, "unknown", "0") == ours
		}},
		{why: "reserved fm, rd and rs1 of fences are to be ignored (unpriv §2.7), the tool shows no instruction", is: func(i Inst, _, theirs string) bool {
			return (i.Op == FENCE || i.Op == FENCE_TSO || i.Op == FENCE_I) && i.Raw&^0x0ff0700f != 0 && reserved(theirs)
		}},
		{why: "ignored fields of fence.i, the tool shows no instruction", is: func(i Inst, _, theirs string) bool {
			return i.Op == FENCE_I && i.Raw != 0x100f && reserved(theirs)
		}},
		{why: "extension newer than the tool", is: func(i Inst, _, theirs string) bool { return gnuLacks(i.Op) && reserved(theirs) }},
		{why: "the rounding mode of an exact conversion may be anything", is: func(i Inst, _, theirs string) bool {
			return i.Op.DefaultRM() == RNE && i.RM != RNE && reserved(theirs)
		}},
		{why: "returns and fences of the hypervisor, debug mode and drafts that we do not have", is: func(i Inst, _, theirs string) bool {
			return i.Op == ILLEGAL && oneOf(theirs, "uret hret dret sfence.vm hinval.vvma hinval.gvma")
		}},
		{why: "a name of a CSR that we do not have", is: func(i Inst, ours, theirs string) bool {
			is, ok := csrNameOnly(i, ours, theirs)
			return ok && is
		}},
		{why: "a name of a CSR newer than the tool", is: func(i Inst, ours, theirs string) bool {
			is, ok := csrNameOnly(i, ours, theirs)
			return ok && !is
		}},
		{why: "a write of a read-only CSR has the name unimp", is: func(i Inst, _, theirs string) bool { return i.Raw == 0xc0001073 && theirs == "unimp" }},
	}}
	for _, r := range append(special, every) {
		sweepGNU(t, c, words32(r), 4)
	}
	c.finish(t, gnuLacks)
}

// llvmAttributes turns on what the table has.
const llvmAttributes = "+m,+a,+f,+d,+c,+zicsr,+zifencei,+zba,+zbb,+zbc,+zbs,+zbkb,+zicond,+zawrs,+experimental-zacas,+zihintpause," +
	"+zicbom,+zicbop,+zicboz,+zimop,+zcmop,+zcb,+zfa,+zfhmin,+svinval"

func sweepLLVM(t *testing.T, c *comparison, words []uint32, size int) {
	objdump := tool(t, "llvm-objdump-19", "llvm-19")
	obj := object(t, "rv64imafdc", words, size)
	count := 0
	disassembleWith(t, func(n int, text string) {
		if n >= len(words) {
			t.Fatalf("more instructions than words")
		}
		count++
		// " 00c58533     \tadd\ta0, a1, a2"
		fields := strings.SplitN(text, "\t", 2)
		theirs, _, _ := strings.Cut(fields[len(fields)-1], " <")
		theirs, _, _ = strings.Cut(theirs, " #")
		theirs = strings.ReplaceAll(strings.TrimSpace(strings.Replace(theirs, "\t", " ", 1)), ", ", ",")
		i := Decode(words[n])
		c.check(t, i, plain(i, i.Disassemble(uint64(n*size))), plain(i, theirs))
	}, objdump, "-d", "-z", "-M", "no-aliases", "--mattr="+llvmAttributes, obj)
	if count != len(words) {
		t.Errorf("%d instructions for %d words", count, len(words))
	}
}

// plain rewrites the text of either so that only the meaning is compared: numbers in decimal, every rounding mode
// written, one word for no instruction.
func plain(i Inst, text string) string {
	if reserved(text) {
		return "<unknown>"
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,()", r) })
	for n, w := range words {
		v, err := strconv.ParseInt(w, 0, 64)
		if u, err2 := strconv.ParseUint(w, 0, 64); err != nil && err2 == nil {
			v, err = int64(u), nil
		}
		if err == nil && n > 0 {
			if i.Op == LUI {
				v &= 0xfffff
			}
			words[n] = strconv.FormatInt(v, 10)
		}
	}
	if last := words[len(words)-1]; formats[i.Op].fields&hasRM != 0 && i.RM == DYN && last != "dyn" {
		words = append(words, "dyn")
	}
	return strings.Join(words, " ")
}

func TestSweepLLVM16(t *testing.T) {
	t.Parallel()
	c := &comparison{known: []difference{
		{why: "all zero is illegal and has the name c.unimp", is: func(i Inst, _, theirs string) bool { return i.Raw == 0 && theirs == "c.unimp" }},
		{why: "a shift by 0 has its name of RV128", is: func(i Inst, ours, theirs string) bool {
			return i.Imm == 0 && strings.Replace(strings.TrimSuffix(ours, " 0"), " ", "64 ", 1) == theirs
		}},
		{why: "c.lui of 0 is reserved (unpriv §27.5.1) but shown", is: func(i Inst, _, theirs string) bool {
			return i.Op == ILLEGAL && i.Raw&0xf07f == 0x6001 && oneOf(theirs, "c.lui")
		}},
	}}
	sweepLLVM(t, c, words16(), 2)
	c.finish(t, nil)
}

func TestSweepLLVM32(t *testing.T) {
	t.Parallel()
	c := &comparison{known: []difference{
		{why: "reserved fm, rd and rs1 of fences are to be ignored (unpriv §2.7), the tool shows no instruction", is: func(i Inst, _, theirs string) bool {
			return (i.Op == FENCE || i.Op == FENCE_TSO || i.Op == FENCE_I) && i.Raw&^0x0ff0700f != 0 && reserved(theirs)
		}},
		{why: "ignored fields of fence.i, the tool shows no instruction", is: func(i Inst, _, theirs string) bool {
			return i.Op == FENCE_I && i.Raw != 0x100f && reserved(theirs)
		}},
		{why: "reserved rounding modes are for the executor, the tool shows no instruction", is: func(i Inst, _, theirs string) bool {
			return formats[i.Op].fields&hasRM != 0 && (i.RM == 5 || i.RM == 6) && reserved(theirs)
		}},
		{why: "fcvtmod.w.d must round to zero (unpriv §25.4) but is shown", is: func(i Inst, _, theirs string) bool {
			return i.Op == ILLEGAL && oneOf(theirs, "fcvtmod.w.d") && !strings.HasSuffix(theirs, "rtz")
		}},
		{why: "returns and fences of the hypervisor and debug mode that we do not have", is: func(i Inst, _, theirs string) bool {
			return i.Op == ILLEGAL && oneOf(theirs, "dret hinval.vvma hinval.gvma")
		}},
		{why: "pause is shown as the fence that it is", is: func(i Inst, _, theirs string) bool { return i.Op == PAUSE && theirs == "fence w 0" }},
		{why: "a write of a read-only CSR has the name unimp", is: func(i Inst, _, theirs string) bool { return i.Raw == 0xc0001073 && theirs == "unimp" }},
		{why: "a name of a CSR that only one of us has", is: func(i Inst, ours, theirs string) bool {
			a, b := strings.Fields(ours), strings.Fields(theirs)
			if i.Op.Extension() != ExtZicsr || len(a) != 4 || len(b) != 4 || a[0] != b[0] || a[1] != b[1] || a[3] != b[3] {
				return false
			}
			number := strconv.Itoa(int(i.CSR()))
			return a[2] == number || b[2] == number
		}},
	}}
	for _, r := range []registers{every, special[0]} {
		sweepLLVM(t, c, words32(r), 4)
	}
	c.finish(t, func(op Op) bool { return op == C_MOP || op == PAUSE })
}
