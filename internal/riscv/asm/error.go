package asm

import (
	"fmt"
	"strings"
)

// Error is one thing wrong with the source.
type Error struct {
	Line    int    // from 1; 0 where the whole is meant
	Context string // the macros that the line came from, innermost first, or empty
	Text    string // the statement
	Message string
}

func (e Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	s := fmt.Sprintf("line %d: %s", e.Line, e.Message)
	if e.Text != "" {
		s += "\n\t" + e.Text
	}
	if e.Context != "" {
		s += "\n\t(" + e.Context + ")"
	}
	return s
}

// ErrorList is every error found, in source order; after 20 the rest is left out.
type ErrorList []Error

func (l ErrorList) Error() string {
	var b strings.Builder
	for n, e := range l {
		if n > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// errorf records an error at the current line.
func (a *assembler) errorf(format string, args ...any) {
	if len(a.errs) >= maxErrors {
		a.fatal = true
		return
	}
	e := Error{Message: fmt.Sprintf(format, args...)}
	if a.line != nil {
		e.Line, e.Context, e.Text = a.line.number, a.line.context, shorten(a.line.text)
	}
	a.errs = append(a.errs, e)
}

// stop records an error that makes going on pointless.
func (a *assembler) stop(format string, args ...any) {
	if !a.fatal {
		a.errorf(format, args...)
	}
	a.fatal = true
}

func shorten(s string) string {
	const limit = 120
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
