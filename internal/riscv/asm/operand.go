package asm

import (
	"errors"
	"fmt"
	"strings"

	"doppel/internal/riscv"
)

// operands reads the operands of an instruction of the table. If one is not known yet, the rest are still read and the
// error is errForward.
func (a *assembler) operands(f riscv.Form, args []string) (riscv.Inst, error) {
	i := riscv.Inst{Op: f.Op, RM: f.Op.DefaultRM()}
	want := len(f.Operands)
	optional := want > 0 && (f.Operands[want-1] == riscv.OperandRM || f.Operands[want-1] == riscv.OperandRTZ)
	if optional && f.Operands[want-1] == riscv.OperandRTZ {
		i.RM = riscv.RTZ
	}
	if len(args) != want && !(optional && len(args) == want-1) {
		return i, fmt.Errorf("%s; here are %d operands", usage(f), len(args))
	}
	var forward error
	for n, text := range args {
		err := a.operand(f.Operands[n], text, &i)
		if errors.Is(err, errForward) {
			forward = err
		} else if err != nil {
			return i, fmt.Errorf("%s, operand %d: %w", f.Name, n+1, err)
		}
	}
	return i, forward
}

// usage says what operands a form takes.
func usage(f riscv.Form) string {
	if len(f.Operands) == 0 {
		return f.Name + " takes no operands"
	}
	var b strings.Builder
	b.WriteString(f.Name + " takes ")
	for n, o := range f.Operands {
		if n > 0 {
			b.WriteString(", ")
		}
		switch o {
		case riscv.OperandIOff, riscv.OperandSOff, riscv.OperandPOff:
			b.WriteString("offset(rs1)")
		case riscv.OperandBOff, riscv.OperandJOff:
			b.WriteString("label")
		case riscv.OperandUImm:
			b.WriteString("imm20")
		case riscv.OperandShamt5, riscv.OperandShamt6:
			b.WriteString("shamt")
		case riscv.OperandRM, riscv.OperandRTZ:
			b.WriteString("[rm]")
		case riscv.OperandFli:
			b.WriteString("constant")
		default:
			b.WriteString(o.String())
		}
	}
	return b.String()
}

// operand reads one operand into i.
func (a *assembler) operand(o riscv.Operand, text string, i *riscv.Inst) (err error) {
	switch o {
	case riscv.OperandRd:
		i.Rd, err = xreg(text)
	case riscv.OperandRs1:
		i.Rs1, err = xreg(text)
	case riscv.OperandRs2:
		i.Rs2, err = xreg(text)
	case riscv.OperandFd:
		i.Rd, err = freg(text)
	case riscv.OperandFs1:
		i.Rs1, err = freg(text)
	case riscv.OperandFs2:
		i.Rs2, err = freg(text)
	case riscv.OperandFs3:
		i.Rs3, err = freg(text)
	case riscv.OperandSP:
		if n, e := xreg(text); e != nil || n != 2 {
			return fmt.Errorf("this must be sp, not %q", text)
		}
	case riscv.OperandRM, riscv.OperandRTZ:
		rm, ok := riscv.RMByName(text)
		if !ok || o == riscv.OperandRTZ && rm != riscv.RTZ {
			return fmt.Errorf("%q is not a rounding mode it has: %s", text, map[bool]string{true: "rtz", false: "rne, rtz, rdn, rup, rmm, dyn"}[o == riscv.OperandRTZ])
		}
		i.RM = rm
	case riscv.OperandIOff, riscv.OperandSOff, riscv.OperandPOff:
		return a.memory(text, i)
	case riscv.OperandMem:
		offset, base, ok := splitMemory(text)
		if !ok || offset != "" && strings.Trim(offset, "0") != "" {
			return fmt.Errorf("%q is not (register); there is no offset here", text)
		}
		i.Rs1 = base
	case riscv.OperandBOff, riscv.OperandJOff:
		var v uint64
		v, err = a.expr(text)
		i.Imm = int64(v - a.pc())
	case riscv.OperandUImm:
		var v int64
		v, err = a.number(text, -1<<19, 1<<20-1)
		i.Imm = int64(int32(v << 12))
	case riscv.OperandImm, riscv.OperandShamt5, riscv.OperandShamt6:
		var v uint64
		v, err = a.expr(text)
		i.Imm = int64(v)
	case riscv.OperandCSR:
		i.Imm, err = a.csr(text)
	case riscv.OperandZimm:
		var v int64
		v, err = a.number(text, 0, 31)
		i.Rs1 = uint8(v)
	case riscv.OperandPred, riscv.OperandSucc:
		set, ok := riscv.FenceSetByName(text)
		if !ok {
			return fmt.Errorf("%q is not a set of the letters i, o, r, w in this order, or 0", text)
		}
		if o == riscv.OperandPred {
			i.Imm |= int64(set) << 4
		} else {
			i.Imm |= int64(set)
		}
	case riscv.OperandFli:
		n, ok := riscv.FliByName(text)
		if !ok {
			return fmt.Errorf("%q is not a constant of fli: -1, min, 2^-16, 2^-15, 2^-8, 2^-7, 0.0625 ... 65536, inf, nan", text)
		}
		i.Rs1 = n
	}
	return err
}

