package arch

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// floors lists the folders from the ground up. A package imports from its own
// folder and from floors below, never from beside or above.
var floors = [][]string{
	{"internal/platform", "internal/state", "internal/fdt"},
	{"internal/memory", "internal/clock", "internal/entropy"},
	{"internal/riscv"},
	{"internal/cpu"},
	{"internal/backend"},
	{"internal/device"},
	{"internal/loader", "internal/guest"},
	{"internal/board"},
	{"internal/machine"},
	{"internal/image"},
	{"internal/manage"},
	{"."}, // the public library
	{"api"},
	{"client"},
	{"examples"},
	{"cmd"},
	{"test"},
	{"bench", "tools"},
}

// never lists what a folder must not import although it is on a floor below.
var never = map[string][]string{
	// A device never sees an engine, a machine or the host.
	"internal/device": {"internal/cpu", "internal/riscv", "internal/platform"},
	// A backend knows nothing of guests.
	"internal/backend": {"internal/cpu", "internal/riscv", "internal/memory"},
	// Files to be loaded are parsed without knowing who runs them.
	"internal/loader": {"internal/cpu", "internal/device", "internal/backend"},
	"internal/guest":  {"internal/cpu", "internal/device", "internal/backend", "internal/memory"},
}

// exceptions are imports that the floors forbid, each with its reason. One
// that is no longer there must go from the list.
var exceptions = map[[2]string]string{
	{"internal/backend/terminal", "internal/device"}: "implements device.Terminal, a contract that devices own",
}

// floorOf returns the number of a folder's floor and its folder there.
func floorOf(dir string) (int, string) {
	for n, folders := range floors {
		for _, f := range folders {
			if f != "." && under(dir, f) || f == "." && dir == "." {
				return n, f
			}
		}
	}
	return -1, ""
}

// allowed tells why from must not import to; "" if it may.
func allowed(from, to string) string {
	n, folder := floorOf(from)
	if n < 0 {
		return "is on no floor: add it to the list"
	}
	m, target := floorOf(to)
	switch {
	case folder == target:
		return ""
	case m < 0:
		return "imports " + to + ", which is on no floor"
	case m >= n:
		return "imports " + to + ", which is not below it"
	}
	for _, bad := range never[folder] {
		if under(to, bad) {
			return "imports " + to + ", which it must know nothing of"
		}
	}
	return ""
}

// Imports point down only.
func TestFloors(t *testing.T) {
	used := map[[2]string]bool{}
	for _, s := range sources(t) {
		// Tests may use what they like to set their subject up.
		if s.test {
			continue
		}
		if n, _ := floorOf(s.dir); n < 0 {
			t.Errorf("%s is on no floor: add %s to the list", s.name, s.dir)
		}
		for _, p := range s.imports {
			to, ours := strings.CutPrefix(p, module+"/")
			if p == module {
				to, ours = ".", true
			}
			if !ours {
				continue
			}
			edge := [2]string{s.dir, to}
			if _, ok := exceptions[edge]; ok {
				used[edge] = true
				continue
			}
			if why := allowed(s.dir, to); why != "" {
				t.Errorf("%s %s", s.name, why)
			}
		}
	}
	for e := range exceptions {
		if !used[e] {
			t.Errorf("%s no longer imports %s: take it off the list of exceptions", e[0], e[1])
		}
	}
}

// The check itself finds what it is for.
func TestFloorsCanFail(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"internal/device/uart", "internal/state", true},
		{"internal/device/uart", "internal/cpu", false},
		{"internal/device/uart", "internal/machine", false},
		{"internal/device/virtio/blk", "internal/device/virtio", true},
		{"internal/cpu/interp", "internal/riscv/hart", true},
		{"internal/riscv/hart", "internal/cpu", false},
		{"internal/memory", "internal/clock", false},
		{"internal/machine", "internal/board", true},
		{"cmd/doppel", ".", true},
		{".", "cmd/doppel", false},
		{"internal/newroom", "internal/state", false},
	} {
		if why := allowed(c.from, c.to); (why == "") != c.ok {
			t.Errorf("%s importing %s: %q", c.from, c.to, why)
		}
	}
}

// Raw system calls and unsafe code live where the list says, and each entry is
// there for a reason that still holds.
var special = map[string]map[string]string{
	"raw system calls": {
		"internal/platform":         "is their home",
		"internal/cpu/cputest":      "the processor time of a thread, for benchmarks",
		"internal/backend/terminal": "terminal modes, window size and signals",
		"internal/backend/block":    "vectored positioned reads and writes, holes",
		"internal/image":            "attributes of files that it imports",
		"internal/image/lock":       "file locks",
		"internal/image/store":      "free space, atomic renames and syncs",
	},
	"unsafe": {
		"internal/memory":     "guest memory, which is outside the Go heap",
		"internal/cpu/interp": "the host addresses of guest memory that its TLBs hold",
		"internal/riscv/hart": "atomic updates of page-table entries",
		"internal/cpu/jit":    "generated code, its tables and the state that it addresses",
		"internal/platform":   "executable memory, mapped twice",
	},
}

// onlyNames tells whether a file takes nothing from package syscall but the
// names of signals and errors.
func onlyNames(f *ast.File) bool {
	ok := true
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, is := n.(*ast.SelectorExpr); is {
			if id, is := sel.X.(*ast.Ident); is && id.Name == "syscall" && !names.MatchString(sel.Sel.Name) {
				ok = false
			}
		}
		return ok
	})
	return ok
}

var names = regexp.MustCompile(`^(SIG[A-Z0-9]+|E[A-Z0-9]+|Errno|Signal)$`)

// TestSpecialImports allows raw system calls and unsafe code in few packages only.
func TestSpecialImports(t *testing.T) {
	used := map[[2]string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, p := range s.imports {
			var kind string
			switch p {
			case "golang.org/x/sys/unix", "golang.org/x/sys/windows":
				kind = "raw system calls"
			case "syscall":
				if onlyNames(s.file) {
					continue
				}
				kind = "raw system calls"
			case "unsafe":
				kind = "unsafe"
			default:
				continue
			}
			if _, ok := special[kind][s.dir]; !ok {
				t.Errorf("%s imports %s: %s have their places, and this is none of them", s.name, p, kind)
			}
			used[[2]string{kind, s.dir}] = true
		}
	}
	for kind, dirs := range special {
		for dir := range dirs {
			if !used[[2]string{kind, dir}] {
				t.Errorf("%s needs no %s any more: take it off the list", dir, kind)
			}
		}
	}
}
