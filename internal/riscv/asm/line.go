package asm

import "strings"

// line is one statement, without comments.
type line struct {
	text    string
	number  int
	context string
}

// split takes comments out of the source and divides it into statements, at line ends and semicolons that are not in
// strings or characters.
func split(src string) ([]line, ErrorList) {
	var (
		out   []line
		errs  ErrorList
		b     strings.Builder
		at    = 1
		fail  = func(s string) { errs = append(errs, Error{Line: at, Message: s}) }
		flush = func() {
			if s := strings.TrimSpace(b.String()); s != "" {
				if len(s) > maxLineBytes {
					fail("the statement is too long")
				}
				out = append(out, line{text: s, number: at})
			}
			b.Reset()
		}
	)
	for i := 0; i < len(src) && len(errs) < maxErrors; {
		c := src[i]
		switch {
		case c == '\n':
			flush()
			at++
			i++
		case c == ';':
			flush()
			i++
		case c == '#' || strings.HasPrefix(src[i:], "//"):
			for i < len(src) && src[i] != '\n' {
				i++
			}
		case strings.HasPrefix(src[i:], "/*"):
			n := strings.Index(src[i+2:], "*/")
			if n < 0 {
				fail("the comment is not closed")
				return out, errs
			}
			at += strings.Count(src[i:i+2+n], "\n")
			i += n + 4
			b.WriteByte(' ')
		case c == '"' || c == '\'':
			n := quoted(src[i:])
			if n == 0 {
				fail("the string or character is not closed")
				for i < len(src) && src[i] != '\n' {
					i++
				}
				continue
			}
			b.WriteString(src[i : i+n])
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	flush()
	return out, errs
}

// quoted returns the length of the string or character at the start of s, quotes included; 0 if it is not closed.
// GNU as lets the closing quote of a character be left out.
func quoted(s string) int {
	if s[0] == '\'' {
		n := 2
		if strings.HasPrefix(s, `'\`) {
			n = 3
		}
		if len(s) < n || strings.ContainsRune(s[:n], '\n') {
			return 0
		}
		if len(s) > n && s[n] == '\'' {
			n++
		}
		return n
	}
	for i := 1; i < len(s) && s[i] != '\n'; i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// commas divides s at the commas that are not in parentheses, strings or characters, and trims the parts. An empty s
// has no parts.
func commas(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	var out []string
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '"', '\'':
			if n := quoted(s[i:]); n > 0 {
				i += n - 1
			}
		case ',':
			if depth <= 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}

// word takes the first blank-delimited word off s.
func word(s string) (first, rest string) {
	s = strings.TrimSpace(s)
	n := strings.IndexAny(s, " \t\r\v\f")
	if n < 0 {
		return s, ""
	}
	return s[:n], strings.TrimSpace(s[n:])
}

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '.' || c == '$'
}

func isName(c byte) bool { return isNameStart(c) || isDigit(c) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// validName reports whether s can be the name of a symbol or macro.
func validName(s string) bool {
	if s == "" || s == "." || !isNameStart(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isName(s[i]) {
			return false
		}
	}
	return true
}