// number evaluates an expression that must lie in a range.
func (a *assembler) number(text string, low, high int64) (int64, error) {
	v, err := a.expr(text)
	if err != nil {
		return 0, err
	}
	if int64(v) < low || int64(v) > high {
		return 0, fmt.Errorf("%d is not in %d to %d", int64(v), low, high)
	}
	return int64(v), nil
}

func (a *assembler) csr(text string) (int64, error) {
	if c, ok := riscv.CSRByName(strings.ToLower(text)); ok {
		return int64(c), nil
	}
	v, err := a.number(text, 0, 4095)
	if err != nil && !errors.Is(err, errForward) {
		return 0, fmt.Errorf("%q is not a CSR: %w", text, err)
	}
	return v, err
}

// memory reads "offset(register)".
func (a *assembler) memory(text string, i *riscv.Inst) error {
	offset, base, ok := splitMemory(text)
	if !ok {
		return fmt.Errorf("%q is not offset(register)", text)
	}
	i.Rs1 = base
	if offset == "" {
		return nil
	}
	v, err := a.expr(offset)
	i.Imm = int64(v)
	return err
}

// splitMemory divides "offset(register)"; the offset may be empty and may itself have parentheses.
func splitMemory(text string) (offset string, base uint8, ok bool) {
	if !strings.HasSuffix(text, ")") {
		return "", 0, false
	}
	n := strings.LastIndexByte(text, '(')
	if n < 0 {
		return "", 0, false
	}
	base, err := xreg(strings.TrimSpace(text[n+1 : len(text)-1]))
	return strings.TrimSpace(text[:n]), base, err == nil
}

func xreg(text string) (uint8, error) {
	n, ok := riscv.XByName(text)
	if !ok {
		return 0, fmt.Errorf("%q is not an integer register", text)
	}
	return n, nil
}

func freg(text string) (uint8, error) {
	n, ok := riscv.FByName(text)
	if !ok {
		return 0, fmt.Errorf("%q is not a floating-point register", text)
	}
	return n, nil
}

func isX(text string) bool {
	_, ok := riscv.XByName(text)
	return ok
}

// explain adds the mnemonic, and for targets out of reach a way out.
func explain(f riscv.Form, err error) error {
	var r *riscv.RangeError
	if !errors.As(err, &r) {
		return err
	}
	switch r.What {
	case "branch offset":
		return fmt.Errorf("%s: %w: the target is too far (or odd); branch around a jump instead", f.Name, err)
	case "jump offset":
		return fmt.Errorf("%s: %w: the target is too far (or odd); use call or tail", f.Name, err)
	}
	return fmt.Errorf("%s: %w", f.Name, err)
}
