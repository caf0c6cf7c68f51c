package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is the name in go.mod.
const module = "doppel"

// source is one Go file of the tree.
type source struct {
	name    string // path from the root
	dir     string // its folder, "." for the root
	test    bool
	file    *ast.File
	imports []string
}

var fset = token.NewFileSet()

// root is the top of the tree.
func root(t *testing.T) string {
	r, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tracked lists the files that git has or would take, so that what a build
// leaves behind does not count.
func tracked(t *testing.T) []string {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("this is no git tree: %v", err)
	}
	return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
}

// sources parses every Go file.
func sources(t *testing.T) []source {
	var all []source
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(root(t), name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := source{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), file: f}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Errorf("%s: import %s", name, i.Path.Value)
			}
			s.imports = append(s.imports, p)
		}
		all = append(all, s)
	}
	if len(all) < 20 {
		t.Fatalf("found only %d Go files", len(all))
	}
	return all
}

// under tells whether dir is folder or in it.
func under(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }
