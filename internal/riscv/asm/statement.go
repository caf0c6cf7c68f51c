package asm

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"doppel/internal/riscv"
)

// statement handles one statement: labels, then an assignment, a directive, a macro call or an instruction.
func (a *assembler) statement(text string, depth int) {
	for {
		n := labelEnd(text)
		if n < 0 {
			break
		}
		a.label(text[:n])
		text = strings.TrimSpace(text[n+1:])
	}
	if text == "" {
		return
	}
	if name, value, ok := assignment(text); ok {
		a.set(name, value, false)
		return
	}
	name, rest := word(text)
	name = strings.ToLower(name)
	if m := a.macros[name]; m != nil {
		a.call(m, rest, depth)
		return
	}
	if blockEnd[name] != "" {
		a.errorf("%s must stand on a line of its own, without a label", name)
		return
	}
	if strings.HasPrefix(name, ".") {
		a.directive(name, rest)
		return
	}
	if err := a.instruction(name, commas(rest), 0); err != nil && !errors.Is(err, errForward) {
		a.errorf("%v", err)
	}
}

// labelEnd returns the index of the colon of the label that text starts with, or -1.
func labelEnd(text string) int {
	n := 0
	for n < len(text) && isName(text[n]) {
		n++
	}
	colon := n
	for colon < len(text) && (text[colon] == ' ' || text[colon] == '\t') {
		colon++
	}
	if n == 0 || colon == len(text) || text[colon] != ':' {
		return -1
	}
	return colon
}

func (a *assembler) label(name string) {
	name = strings.TrimSpace(name)
	if isDigit(name[0]) {
		n, err := strconv.Atoi(name)
		if err != nil || strconv.Itoa(n) != name {
			a.errorf("%q is not a label: a numeric label is digits only", name)
			return
		}
		a.numeric[n] = append(a.numeric[n], a.pc())
		return
	}
	if !validName(name) {
		a.errorf("%q is not a label", name)
		return
	}
	if s, ok := a.syms[name]; ok {
		switch {
		case s.label:
			a.errorf("label %q is defined twice", name)
		case s.here:
			a.errorf("label %q has the name of a constant", name)
		default:
			a.errorf("label %q has the name of a predefined constant", name)
		}
		return
	}
	a.syms[name] = symbol{value: a.pc(), label: true, here: true}
}

// assignment recognises "name = expression".
func assignment(text string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	return name, value, ok && validName(name) && !strings.HasPrefix(value, "=")
}

// set gives a constant a value.
func (a *assembler) set(name, text string, once bool) {
	if !validName(name) {
		a.errorf("%q is not a name", name)
		return
	}
	s, ok := a.syms[name]
	if ok && (s.label || once && s.here) {
		a.errorf("%q is already defined", name)
		return
	}
	v, err := a.expr(text)
	if errors.Is(err, errForward) {
		return // not defined in this pass
	}
	if err != nil {
		a.errorf("%v", err)
		return
	}
	a.syms[name] = symbol{value: v, here: true}
}

// instruction assembles one instruction or pseudo-instruction.
func (a *assembler) instruction(name string, args []string, depth int) error {
	if len(a.errs) == 0 && a.pc()&1 != 0 {
		return errors.New("an instruction at an odd address; put .align before it")
	}
	if done, err := a.special(name, args); done {
		return err
	}
	if text, ok := pseudo(name, args); ok && depth < 4 {
		n, rest := word(text)
		return a.instruction(n, commas(rest), depth+1)
	}
	f, ok := riscv.FormByName(name)
	if !ok {
		if usage := pseudoUsage(name); usage != "" {
			return errors.New(usage)
		}
		return unknown(name)
	}
	i, err := a.operands(f, args)
	if err != nil && !errors.Is(err, errForward) {
		return err
	}
	return a.emitInst(f, i, err != nil)
}

// emitInst encodes and appends one instruction. With guess, an operand is not known yet and only the size matters.
func (a *assembler) emitInst(f riscv.Form, i riscv.Inst, guess bool) error {
	if guess {
		i.Imm = guessImmediate(f)
	}
	a.inCode = true
	i.Op = f.Op
	if f.Size == 4 && a.compress[len(a.compress)-1] {
		raw, ok := riscv.Compress(i)
		need := 4
		if ok && !(a.late && isJump(i.Op)) {
			need = 2
		}
		if a.grown(need) == 2 {
			a.emit(byte(raw), byte(raw>>8))
			return nil
		}
	}
	raw, err := f.Encode(i)
	if err != nil {
		// The size must be right in any case, so that other errors are about what is really wrong.
		a.emit(make([]byte, f.Size)...)
		return explain(f, err)
	}
	a.emit(byte(raw), byte(raw>>8))
	if f.Size == 4 {
		a.emit(byte(raw>>16), byte(raw>>24))
	}
	return nil
}

func isJump(op riscv.Op) bool { return op == riscv.JAL || op == riscv.BEQ || op == riscv.BNE }

// guessImmediate returns an immediate that any form with this operand list can encode.
func guessImmediate(f riscv.Form) int64 {
	if slices.Contains(f.Operands, riscv.OperandUImm) {
		return 1 << 12
	}
	if f.Name == "c.addi4spn" || f.Name == "c.addi16sp" {
		return 16
	}
	return 0
}
