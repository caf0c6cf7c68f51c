package asm

import (
	"strings"
)

// block goes through statements: it decides conditionals, expands macros and repetitions, and hands on the rest.
func (a *assembler) block(lines []line, depth int) {
	caller := a.line
	defer func() { a.line = caller }()
	if depth > maxNesting {
		a.stop("macros or repetitions are nested more than %d deep; does a macro call itself without end?", maxNesting)
		return
	}
	var open []condition
	for n := 0; n < len(lines) && !a.fatal; n++ {
		a.line = &lines[n]
		if a.lines++; a.lines > maxLines {
			a.stop("macros and repetitions make more than %d statements", maxLines)
			return
		}
		name, rest := word(lines[n].text)
		name = strings.ToLower(name)
		if a.conditional(&open, name, rest) {
			continue
		}
		if len(open) > 0 && !open[len(open)-1].active {
			continue
		}
		if end := blockEnd[name]; end != "" {
			body, next, ok := collect(lines, n, end)
			if !ok {
				a.stop("%s has no %s", name, end)
				return
			}
			a.repetition(name, rest, body, depth)
			n = next
			continue
		}
		if name == ".exitm" {
			return
		}
		if name == ".end" {
			break
		}
		a.statement(lines[n].text, depth)
	}
	if len(open) > 0 && !a.fatal {
		a.errorf(".if has no .endif")
	}
}

// blockEnd says which directive ends each one that has a body.
var blockEnd = map[string]string{".macro": ".endm", ".rept": ".endr", ".irp": ".endr", ".irpc": ".endr"}

// collect returns the statements between lines[at] and the matching end, and the index of the end.
func collect(lines []line, at int, end string) (body []line, next int, ok bool) {
	level := 1
	for n := at + 1; n < len(lines); n++ {
		name, _ := word(lines[n].text)
		name = strings.ToLower(name)
		switch {
		case name == end || end == ".endm" && name == ".endmacro":
			level--
		case blockEnd[name] == end:
			level++
		}
		if level == 0 {
			return lines[at+1 : n], n, true
		}
	}
	return nil, 0, false
}

var conditions = map[string]bool{".if": true, ".ifeq": true, ".ifne": true, ".ifgt": true, ".ifge": true, ".iflt": true,
	".ifle": true, ".ifdef": true, ".ifndef": true, ".ifnotdef": true, ".ifb": true, ".ifnb": true, ".ifc": true, ".ifnc": true}

// condition is one .if that is open.
type condition struct {
	active bool // its statements count
	done   bool // no later branch of it can be active
	isElse bool
}

// conditional handles the directives of conditional assembly and reports whether it was one.
func (a *assembler) conditional(stack *[]condition, name, rest string) bool {
	top := len(*stack) - 1
	switch {
	case conditions[name]:
		outer := top < 0 || (*stack)[top].active
		c := condition{done: !outer}
		if outer {
			c.active = a.condition(name, rest)
			c.done = c.active
		}
		*stack = append(*stack, c)
	case name == ".elseif" || name == ".else" || name == ".endif":
		if top < 0 {
			a.errorf("%s without .if", name)
			return true
		}
		c := &(*stack)[top]
		switch {
		case name == ".endif":
			*stack = (*stack)[:top]
		case c.isElse:
			a.errorf("%s after .else", name)
		case name == ".elseif":
			c.active = !c.done && a.condition(".if", rest)
			c.done = c.done || c.active
		default:
			c.active, c.done, c.isElse = !c.done, true, true
		}
	default:
		return false
	}
	return true
}

// condition evaluates the condition of an .if of any kind. Labels further down cannot be used.
func (a *assembler) condition(name, rest string) bool {
	switch name {
	case ".ifdef", ".ifndef", ".ifnotdef":
		_, ok := a.syms[rest]
		if !validName(rest) {
			a.errorf("%s needs the name of a symbol, not %q", name, rest)
		}
		return ok == (name == ".ifdef")
	case ".ifb", ".ifnb":
		return (rest == "") == (name == ".ifb")
	case ".ifc", ".ifnc":
		parts := commas(rest)
		if len(parts) != 2 {
			a.errorf("%s needs two texts", name)
			return false
		}
		return (unquote(parts[0]) == unquote(parts[1])) == (name == ".ifc")
	}
	v, ok := a.constant(rest, name)
	switch name {
	case ".if", ".ifne":
		return ok && v != 0
	case ".ifeq":
		return ok && v == 0
	case ".ifgt":
		return ok && int64(v) > 0
	case ".ifge":
		return ok && int64(v) >= 0
	case ".iflt":
		return ok && int64(v) < 0
	}
	return ok && int64(v) <= 0 // .ifle
}

// constant evaluates something that decides how much is assembled, so that it must be known at once.
func (a *assembler) constant(text, what string) (uint64, bool) {
	forward := a.forward
	a.forward = false
	v, err := a.expr(text)
	needed := a.forward
	a.forward = forward
	switch {
	case needed:
		a.errorf("%s needs a value that is known at this point; %q uses something that is not defined above", what, text)
		return 0, false
	case err != nil:
		a.errorf("%s: %v", what, err)
		return 0, false
	}
	return v, true
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
