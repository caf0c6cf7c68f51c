package asm

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ignored are directives that matter to object files only.
var ignored = map[string]bool{
	".text": true, ".data": true, ".bss": true, ".rodata": true, ".section": true, ".previous": true, ".pushsection": true,
	".popsection": true, ".globl": true, ".global": true, ".local": true, ".weak": true, ".hidden": true, ".type": true,
	".size": true, ".file": true, ".ident": true, ".attribute": true, ".loc": true,
}

// dataSize is the number of bytes of each element that a data directive emits.
var dataSize = map[string]int{
	".byte": 1, ".half": 2, ".short": 2, ".2byte": 2, ".hword": 2, ".word": 4, ".long": 4, ".int": 4, ".4byte": 4,
	".dword": 8, ".quad": 8, ".8byte": 8,
}

func (a *assembler) directive(name, rest string) {
	if ignored[name] || strings.HasPrefix(name, ".cfi_") {
		return
	}
	if size, ok := dataSize[name]; ok {
		a.data(name, size, commas(rest))
		return
	}
	switch name {
	case ".float", ".single", ".double":
		a.floats(name, commas(rest))
	case ".ascii":
		a.strings(commas(rest), false)
	case ".asciz", ".string":
		a.strings(commas(rest), true)
	case ".align", ".p2align", ".balign":
		a.align(name, commas(rest))
	case ".org":
		a.org(commas(rest))
	case ".zero", ".skip", ".space":
		a.skip(name, commas(rest))
	case ".fill":
		a.fillDirective(commas(rest))
	case ".set", ".equ", ".equiv":
		parts := commas(rest)
		if len(parts) != 2 {
			a.errorf("%s needs a name and a value", name)
			return
		}
		a.set(parts[0], parts[1], name == ".equiv")
	case ".option":
		a.option(rest)
	case ".error":
		a.errorf(".error: %s", unquote(rest))
	case ".endm", ".endmacro", ".endr":
		a.errorf("%s without its beginning", name)
	case ".exitm", ".end", ".if", ".else", ".elseif", ".endif":
		a.errorf("%s must stand on a line of its own, without a label", name)
	default:
		a.errorf("there is no directive %s", shorten(name))
	}
}

func (a *assembler) data(name string, size int, args []string) {
	a.inCode = false
	for _, text := range args {
		v, err := a.expr(text)
		if err != nil && !errors.Is(err, errForward) {
			a.errorf("%s: %v", name, err)
		}
		// Both signed and unsigned numbers of the size are taken.
		if bits := uint(size * 8); bits < 64 && err == nil && v>>bits != 0 && int64(v)>>(bits-1) != -1 {
			a.errorf("%s: %d does not fit %d bits", name, int64(v), bits)
		}
		for n := range size {
			a.emit(byte(v >> (8 * n)))
		}
	}
}

func (a *assembler) floats(name string, args []string) {
	a.inCode = false
	bits := 64
	if name != ".double" {
		bits = 32
	}
	for _, text := range args {
		v, err := strconv.ParseFloat(text, bits)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // too large is infinity
			a.errorf("%s: %q is not a number", name, text)
		}
		raw := math.Float64bits(v)
		if bits == 32 {
			raw = uint64(math.Float32bits(float32(v)))
		}
		for n := range bits / 8 {
			a.emit(byte(raw >> (8 * n)))
		}
	}
}

func (a *assembler) strings(args []string, zero bool) {
	a.inCode = false
	if len(args) == 0 {
		a.errorf("a string is missing")
	}
	for _, text := range args {
		if len(text) < 2 || text[0] != '"' || quoted(text) != len(text) {
			a.errorf("%s is not a string", shorten(text))
			return
		}
		b, err := unescape(text[1 : len(text)-1])
		if err != nil {
			a.errorf("%v", err)
			return
		}
		a.emit(b...)
		if zero {
			a.emit(0)
		}
	}
}

// unescape replaces \n and the like, \ooo and \xhh.
func unescape(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i++; i == len(s) {
			return nil, errors.New("a backslash at the end")
		}
		if n := strings.IndexByte("nrtbfae\\\"'", s[i]); n >= 0 {
			out = append(out, "\n\r\t\b\f\a\x1b\\\"'"[n])
			continue
		}
		start, end, base := i, i, 8
		switch {
		case s[i] == 'x' || s[i] == 'X':
			start, base = i+1, 16
			for end = start; end < len(s) && end < start+2 && strings.IndexByte("0123456789abcdefABCDEF", s[end]) >= 0; end++ {
			}
		default:
			for end < len(s) && end < start+3 && s[end] >= '0' && s[end] <= '7' {
				end++
			}
		}
		v, err := strconv.ParseUint(s[start:end], base, 16)
		if err != nil {
			return nil, errors.New("\\" + s[i:i+1] + " is not an escape")
		}
		out = append(out, byte(v))
		i = end - 1
	}
	return out, nil
}

