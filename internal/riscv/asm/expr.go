package asm

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"doppel/internal/riscv"
)

// errForward says that an expression needs a label whose address is not known yet, in the first pass. It never reaches
// the user.
var errForward = errors.New("forward reference")

// expr evaluates one expression; nothing may follow it. Operators have the precedence of GNU as, which is not that of
// C: first * / % << >>, then | & ^, then + - and comparisons, then &&, then ||. Values are 64 bits and wrap; / and %
// are signed, >> is not; a comparison that holds is -1, as in GNU as.
func (a *assembler) expr(text string) (uint64, error) {
	p := parser{a: a, s: text}
	v, err := p.binary(0)
	if err != nil {
		return 0, err
	}
	p.space()
	if p.s != "" {
		return 0, fmt.Errorf("%q is not understood after the expression %q", p.s, strings.TrimSpace(text[:len(text)-len(p.s)]))
	}
	return v, nil
}

type parser struct {
	a     *assembler
	s     string // what is left
	depth int
}

func (p *parser) space() { p.s = strings.TrimLeft(p.s, " \t\r\v\f") }

var operators = [][]string{
	{"||"},
	{"&&"},
	{"+", "-", "==", "!=", "<>", "<=", ">=", "<", ">"},
	{"|", "&", "^"},
	{"*", "/", "%", "<<", ">>"},
}

// operator takes an operator of the level off the text.
func (p *parser) operator(level int) string {
	p.space()
	longest := ""
	for _, ops := range operators { // so that "<" does not take half of "<<"
		for _, op := range ops {
			if strings.HasPrefix(p.s, op) && len(op) > len(longest) {
				longest = op
			}
		}
	}
	for _, op := range operators[level] {
		if op == longest {
			p.s = p.s[len(op):]
			return op
		}
	}
	return ""
}

func (p *parser) binary(level int) (uint64, error) {
	if level == len(operators) {
		return p.unary()
	}
	v, err := p.binary(level + 1)
	if err != nil {
		return 0, err
	}
	for {
		op := p.operator(level)
		if op == "" {
			return v, nil
		}
		w, err := p.binary(level + 1)
		if err != nil {
			return 0, err
		}
		if v, err = apply(op, v, w); err != nil {
			return 0, err
		}
	}
}

func apply(op string, v, w uint64) (uint64, error) {
	truth := func(b bool) uint64 {
		if b {
			return math.MaxUint64
		}
		return 0
	}
	switch op {
	case "+":
		return v + w, nil
	case "-":
		return v - w, nil
	case "*":
		return v * w, nil
	case "/", "%":
		if w == 0 {
			return 0, errors.New("division by zero")
		}
		if w == math.MaxUint64 { // by -1: Go gives no trap for the most negative number, but be plain
			if op == "%" {
				return 0, nil
			}
			return -v, nil
		}
		if op == "%" {
			return uint64(int64(v) % int64(w)), nil
		}
		return uint64(int64(v) / int64(w)), nil
	case "<<":
		return v << w, nil // Go: 0 from 64 on
	case ">>":
		return v >> w, nil
	case "|":
		return v | w, nil
	case "&":
		return v & w, nil
	case "^":
		return v ^ w, nil
	case "==":
		return truth(v == w), nil
	case "!=", "<>":
		return truth(v != w), nil
	case "<":
		return truth(int64(v) < int64(w)), nil
	case ">":
		return truth(int64(v) > int64(w)), nil
	case "<=":
		return truth(int64(v) <= int64(w)), nil
	case ">=":
		return truth(int64(v) >= int64(w)), nil
	case "&&":
		return truth(v != 0 && w != 0) & 1, nil
	}
	return truth(v != 0 || w != 0) & 1, nil // "||"
}

func (p *parser) unary() (uint64, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		return 0, errors.New("the expression is nested too deeply")
	}
	p.space()
	if p.s == "" {
		return 0, errors.New("an expression is missing")
	}
	c := p.s[0]
	switch {
	case strings.IndexByte("-+~!", c) >= 0:
		p.s = p.s[1:]
		v, err := p.unary()
		switch c {
		case '-':
			v = -v
		case '~':
			v = ^v
		case '!':
			if v == 0 {
				v = 1
			} else {
				v = 0
			}
		}
		return v, err
	case c == '(':
		p.s = p.s[1:]
		return p.closed()
	case c == '%':
		return p.relocation()
	case c == '\'':
		return p.character()
	case isDigit(c):
		return p.number()
	case isNameStart(c):
		n := 1
		for n < len(p.s) && isName(p.s[n]) {
			n++
		}
		name := p.s[:n]
		p.s = p.s[n:]
		if name == "." {
			return p.a.pc(), nil
		}
		return p.a.symbolValue(name)
	}
	return 0, fmt.Errorf("%q is not an expression", p.s)
}

