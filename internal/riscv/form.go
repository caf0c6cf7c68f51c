package riscv

import (
	"fmt"
	"strconv"
	"strings"
)

// Form is one way to write an instruction in assembly: a mnemonic with the order of its operands. It is how an
// assembler sees the instruction table, compressed encodings included.
type Form struct {
	Name     string
	Op       Op
	Operands []Operand
	Size     int // bytes

	bits uint32 // aq and rl, which the mnemonic says
	n    int64  // number of a mop, which the mnemonic says
	c    *cspec // compressed encoding, nil for 32-bit ones
}

// FormByName returns the form with this mnemonic, in lower case: "add", "amoadd.w.aqrl", "mop.r.3", "c.addi".
func FormByName(name string) (Form, bool) {
	if op, ok := opNumbers[name]; ok {
		return Form{Name: name, Op: op, Operands: formats[op].operands, Size: 4}, true
	}
	if n, ok := cNumbers[name]; ok {
		s := &cspecs[n]
		return Form{Name: name, Op: s.op, Operands: s.operands(), Size: 2, c: s}, true
	}
	base, suffix := cutLast(name)
	if op, ok := opNumbers[base]; ok && op.atomic() {
		for bits, s := range orderSuffixes {
			if bits != 0 && "."+suffix == s {
				return Form{Name: name, Op: op, Operands: formats[op].operands, Size: 4, bits: uint32(bits) << 25}, true
			}
		}
	}
	return mopForm(name, base, suffix)
}

// mopForm handles the mnemonics that end in a number.
func mopForm(name, base, suffix string) (Form, bool) {
	n, err := strconv.Atoi(suffix)
	if err != nil || strconv.Itoa(n) != suffix {
		return Form{}, false
	}
	f := Form{Name: name, n: int64(n), Size: 4}
	switch {
	case base == "mop.r" && n >= 0 && n < 32:
		f.Op = MOP_R
	case base == "mop.rr" && n >= 0 && n < 8:
		f.Op = MOP_RR
	case base == "c.mop" && n >= 1 && n <= 15 && n&1 == 1:
		f.Op, f.Size, f.c = C_MOP, 2, &cspecs[cMopRow]
		return f, true
	default:
		return Form{}, false
	}
	f.Operands = formats[f.Op].operands
	return f, true
}

// Encode returns the encoding of i, of which it takes the operands that the form has. An operand that does not fit
// is an error that says what would.
func (f Form) Encode(i Inst) (uint32, error) {
	i.Op = f.Op
	if f.Op == MOP_R || f.Op == MOP_RR || f.Op == C_MOP {
		i.Imm = f.n
	}
	if f.c == nil {
		raw, err := Encode(i)
		return raw | f.bits, err
	}
	f.c.imply(&i)
	raw, ok := f.c.encode(i)
	if !ok {
		return 0, fmt.Errorf("%s has no encoding with these operands: %s", f.Name, f.c.allowed())
	}
	return uint32(raw), nil
}

// DefaultRM is the rounding mode that assemblers encode when none is written: dyn, except for conversions that are
// always exact.
func (op Op) DefaultRM() uint8 {
	switch op {
	case FCVT_D_S, FCVT_D_W, FCVT_D_WU, FCVT_S_H, FCVT_D_H:
		return RNE
	}
	return DYN
}

// orderSuffixes is indexed by aq and rl, bits 26 and 25.
var orderSuffixes = [4]string{"", ".rl", ".aq", ".aqrl"}

// atomic reports whether the instruction has aq and rl.
func (op Op) atomic() bool { return op >= LR_W && op <= AMOCAS_Q }

func cutLast(name string) (before, after string) {
	n := strings.LastIndexByte(name, '.')
	if n < 0 {
		return name, ""
	}
	return name[:n], name[n+1:]
}

var (
	opNumbers = numberOps()
	cNumbers  = numberCSpecs()
	cMopRow   = cNumberOf(C_MOP)
)

func numberOps() map[string]Op {
	m := make(map[string]Op, NumOps)
	for op := ILLEGAL + 1; op < NumOps; op++ {
		if op != MOP_R && op != MOP_RR && op != C_MOP { // these have a number in their mnemonic
			m[specs[op].name] = op
		}
	}
	return m
}

func numberCSpecs() map[string]int {
	m := make(map[string]int, len(cspecs))
	for n := range cspecs {
		if cspecs[n].kind != cMop {
			m[cspecs[n].name] = n
		}
	}
	return m
}

func cNumberOf(op Op) int {
	for n := range cspecs {
		if cspecs[n].op == op {
			return n
		}
	}
	panic("BUG: no compressed encoding of " + op.String())
}

// Mnemonics returns every mnemonic of the table in its basic form: without aq and rl, and without those with a number.
func Mnemonics() []string {
	out := make([]string, 0, len(opNumbers)+len(cNumbers))
	for op := ILLEGAL + 1; op < NumOps; op++ {
		if _, ok := opNumbers[specs[op].name]; ok {
			out = append(out, specs[op].name)
		}
	}
	for n := range cspecs {
		if _, ok := cNumbers[cspecs[n].name]; ok {
			out = append(out, cspecs[n].name)
		}
	}
	return out
}
