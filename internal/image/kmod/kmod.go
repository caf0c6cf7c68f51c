// Package kmod reads kernel modules: what each needs and answers to. From that it gives the order in which to load some of
// them, and the indices that depmod would make, so that a guest need not run depmod itself.
//
// It loads nothing.
//
// The functions may be called from any goroutine. There are no locks.
package kmod

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"doppel/internal/image/compress"
)

// Module is one module with what its .modinfo section says.
type Module struct {
	Name    string // as lsmod writes it, with underscores
	Path    string // below the folder of the kernel's modules
	Depends []string
	Softdep []string // lines "pre: a b post: c"
	Aliases []string
}

// maxModule bounds one decompressed module; the largest of Debian's are below 20 MiB.
const maxModule = 64 << 20

// NameOf gives a module's name from its file's.
func NameOf(file string) string {
	base := path.Base(file)
	if i := strings.Index(base, ".ko"); i >= 0 {
		base = base[:i]
	}
	return strings.ReplaceAll(base, "-", "_")
}

// IsModule tells whether a file name is that of a module, compressed or not.
func IsModule(file string) bool {
	for _, suffix := range []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"} {
		if strings.HasSuffix(file, suffix) {
			return true
		}
	}
	return false
}

// Read decompresses a module's file.
func Read(r io.Reader) ([]byte, error) {
	zr, done, err := compress.Reader(r)
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := io.ReadAll(io.LimitReader(zr, maxModule+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxModule {
		return nil, fmt.Errorf("the module is larger than %d MiB", maxModule>>20)
	}
	return data, nil
}

// Parse reads the .modinfo section of a decompressed module.
func Parse(file string, data []byte) (*Module, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("module %s is not ELF: %w", file, err)
	}
	s := f.Section(".modinfo")
	if s == nil || s.Size > uint64(len(data)) {
		return nil, fmt.Errorf("module %s has no .modinfo section", file)
	}
	info, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", file, err)
	}
	m := &Module{Name: NameOf(file), Path: file}
	for item := range bytes.SplitSeq(info, []byte{0}) {
		key, value, _ := strings.Cut(string(item), "=")
		switch key {
		case "depends":
			for d := range strings.SplitSeq(value, ",") {
				if d != "" {
					m.Depends = append(m.Depends, strings.ReplaceAll(d, "-", "_"))
				}
			}
		case "softdep":
			m.Softdep = append(m.Softdep, value)
		case "alias":
			m.Aliases = append(m.Aliases, value)
		}
	}
	return m, nil
}

// pre gives the modules to load first where they exist.
func (m *Module) pre() []string {
	var out []string
	for _, line := range m.Softdep {
		on := false
		for w := range strings.FieldsSeq(line) {
			switch {
			case w == "pre:":
				on = true
			case strings.HasSuffix(w, ":"):
				on = false
			case on:
				out = append(out, strings.ReplaceAll(w, "-", "_"))
			}
		}
	}
	return out
}

// ErrMissing says that a kernel has no module of a name.
var ErrMissing = errors.New("the kernel package has no such module")

// Order gives the modules to load for the names wanted, each after what it needs. get gives a module by name, or
// ErrMissing; a wanted name that is missing is taken to be built into the kernel.
func Order(names []string, get func(name string) (*Module, error)) ([]*Module, error) {
	var out []*Module
	seen := map[string]bool{}
	var visit func(name string, must bool, depth int) error
	visit = func(name string, must bool, depth int) error {
		if seen[name] {
			return nil
		}
		if depth > 64 {
			return fmt.Errorf("module %s: the dependencies are too deep", name)
		}
		seen[name] = true
		m, err := get(name)
		if errors.Is(err, ErrMissing) && !must {
			return nil
		}
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		for _, d := range m.pre() {
			if err := visit(d, false, depth+1); err != nil {
				return err
			}
		}
		for _, d := range m.Depends {
			if err := visit(d, true, depth+1); err != nil {
				return err
			}
		}
		out = append(out, m)
		return nil
	}
	for _, name := range names {
		if err := visit(strings.ReplaceAll(name, "-", "_"), false, 0); err != nil {
			return nil, err
		}
	}
	return out, nil
}
