// Package compose reads doppel.yaml: machines, and the networks between them.
// It knows the form of the file and the place of everything in it; which keys
// there are, and what their values mean, is the caller's.
//
//	name: demo
//	networks:
//	  lan0: {uplink: user}
//	defaults:
//	  memory: 256M
//	machines:
//	  web:
//	    image: debian:trixie
//	    net:
//	      - switch=lan0,vlan=10
//	      - {switch: lan0, vlan: 20, mac: "52:54:00:00:00:01"}
//
// Whatever is wrong is an *Error, which is one sentence with the line and the
// column. Any goroutine may call it; nothing is kept.
package compose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxSize bounds the file, in bytes.
const MaxSize = 256 << 10

// Pos is a place in the file; lines and columns count from 1.
type Pos struct{ Line, Column int }

// Error says what is wrong, and where.
type Error struct {
	File string
	Pos  Pos
	Msg  string
}

func (e *Error) Error() string {
	if e.Pos.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Pos.Line, e.Pos.Column, e.Msg)
}

// Kind is what a key's value looks like.
type Kind uint8

const (
	Text    Kind = iota // one value
	Bool                // true or false
	List                // one value or several
	Options             // as List; a value can be written as a mapping of options
)

func (k Kind) String() string {
	names := [...]string{"text", "bool", "list", "options"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Keys are those that a mapping may have.
type Keys map[string]Kind

func (k Keys) list() string { return strings.Join(slices.Sorted(maps.Keys(k)), ", ") }

// Schema says which keys there are: of the file itself (beside name, networks,
// defaults and machines), of a machine, and of a network.
type Schema struct{ Host, Machine, Network Keys }

// Value is one value, as text.
type Value struct {
	Text string
	Pos  Pos
}

// Setting is a key and its values: one, unless its kind is a list.
type Setting struct {
	Key    string
	Pos    Pos
	Values []Value
}

// Section is a machine or a network.
type Section struct {
	Name     string
	Pos      Pos
	Settings []Setting
}

// Find returns a key's setting, nil if the section has none.
func (s *Section) Find(key string) *Setting {
	for i := range s.Settings {
		if s.Settings[i].Key == key {
			return &s.Settings[i]
		}
	}
	return nil
}

// File is what doppel.yaml says. A machine's settings include the defaults
// that it does not have itself.
type File struct {
	Name     string // of the file, for errors
	Title    string // the value of name, "" if there is none
	Host     Section
	Networks []Section
	Machines []Section
}

// Errorf makes an error at a place of the file.
func (f *File) Errorf(p Pos, format string, args ...any) *Error {
	return &Error{f.Name, p, fmt.Sprintf(format, args...)}
}