// align handles ".align power[, fill[, most]]" and ".balign bytes[, fill[, most]]".
func (a *assembler) align(name string, args []string) {
	if len(args) < 1 || len(args) > 3 {
		a.errorf("%s needs 1 to 3 values", name)
		return
	}
	n, ok := a.constant(args[0], name)
	if !ok {
		return
	}
	if name != ".balign" {
		if n > 24 {
			a.errorf("%s %d: the power of two must be 0 to 24", name, int64(n))
			return
		}
		n = 1 << n
	}
	if n&(n-1) != 0 || n > maxCode {
		a.errorf("%s %d is not a power of two up to %d", name, int64(n), maxCode)
		return
	}
	if n == 0 {
		return
	}
	gap := -a.pc() & (n - 1)
	if len(args) == 3 {
		most, ok := a.constant(args[2], name)
		if !ok || gap > most {
			return
		}
	}
	if len(args) >= 2 && args[1] != "" {
		if v, ok := a.constant(args[1], name); ok {
			a.fill(gap, byte(v))
		}
		return
	}
	if a.inCode && gap&1 == 0 {
		if gap > maxCode {
			a.fill(gap, 0)
			return
		}
		a.nops(int(gap))
		return
	}
	a.fill(gap, 0)
}

// org moves to an absolute address further on.
func (a *assembler) org(args []string) {
	if len(args) < 1 || len(args) > 2 {
		a.errorf(".org needs an address and may have a fill value")
		return
	}
	v, ok := a.constant(args[0], ".org")
	if !ok {
		return
	}
	fill, ok := a.optional(args, 1, ".org")
	if !ok {
		return
	}
	if v < a.pc() {
		a.errorf(".org %#x: the address must not be before the current one, %#x", v, a.pc())
		return
	}
	a.inCode = false
	a.fill(v-a.pc(), byte(fill))
}

// optional evaluates args[n], or gives 0 if it is not there.
func (a *assembler) optional(args []string, n int, what string) (uint64, bool) {
	if n >= len(args) {
		return 0, true
	}
	return a.constant(args[n], what)
}

func (a *assembler) skip(name string, args []string) {
	if len(args) < 1 || len(args) > 2 {
		a.errorf("%s needs a size and may have a fill value", name)
		return
	}
	n, ok := a.constant(args[0], name)
	v, ok2 := a.optional(args, 1, name)
	if ok && ok2 {
		a.inCode = false
		a.fill(n, byte(v))
	}
}

// fillDirective handles ".fill repeat[, size[, value]]".
func (a *assembler) fillDirective(args []string) {
	if len(args) < 1 || len(args) > 3 {
		a.errorf(".fill needs a count and may have a size and a value")
		return
	}
	n, ok := a.constant(args[0], ".fill")
	size, ok2 := uint64(1), true
	if len(args) > 1 {
		size, ok2 = a.constant(args[1], ".fill")
	}
	v, ok3 := a.optional(args, 2, ".fill")
	if !ok || !ok2 || !ok3 {
		return
	}
	if size > 8 || n > maxCode {
		a.errorf(".fill: the size must be 0 to 8 and the count 0 to %d", maxCode)
		return
	}
	a.inCode = false
	for i := uint64(0); i < n && size > 0 && !a.fatal; i++ {
		for k := range size {
			a.emit(byte(v >> (8 * k)))
		}
	}
}

// option handles .option: rvc, norvc, push and pop; the rest concerns relaxation, which does not happen here.
func (a *assembler) option(what string) {
	top := len(a.compress) - 1
	switch what {
	case "rvc":
		a.compress[top] = true
	case "norvc":
		a.compress[top] = false
	case "push":
		if top >= maxNesting {
			a.stop(".option push more than %d times", maxNesting)
			return
		}
		a.compress = append(a.compress, a.compress[top])
	case "pop":
		if top == 0 {
			a.errorf(".option pop without .option push")
			return
		}
		a.compress = a.compress[:top]
	case "relax", "norelax", "pic", "nopic":
	default:
		if !strings.HasPrefix(what, "arch") {
			a.errorf(".option %s is not known", what)
		}
	}
}
