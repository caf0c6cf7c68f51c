package asm

import (
	"errors"
	"fmt"
	"slices"

	"doppel/internal/riscv"
)

// special handles the instructions that are not one pattern of the table or of pseudoTable.
func (a *assembler) special(name string, args []string) (done bool, err error) {
	switch {
	case name == "li" && len(args) == 2:
		return true, a.li(args[0], args[1])
	case (name == "la" || name == "lla") && len(args) == 2:
		rd, err := xreg(args[0])
		if err != nil {
			return true, err
		}
		return true, a.pcrelPair(riscv.ADDI, args[1], rd, riscv.Inst{Rd: rd})
	case name == "call" && len(args) == 1:
		return true, a.pcrelPair(riscv.JALR, args[0], 1, riscv.Inst{Rd: 1})
	case name == "call" && len(args) == 2: // t1 holds the address, as in GNU as
		rd, err := xreg(args[0])
		if err != nil {
			return true, err
		}
		return true, a.pcrelPair(riscv.JALR, args[1], 6, riscv.Inst{Rd: rd})
	case name == "tail" && len(args) == 1: // t1, as GNU as
		return true, a.pcrelPair(riscv.JALR, args[0], 6, riscv.Inst{})
	case name == "jump" && len(args) == 2:
		rt, err := xreg(args[1])
		if err != nil {
			return true, err
		}
		return true, a.pcrelPair(riscv.JALR, args[0], rt, riscv.Inst{})
	case name == "jr" && len(args) >= 1 && len(args) <= 2:
		return true, a.jalr(append([]string{"x0"}, args...))
	case len(args) == 0 && (name == "c.unimp" || name == "unimp" && a.compress[len(a.compress)-1]):
		a.inCode = true
		a.emit(0, 0) // unpriv §27.5.4: all zero is defined to be illegal
		return true, nil
	case name == "jalr" && len(args) == 1:
		return true, a.jalr([]string{"x1", args[0]})
	case name == "jalr" && (len(args) == 2 && isX(args[1]) || len(args) == 3):
		return true, a.jalr(args)
	case len(args) == 3 && !isX(args[2]) && immediateForm[name] != "":
		return true, a.instruction(immediateForm[name], args, 0)
	case len(args) == 2 && !isX(args[1]) && (name == "csrw" || name == "csrs" || name == "csrc"):
		return true, a.instruction(name+"i", args, 0)
	}
	return a.symbolAccess(name, args)
}

// immediateForm says which instruction GNU as takes where the last operand is not a register.
var immediateForm = map[string]string{
	"add": "addi", "and": "andi", "or": "ori", "xor": "xori", "slt": "slti", "sltu": "sltiu", "sll": "slli",
	"srl": "srli", "sra": "srai", "addw": "addiw", "sllw": "slliw", "srlw": "srliw", "sraw": "sraiw", "ror": "rori",
	"rorw": "roriw", "bclr": "bclri", "bset": "bseti", "binv": "binvi", "bext": "bexti", "csrrw": "csrrwi",
	"csrrs": "csrrsi", "csrrc": "csrrci",
}

// jalr takes the ways to write the address: register; offset(register); register, offset.
func (a *assembler) jalr(args []string) error {
	memory := args[1]
	if isX(memory) {
		offset := "0"
		if len(args) == 3 {
			offset = args[2]
		}
		memory = offset + "(" + memory + ")"
	} else if len(args) == 3 {
		return fmt.Errorf("%q is not an integer register", memory)
	}
	f := form(riscv.JALR)
	i, err := a.operands(f, []string{args[0], memory})
	if err != nil && !errors.Is(err, errForward) {
		return err
	}
	return a.emitInst(f, i, err != nil)
}

// symbolAccess handles loads and stores whose address is a symbol: "ld rd, symbol", "fld fd, symbol, rt" and
// "sd rs, symbol, rt".
func (a *assembler) symbolAccess(name string, args []string) (done bool, err error) {
	f, ok := riscv.FormByName(name)
	if !ok || f.Size != 4 || len(args) < 2 || f.Op == riscv.JALR || len(f.Operands) != 2 {
		return false, nil
	}
	isLoad, isStore := f.Operands[1] == riscv.OperandIOff, f.Operands[1] == riscv.OperandSOff
	if !isLoad && !isStore {
		return false, nil
	}
	if _, _, ok := splitMemory(args[1]); ok {
		return false, nil
	}
	i := riscv.Inst{}
	if err := a.operand(f.Operands[0], args[0], &i); err != nil {
		return true, err
	}
	base := i.Rd
	switch {
	case len(args) == 3:
		if base, err = xreg(args[2]); err != nil {
			return true, err
		}
	case f.Operands[0] != riscv.OperandRd:
		return true, fmt.Errorf("%q is not offset(register); to use a symbol, write %s %s, symbol, temporary", args[1], name, args[0])
	}
	return true, a.pcrelPair(f.Op, args[1], base, i)
}

