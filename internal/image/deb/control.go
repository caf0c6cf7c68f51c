package deb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Paragraph is one stanza of a control file: fields in their order, continuation lines kept with their line breaks.
type Paragraph struct {
	Fields []Field
}

// Field is one field of a paragraph.
type Field struct{ Name, Value string }

// Get gives a field's value, or the empty string. Names are compared without regard to case.
func (p *Paragraph) Get(name string) string {
	for i := range p.Fields {
		if strings.EqualFold(p.Fields[i].Name, name) {
			return p.Fields[i].Value
		}
	}
	return ""
}

// String writes the paragraph as a control file has it.
func (p *Paragraph) String() string {
	var b strings.Builder
	for _, f := range p.Fields {
		b.WriteString(f.Name)
		b.WriteByte(':')
		if f.Value != "" && f.Value[0] != '\n' {
			b.WriteByte(' ')
		}
		b.WriteString(f.Value)
		b.WriteByte('\n')
	}
	return b.String()
}

const (
	maxLine   = 1 << 20
	maxFields = 1000
)

// Reader reads paragraphs.
type Reader struct {
	sc   *bufio.Scanner
	line int
}

// NewReader reads control data (deb822(5)) from r.
func NewReader(r io.Reader) *Reader {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), maxLine)
	return &Reader{sc: sc}
}

// Next gives the next paragraph, or io.EOF.
func (r *Reader) Next() (*Paragraph, error) {
	p := &Paragraph{}
	for r.sc.Scan() {
		r.line++
		line := strings.TrimRight(r.sc.Text(), " \t\r")
		switch {
		case line == "":
			if len(p.Fields) > 0 {
				return p, nil
			}
			continue
		case line[0] == '#':
			continue
		case line[0] == ' ' || line[0] == '\t':
			if len(p.Fields) == 0 {
				return nil, fmt.Errorf("line %d of the control data continues no field", r.line)
			}
			f := &p.Fields[len(p.Fields)-1]
			if len(f.Value)+len(line) > maxLine {
				return nil, fmt.Errorf("line %d of the control data makes field %s too long", r.line, f.Name)
			}
			f.Value += "\n" + line
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") || name[0] == '-' {
			return nil, fmt.Errorf("line %d of the control data is not a field", r.line)
		}
		if len(p.Fields) >= maxFields {
			return nil, fmt.Errorf("line %d of the control data is one field too many", r.line)
		}
		p.Fields = append(p.Fields, Field{name, strings.TrimSpace(value)})
	}
	if err := r.sc.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("line %d of the control data is longer than %d bytes", r.line+1, maxLine)
		}
		return nil, err
	}
	if len(p.Fields) > 0 {
		return p, nil
	}
	return nil, io.EOF
}