// closed evaluates up to the closing parenthesis.
func (p *parser) closed() (uint64, error) {
	v, err := p.binary(0)
	if err != nil {
		return 0, err
	}
	p.space()
	if !strings.HasPrefix(p.s, ")") {
		return 0, errors.New("a closing parenthesis is missing")
	}
	p.s = p.s[1:]
	return v, nil
}

func (p *parser) character() (uint64, error) {
	n := quoted(p.s)
	if n == 0 {
		return 0, errors.New("the character is not closed")
	}
	body := strings.TrimPrefix(p.s[:n], "'")
	if len(body) > 1 {
		body = strings.TrimSuffix(body, "'")
	}
	p.s = p.s[n:]
	b, err := unescape(body)
	if err != nil || len(b) != 1 {
		return 0, fmt.Errorf("%q is not one character", body)
	}
	return uint64(b[0]), nil
}

// number reads 10, 0x10, 0b10, 010, and the numeric labels 1f and 1b.
func (p *parser) number() (uint64, error) {
	n := 0
	for n < len(p.s) && isName(p.s[n]) {
		n++
	}
	text := p.s[:n]
	p.s = p.s[n:]
	if k := len(text) - 1; k > 0 && (text[k] == 'f' || text[k] == 'b') && strings.Trim(text[:k], "0123456789") == "" {
		return p.a.numericLabel(text[:k], text[k])
	}
	v, err := strconv.ParseUint(strings.ToLower(text), 0, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s does not fit 64 bits", text)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

func (a *assembler) numericLabel(digits string, direction byte) (uint64, error) {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("%s%c is not a label", digits, direction)
	}
	seen := a.numeric[n]
	if direction == 'b' {
		if len(seen) == 0 {
			return 0, fmt.Errorf("there is no label %d: before this", n)
		}
		return seen[len(seen)-1], nil
	}
	a.forward = true
	if a.first {
		return 0, errForward
	}
	if all := a.last.numeric[n]; len(all) > len(seen) {
		return all[len(seen)], nil
	}
	return 0, fmt.Errorf("there is no label %d: after this", n)
}

func (a *assembler) symbolValue(name string) (uint64, error) {
	if s, ok := a.syms[name]; ok {
		return s.value, nil
	}
	a.forward = true
	if a.first {
		return 0, errForward
	}
	if s, ok := a.last.syms[name]; ok {
		return s.value, nil
	}
	if _, ok := riscv.XByName(name); ok {
		return 0, fmt.Errorf("register %s stands where a value is expected", name)
	}
	return 0, fmt.Errorf("symbol %q is not defined", name)
}

// relocation evaluates %hi, %lo, %pcrel_hi and %pcrel_lo, the two halves of a 32-bit value: hi is rounded so that the
// signed lo can be added to it.
func (p *parser) relocation() (uint64, error) {
	name, rest, ok := strings.Cut(p.s, "(")
	if !ok {
		return 0, fmt.Errorf("%q is not an expression", p.s)
	}
	p.s = rest
	v, err := p.closed()
	if err != nil {
		return 0, err
	}
	pc := p.a.pc()
	switch strings.TrimSpace(name) {
	case "%hi":
		return hi20(v)
	case "%lo":
		return lo12(v), nil
	case "%pcrel_hi":
		p.a.pcrel[pc] = v
		return hi20(v - pc)
	case "%pcrel_lo":
		target, ok := p.a.pcrel[v]
		if !ok {
			target, ok = p.a.last.pcrel[v]
			p.a.forward = true
		}
		if !ok && p.a.first {
			return 0, errForward
		}
		if !ok {
			return 0, errors.New("%pcrel_lo must name the label of an instruction that uses %pcrel_hi")
		}
		return lo12(target - v), nil
	}
	return 0, fmt.Errorf("%s is not known; there are %%hi, %%lo, %%pcrel_hi and %%pcrel_lo", strings.TrimSpace(name))
}

// hi20 returns the upper 20 bits for LUI or AUIPC of a value that must be reachable with 32 bits.
func hi20(v uint64) (uint64, error) {
	if r := int64(v + 0x800); r != int64(int32(r)) {
		return 0, fmt.Errorf("%#x is not within 2 GiB", v)
	}
	return (v + 0x800) >> 12 & 0xfffff, nil
}

func lo12(v uint64) uint64 { return uint64(int64(v<<52) >> 52) }