// pcrelPair emits AUIPC base and then op with base as its Rs1 and the lower part of the distance.
func (a *assembler) pcrelPair(op riscv.Op, target string, base uint8, i riscv.Inst) error {
	v, err := a.expr(target)
	if err != nil && !errors.Is(err, errForward) {
		return err
	}
	distance := v - a.pc()
	if err != nil {
		distance = 0
	}
	hi, far := hi20(distance)
	if far != nil {
		return fmt.Errorf("%s (%#x) is not within 2 GiB of here; use li", target, v)
	}
	if err := a.emitInst(form(riscv.AUIPC), riscv.Inst{Rd: base, Imm: int64(int32(hi << 12))}, false); err != nil {
		return err
	}
	i.Rs1, i.Imm = base, int64(lo12(distance))
	return a.emitInst(form(op), i, false)
}

func form(op riscv.Op) riscv.Form {
	f, ok := riscv.FormByName(op.String())
	if !ok {
		panic("BUG: no form of " + op.String())
	}
	return f
}

// li loads any 64-bit value.
func (a *assembler) li(reg, text string) error {
	rd, err := xreg(reg)
	if err != nil {
		return err
	}
	v, err := a.expr(text)
	if err != nil && !errors.Is(err, errForward) {
		return err
	}
	var b []byte
	for _, i := range loadConstant(rd, int64(v)) {
		if raw, ok := riscv.Compress(i); ok && a.compress[len(a.compress)-1] {
			b = append(b, byte(raw), byte(raw>>8))
			continue
		}
		raw, err := riscv.Encode(i)
		if err != nil {
			return err
		}
		b = append(b, byte(raw), byte(raw>>8), byte(raw>>16), byte(raw>>24))
	}
	a.inCode = true
	n := a.grown(len(b))
	a.emit(b...)
	a.nops(n - len(b))
	return nil
}

// loadConstant returns the instructions that put v in rd: as GNU as, LUI and ADDIW for 32 bits; for more, the upper
// part without its trailing zeros, then SLLI and ADDI, again and again.
func loadConstant(rd uint8, v int64) []riscv.Inst {
	low := v << 52 >> 52
	if v == low {
		return []riscv.Inst{{Op: riscv.ADDI, Rd: rd, Imm: v}}
	}
	var tail []riscv.Inst
	for v != int64(int32(v)) {
		low = v << 52 >> 52
		if low != 0 {
			tail = append(tail, riscv.Inst{Op: riscv.ADDI, Rd: rd, Rs1: rd, Imm: low})
		}
		upper := uint64(v) - uint64(low) // may wrap; the bits are right
		shift := 12
		for upper>>shift&1 == 0 {
			shift++
		}
		tail = append(tail, riscv.Inst{Op: riscv.SLLI, Rd: rd, Rs1: rd, Imm: int64(shift)})
		v = int64(upper) >> shift
	}
	// tail is in reverse order, so ADDIW goes in before the LUI that it adds to.
	low = v << 52 >> 52
	upper, base := int64(int32(v-low)), uint8(0)
	if upper != 0 {
		base = rd
	}
	if low != 0 || upper == 0 {
		tail = append(tail, riscv.Inst{Op: riscv.ADDIW, Rd: rd, Rs1: base, Imm: low})
	}
	if upper != 0 {
		tail = append(tail, riscv.Inst{Op: riscv.LUI, Rd: rd, Imm: upper})
	}
	slices.Reverse(tail)
	return tail
}

// nops appends n bytes of instructions that do nothing; n is even.
func (a *assembler) nops(n int) {
	if n&2 != 0 {
		a.emit(0x01, 0x00) // c.nop
	}
	for range n / 4 {
		a.emit(0x13, 0x00, 0x00, 0x00) // nop
	}
}
