package asm

import (
	"fmt"
	"strconv"
	"strings"
)

// macro is one .macro definition.
type macro struct {
	name   string
	params []param
	body   []line
}

type param struct {
	name     string
	value    string // default
	required bool
	vararg   bool // takes all that is left, commas included
}

// repetition handles the directives that have a body.
func (a *assembler) repetition(name, rest string, body []line, depth int) {
	switch name {
	case ".macro":
		a.define(rest, body)
	case ".rept":
		n, ok := a.constant(rest, ".rept")
		if ok && n > maxLines {
			a.errorf(".rept %d is more than %d", int64(n), maxLines)
			return
		}
		for i := uint64(0); i < n && !a.fatal; i++ {
			if len(body) == 0 {
				return
			}
			a.block(body, depth+1)
		}
	case ".irp", ".irpc":
		parts := commas(rest)
		if len(parts) == 0 || !validName(strings.TrimPrefix(parts[0], `\`)) {
			a.errorf("%s needs a parameter name and values", name)
			return
		}
		values := parts[1:]
		if name == ".irpc" {
			values = strings.Split(strings.Join(values, ","), "")
		}
		for _, v := range values {
			if a.fatal {
				return
			}
			a.block(a.substitute(body, map[string]string{strings.TrimPrefix(parts[0], `\`): v}, a.line.context), depth+1)
		}
	}
}

// define reads ".macro name a, b=default, c:req, d:vararg".
func (a *assembler) define(rest string, body []line) {
	n := strings.IndexAny(rest, " \t,")
	if n < 0 {
		n = len(rest)
	}
	m := &macro{name: strings.ToLower(rest[:n]), body: body}
	if !validName(m.name) {
		a.errorf(".macro needs a name")
		return
	}
	if _, ok := a.macros[m.name]; ok {
		a.errorf("macro %q is defined twice", m.name)
		return
	}
	list := strings.TrimLeft(rest[n:], ", \t")
	parts := commas(list)
	if len(parts) == 1 && !strings.ContainsAny(list, "=:\"") {
		parts = strings.Fields(list)
	}
	for _, text := range parts {
		p := param{}
		p.name, p.value, _ = strings.Cut(text, "=")
		p.value = unquote(strings.TrimSpace(p.value))
		var qualifier string
		p.name, qualifier, _ = strings.Cut(strings.TrimSpace(p.name), ":")
		switch qualifier {
		case "req":
			p.required = true
		case "vararg":
			p.vararg = true
		case "":
		default:
			a.errorf("parameter %q: %q is not req or vararg", p.name, qualifier)
		}
		if !validName(p.name) {
			a.errorf("%q is not a parameter name", p.name)
			return
		}
		m.params = append(m.params, p)
	}
	a.macros[m.name] = m
}

// call expands a macro.
func (a *assembler) call(m *macro, rest string, depth int) {
	args := commas(rest)
	bound := make(map[string]string, len(m.params)+1)
	next := 0
	for n, text := range args {
		if name, value, ok := strings.Cut(text, "="); ok && m.has(strings.TrimSpace(name)) && !strings.HasPrefix(value, "=") {
			bound[strings.TrimSpace(name)] = unquote(strings.TrimSpace(value))
			continue
		}
		if next >= len(m.params) {
			a.errorf("macro %s takes %d arguments, here are %d", m.name, len(m.params), len(args))
			return
		}
		if m.params[next].vararg {
			bound[m.params[next].name] = strings.Join(args[n:], ", ")
			break
		}
		bound[m.params[next].name] = unquote(text)
		next++
	}
	for _, p := range m.params {
		if v, ok := bound[p.name]; !ok || v == "" {
			if p.required {
				a.errorf("macro %s: argument %s is missing", m.name, p.name)
				return
			}
			bound[p.name] = p.value
		}
	}
	bound["@"] = strconv.Itoa(a.calls)
	a.calls++
	context := fmt.Sprintf("in macro %s, called from line %d", m.name, a.line.number)
	if a.line.context != "" && len(a.line.context) < 200 {
		context += ", " + a.line.context
	}
	a.block(a.substitute(m.body, bound, context), depth+1)
}

func (m *macro) has(name string) bool {
	for _, p := range m.params {
		if p.name == name {
			return true
		}
	}
	return false
}

// substitute replaces \name, \@ and \() in every statement. What follows a backslash and is not a parameter stays as
// it is: it may be an escape in a string, or a parameter of a macro further in.
func (a *assembler) substitute(body []line, bound map[string]string, context string) []line {
	out := make([]line, 0, len(body))
	for _, l := range body {
		text, ok := replace(l.text, bound)
		if !ok {
			a.line = &line{text: l.text, number: l.number, context: context}
			a.stop("the statement is longer than %d bytes after substitution", maxLineBytes)
			return nil
		}
		if a.expanded += len(text); a.expanded > maxExpansion {
			a.stop("macros and repetitions make more than %d bytes of source", maxExpansion)
			return nil
		}
		// An argument may be a whole statement or several.
		for _, part := range statements(text) {
			out = append(out, line{text: part, number: l.number, context: context})
		}
	}
	return out
}

func statements(text string) []string {
	if !strings.Contains(text, ";") {
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		return []string{text}
	}
	parts, _ := split(text)
	out := make([]string, 0, len(parts))
	for _, p := range parts {
		out = append(out, p.text)
	}
	return out
}

func replace(text string, bound map[string]string) (string, bool) {
	if !strings.Contains(text, `\`) {
		return text, true
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if b.Len() > maxLineBytes {
			return "", false
		}
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			i++
			continue
		}
		if strings.HasPrefix(text[i:], `\()`) {
			i += 3
			continue
		}
		n := i + 1
		if text[n] == '@' {
			n++
		} else {
			for n < len(text) && isName(text[n]) && text[n] != '.' && text[n] != '$' {
				n++
			}
		}
		if v, ok := bound[text[i+1:n]]; ok && n > i+1 {
			b.WriteString(v)
			i = n
			continue
		}
		b.WriteByte('\\')
		i++
		// An escaped backslash must not make what follows it a parameter.
		if text[i] == '\\' {
			b.WriteByte('\\')
			i++
		}
	}
	return b.String(), b.Len() <= maxLineBytes
}
