package deb

import (
	"fmt"
	"strings"
)

// CompareVersions orders two versions as deb-version(7) does; the result is negative, zero or positive.
func CompareVersions(a, b string) int {
	ea, ua, ra := splitVersion(a)
	eb, ub, rb := splitVersion(b)
	if c := compareDigits(ea, eb); c != 0 {
		return c
	}
	if c := comparePart(ua, ub); c != 0 {
		return c
	}
	return comparePart(ra, rb)
}

// splitVersion gives epoch, upstream version and revision. A missing epoch is 0, a missing revision empty.
func splitVersion(v string) (epoch, upstream, revision string) {
	v = strings.TrimSpace(v)
	if e, rest, ok := strings.Cut(v, ":"); ok && isDigits(e) {
		epoch, v = e, rest
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !digit(s[i]) {
			return false
		}
	}
	return s != ""
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// order ranks a character outside numbers: "~" before the end, then the end, letters, and all else.
func order(s string, i int) int {
	switch {
	case i >= len(s) || digit(s[i]):
		return 0
	case s[i] == '~':
		return -1
	case 'a' <= s[i]|0x20 && s[i]|0x20 <= 'z':
		return int(s[i])
	}
	return int(s[i]) + 256
}

// comparePart compares stretches of non-digits and of digits in turn.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		i := 0
		for ; i < len(a) && !digit(a[i]) || i < len(b) && !digit(b[i]); i++ {
			if c := order(a, i) - order(b, i); c != 0 {
				return c
			}
		}
		a, b = a[min(i, len(a)):], b[min(i, len(b)):]
		na, nb := digits(a), digits(b)
		if c := compareDigits(na, nb); c != 0 {
			return c
		}
		a, b = a[len(na):], b[len(nb):]
	}
	return 0
}

func digits(s string) string {
	i := 0
	for i < len(s) && digit(s[i]) {
		i++
	}
	return s[:i]
}

// compareDigits compares numbers of any length.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Satisfies tells whether version v stands in the relation op to want, op as in "(>= 1.2)". No op is always true.
func Satisfies(v, op, want string) bool {
	c := CompareVersions(v, want)
	switch op {
	case "":
		return true
	case "<<":
		return c < 0
	case "<=", "<":
		return c <= 0
	case "=":
		return c == 0
	case ">=", ">":
		return c >= 0
	case ">>":
		return c > 0
	}
	return false
}

// Relation is one alternative of a dependency: name, architecture qualifier, version.
type Relation struct {
	Name, Qualifier, Op, Version string
}

// String writes the relation as in a control file.
func (r Relation) String() string {
	s := r.Name
	if r.Qualifier != "" {
		s += ":" + r.Qualifier
	}
	if r.Op != "" {
		s += " (" + r.Op + " " + r.Version + ")"
	}
	return s
}

// ParseRelations reads a dependency field: groups divided by commas, alternatives by bars (debian-policy §7.1).
func ParseRelations(field string) ([][]Relation, error) {
	var out [][]Relation
	for group := range strings.SplitSeq(field, ",") {
		if strings.TrimSpace(group) == "" {
			continue
		}
		var alts []Relation
		for alt := range strings.SplitSeq(group, "|") {
			r, err := parseRelation(strings.TrimSpace(alt))
			if err != nil {
				return nil, err
			}
			alts = append(alts, r)
		}
		out = append(out, alts)
	}
	return out, nil
}

func parseRelation(s string) (Relation, error) {
	var r Relation
	name, rest, versioned := strings.Cut(s, "(")
	if versioned {
		inner, tail, ok := strings.Cut(rest, ")")
		if !ok {
			return r, fmt.Errorf("dependency %q lacks a closing parenthesis", s)
		}
		inner = strings.TrimSpace(inner)
		n := len(inner) - len(strings.TrimLeft(inner, "<>="))
		r.Op, r.Version = inner[:n], strings.TrimSpace(inner[n:])
		switch r.Op {
		case "<<", "<=", "=", ">=", ">>", "<", ">":
		default:
			return r, fmt.Errorf("dependency %q has no known comparison", s)
		}
		if r.Version == "" {
			return r, fmt.Errorf("dependency %q lacks a version", s)
		}
		name += tail // an architecture list may follow
	}
	if i := strings.IndexAny(name, "[<"); i >= 0 {
		name = name[:i]
	}
	r.Name, r.Qualifier, _ = strings.Cut(strings.TrimSpace(name), ":")
	if r.Name == "" || strings.ContainsAny(r.Name, " \t\n/") {
		return r, fmt.Errorf("dependency %q has no package name", s)
	}
	return r, nil
}
