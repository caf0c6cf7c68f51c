package arch

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// integers are the types that enums are made of.
var integers = map[string]bool{"int": true, "int8": true, "int16": true, "int32": true, "int64": true, "uint": true,
	"uint8": true, "uint16": true, "uint32": true, "uint64": true, "byte": true}

// pkgEnums finds the enums of a package's files and whether each has a String:
// a named integer type with two constants or more of it. Sets of bits are no
// enums.
func pkgEnums(files []*ast.File) map[string]bool {
	isInt, named, consts, sets := map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "String" && d.Recv != nil && len(d.Recv.List) == 1 {
					typ := d.Recv.List[0].Type
					if star, ok := typ.(*ast.StarExpr); ok {
						typ = star.X
					}
					if id, ok := typ.(*ast.Ident); ok {
						named[id.Name] = true
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok {
						if id, ok := ts.Type.(*ast.Ident); ok && integers[id.Name] && !ts.Assign.IsValid() {
							isInt[ts.Name.Name] = true
						}
					}
				}
				if d.Tok == token.CONST {
					constBlock(d, consts, sets)
				}
			}
		}
	}
	out := map[string]bool{}
	for name, n := range consts {
		if isInt[name] && n >= 2 && !sets[name] {
			out[name] = named[name]
		}
	}
	return out
}

// constBlock counts the constants of each type in a declaration, those that
// repeat the line above included.
func constBlock(d *ast.GenDecl, consts map[string]int, sets map[string]bool) {
	current := ""
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		if v.Type != nil || len(v.Values) > 0 {
			current = ""
			if id, ok := v.Type.(*ast.Ident); ok {
				current = id.Name
			}
			for _, e := range v.Values {
				if b, ok := e.(*ast.BinaryExpr); ok && (b.Op == token.SHL || b.Op == token.OR) {
					sets[current] = true
				}
			}
		}
		if current != "" {
			consts[current] += len(v.Names)
		}
	}
}

// unnamed are types of constants that are not to be printed, with the reason.
// One that has got a String, or is gone, must go from the list.
var unnamed = map[string]string{
	"internal/riscv.immKind": "names columns of a table that only the decoder and encoder read",
	"internal/riscv.cKind":   "likewise",
}

// Every enum has a String method.
func TestEnumsHaveNames(t *testing.T) {
	files := map[string][]*ast.File{}
	for _, s := range sources(t) {
		if !s.test {
			files[s.dir] = append(files[s.dir], s.file)
		}
	}
	left := map[string]bool{}
	for name := range unnamed {
		left[name] = true
	}
	total := 0
	for dir, fs := range files {
		for typ, ok := range pkgEnums(fs) {
			total++
			name := dir + "." + typ
			_, listed := unnamed[name]
			delete(left, name)
			switch {
			case !ok && !listed:
				t.Errorf("%s is an enum without String", name)
			case ok && listed:
				t.Errorf("%s has a String: take it off the list", name)
			}
		}
	}
	for name := range left {
		t.Errorf("%s is no enum: take it off the list", name)
	}
	if total < 5 {
		t.Errorf("found only %d enums", total)
	}
}

func TestEnumsCanFail(t *testing.T) {
	got := pkgEnums([]*ast.File{parse(t, strings.ReplaceAll(`package p
type A uint8
const ( A0 A = iota; A1 )
type B int
const ( B0 B = 1; B1 B = 2 )
func (b B) String() string { return "" }
type Bits uint8
const ( X Bits = 1 << iota; Y )
type One uint8
const Only One = 3
`, ";", "\n"))})
	if len(got) != 2 || got["A"] || !got["B"] {
		t.Errorf("found %v, want A without and B with a String", got)
	}
}
