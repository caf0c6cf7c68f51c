package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func parse(t *testing.T, src string) *ast.File {
	f, err := parser.ParseFile(fset, "src.go", src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// private matches what belongs to one machine or its network. The pieces are
// put together here so that this file does not match itself.
var private = regexp.MustCompile(strings.Join([]string{
	`/wo` + `rk/`, `/ro` + `ot/\.`, `/ho` + `me/\w`, `/Us` + `ers/\w`, // a person's or a machine's folders
	`\b(?:de` + `b|ftp|security|snapshot|archive|cdn)(?:\.\w+)*\.debian\.org`,
	`\barchive\.ub` + `untu\.com`,
	`\bproxy\.gol` + `ang\.org`, `\bsum\.gol` + `ang\.org`, `\bregistry\.np` + `mjs\.org`, `\bpypi\.o` + `rg`,
}, "|"))

// maxFile is the largest file that source text can reasonably be.
const maxFile = 512 << 10

// fault tells what is wrong with a file; "" if nothing is.
func fault(name string, data []byte) string {
	if len(data) > maxFile {
		return "is larger than source text ever is"
	}
	// As git tells text from binary.
	if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
		return "is binary"
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if m := private.Find(line); m != nil {
			return "line " + strconv.Itoa(i+1) + " names " + string(m) + ", which is of one machine or network"
		}
	}
	return ""
}

// No file is binary, huge, or names folders or servers of one machine.
func TestContent(t *testing.T) {
	for _, name := range tracked(t) {
		data, err := os.ReadFile(filepath.Join(root(t), name))
		if os.IsNotExist(err) {
			continue // removed, not yet committed
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if why := fault(name, data); why != "" {
			t.Errorf("%s %s", name, why)
		}
	}
}

func TestContentCanFail(t *testing.T) {
	for text, bad := range map[string]bool{
		"package p // plain":                      false,
		"https://www.debian.org/ is a page":       false,
		"mirror = http://de" + "b.debian.org/deb": true,
		"x := \"/ro" + "ot/.cache\"":              true,
		"GIF\x00":                                 true,
		strings.Repeat("a\n", maxFile):            true,
	} {
		if why := fault("f", []byte(text)); (why != "") != bad {
			t.Errorf("%.30q: %q", text, why)
		}
	}
}
