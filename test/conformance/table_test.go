package conformance

import (
	"embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

//go:embed cases/*.txt
var caseFiles embed.FS

// row is a line of a case table.
type row struct {
	where    string // file and line
	inst     string
	in, out  []setting
	flags    uint64
	frm      string
	branches bool // the instruction jumps to 1f
}

// setting is a register or a doubleword of memory and its value.
type setting struct {
	name  string
	value uint64
}

// rows reads the tables.
func rows(t *testing.T) []row {
	files, err := caseFiles.ReadDir("cases")
	if err != nil {
		t.Fatal(err)
	}
	var all []row
	for _, f := range files {
		text, err := caseFiles.ReadFile("cases/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			r, err := parseRow(line)
			r.where = fmt.Sprintf("%s:%d: %s", f.Name(), n, line)
			if err != nil {
				t.Fatalf("%s: %v", r.where, err)
			}
			all = append(all, r)
		}
	}
	return all
}

var flagBits = map[string]uint64{"nx": 1, "uf": 2, "of": 4, "dz": 8, "nv": 16}

func parseRow(line string) (r row, err error) {
	parts := strings.Split(line, ";")
	if len(parts) != 3 {
		return r, fmt.Errorf("want instruction ; start ; end")
	}
	r.inst = strings.TrimSpace(parts[0])
	r.branches = strings.HasSuffix(r.inst, "1f")
	for i, part := range parts[1:] {
		for _, field := range strings.Fields(part) {
			name, text, ok := strings.Cut(field, "=")
			switch {
			case !ok:
				return r, fmt.Errorf("%q is not name=value", field)
			case name == "frm":
				r.frm = text
				continue
			case name == "flags":
				for _, f := range strings.Split(text, "|") {
					bit, ok := flagBits[f]
					if !ok {
						return r, fmt.Errorf("no flag %q", f)
					}
					r.flags |= bit
				}
				continue
			}
			v, err := parseValue(text)
			if err != nil {
				return r, err
			}
			if i == 0 {
				r.in = append(r.in, setting{name, v})
			} else {
				r.out = append(r.out, setting{name, v})
			}
		}
	}
	if len(r.out) == 0 {
		return r, fmt.Errorf("checks nothing")
	}
	return r, nil
}

// parseValue reads an integer, or a number of a floating-point format.
func parseValue(text string) (uint64, error) {
	if len(text) > 2 && text[1] == ':' {
		return parseFloat(text[0], text[2:])
	}
	if v, err := strconv.ParseInt(text, 0, 64); err == nil {
		return uint64(v), nil
	}
	return strconv.ParseUint(text, 0, 64)
}

func parseFloat(format byte, text string) (uint64, error) {
	f, ok := map[byte]struct {
		frac, exp int
		box       uint64
	}{'h': {10, 5, 0xffff_ffff_ffff << 16}, 's': {23, 8, 0xffff_ffff << 32}, 'd': {52, 11, 0}}[format]
	if !ok {
		return 0, fmt.Errorf("no format %q", format)
	}
	number, negative := strings.CutPrefix(text, "-")
	top := uint64(1)<<f.exp - 1
	var bits uint64
	switch number {
	case "nan":
		bits = top<<f.frac | 1<<(f.frac-1)
	case "snan":
		bits = top<<f.frac | 1<<(f.frac-2)
	case "inf":
		bits = top << f.frac
	case "max":
		bits = top<<f.frac - 1
	case "min":
		bits = 1 << f.frac
	case "sub":
		bits = 1
	default:
		v, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, err
		}
		d := math.Float64bits(v)
		switch {
		case format == 's':
			if float64(float32(v)) != v {
				return 0, fmt.Errorf("%s is no single", text)
			}
			bits = uint64(math.Float32bits(float32(v)))
		case format == 'd' || d == 0:
			bits = d
		default: // a normal half: shorten the double
			e := int(d>>52) - 1023 + 15
			if e < 1 || e > 30 || d&(1<<42-1) != 0 {
				return 0, fmt.Errorf("%s is no normal half", text)
			}
			bits = uint64(e)<<10 | d>>42&0x3ff
		}
	}
	if negative {
		bits |= 1 << (f.frac + f.exp)
	}
	return f.box | bits, nil
}

// source turns rows into a program: each sets its registers and memory, runs
// the instruction and checks the results one by one.
func source(rs []row) string {
	var b strings.Builder
	for n, r := range rs {
		fmt.Fprintf(&b, "case_%d:\n\tlla s0, scratch\n\tsd zero, 0(s0)\n\tsd zero, 8(s0)\n\tcsrwi fcsr, 0\n\tli a0, 1\n", n)
		if r.frm != "" {
			fmt.Fprintf(&b, "\tfsrmi %s\n", map[string]string{"rne": "0", "rtz": "1", "rdn": "2", "rup": "3", "rmm": "4"}[r.frm])
		}
		// Memory first: it goes through a register that a later setting may need.
		for _, s := range r.in {
			if s.name[0] == 'm' {
				fmt.Fprintf(&b, "\tli t5, %#x\n\tsd t5, %s(s0)\n", s.value, s.name[1:])
			}
		}
		for _, s := range r.in {
			switch {
			case s.name[0] == 'm':
			case s.name[0] == 'f':
				fmt.Fprintf(&b, "\tli t5, %#x\n\tfmv.d.x %s, t5\n", s.value, s.name)
			default:
				fmt.Fprintf(&b, "\tli %s, %#x\n", s.name, s.value)
			}
		}
		fmt.Fprintf(&b, "\t%s\n", r.inst)
		if r.branches {
			b.WriteString("\tli a0, 0\n1:\n")
		}
		b.WriteString("\tfrcsr t6\n") // before anything can change it
		for _, s := range r.out {
			switch s.name[0] {
			case 'm':
				fmt.Fprintf(&b, "\tld t4, %s(s0)\n\tcheck t4, %#x\n", s.name[1:], s.value)
			case 'f':
				fmt.Fprintf(&b, "\tfmv.x.d t4, %s\n\tcheck t4, %#x\n", s.name, s.value)
			default:
				fmt.Fprintf(&b, "\tcheck %s, %#x\n", s.name, s.value)
			}
		}
		fmt.Fprintf(&b, "\tandi t4, t6, 31\n\tcheck t4, %#x\n", r.flags)
	}
	return b.String()
}
