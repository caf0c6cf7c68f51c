package kmod

import (
	"bytes"
	"fmt"
	"strings"
)

// Index makes the files that depmod would put beside a kernel's modules. modules must be in the order of the kernel's
// modules.order, which decides between drivers that answer to the same alias; builtin and builtinInfo are the kernel's
// files modules.builtin and modules.builtin.modinfo.
func Index(modules []*Module, builtin, builtinInfo []byte) (map[string][]byte, error) {
	byName := make(map[string]*Module, len(modules))
	for _, m := range modules {
		byName[m.Name] = m
	}
	var dep, alias, softdep, devname bytes.Buffer
	alias.WriteString("# Aliases extracted from modules themselves.\n")
	softdep.WriteString("# Soft dependencies extracted from modules themselves.\n")
	devname.WriteString("# Device nodes to trigger on-demand module loading.\n")
	var depIndex, aliasIndex []indexEntry
	for i, m := range modules {
		line, err := depLine(m, byName)
		if err != nil {
			return nil, err
		}
		dep.WriteString(line + "\n")
		depIndex = append(depIndex, indexEntry{m.Name, line, uint32(i)})
		for _, a := range m.Aliases {
			fmt.Fprintf(&alias, "alias %s %s\n", a, m.Name)
			aliasIndex = append(aliasIndex, indexEntry{normalize(a), m.Name, uint32(i)})
		}
		for _, s := range m.Softdep {
			fmt.Fprintf(&softdep, "softdep %s %s\n", m.Name, s)
		}
		devname.WriteString(devnameLine(m))
	}
	builtinIndex, builtinAlias := builtins(builtin, builtinInfo)
	return map[string][]byte{
		"modules.dep":               dep.Bytes(),
		"modules.dep.bin":           buildIndex(depIndex),
		"modules.alias":             alias.Bytes(),
		"modules.alias.bin":         buildIndex(aliasIndex),
		"modules.softdep":           softdep.Bytes(),
		"modules.devname":           devname.Bytes(),
		"modules.symbols":           []byte("# Aliases for symbols, used by symbol_request().\n"),
		"modules.symbols.bin":       buildIndex(nil),
		"modules.builtin.bin":       buildIndex(builtinIndex),
		"modules.builtin.alias.bin": buildIndex(builtinAlias),
	}, nil
}

// depLine gives a module's line of modules.dep: its path, then all that it needs, what is to be loaded first last.
func depLine(m *Module, byName map[string]*Module) (string, error) {
	var order []*Module
	seen := map[*Module]bool{m: true}
	var visit func(m *Module, depth int) error
	visit = func(m *Module, depth int) error {
		if depth > 64 {
			return fmt.Errorf("module %s: the dependencies are too deep", m.Name)
		}
		for _, name := range m.Depends {
			d := byName[name]
			if d == nil || seen[d] { // one that is missing makes loading fail, as it must, not indexing
				continue
			}
			seen[d] = true
			if err := visit(d, depth+1); err != nil {
				return err
			}
			order = append(order, d)
		}
		return nil
	}
	if err := visit(m, 0); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(m.Path + ":")
	for i := len(order) - 1; i >= 0; i-- {
		b.WriteString(" " + order[i].Path)
	}
	return b.String(), nil
}

// normalize writes an alias as libkmod asks for it: dashes as underscores except inside brackets.
func normalize(alias string) string {
	b := []byte(alias)
	inside := false
	for i, c := range b {
		switch {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case c == '-' && !inside:
			b[i] = '_'
		}
	}
	return string(b)
}

// devnameLine gives the device node by which a module is loaded on demand, where it names one and its number.
func devnameLine(m *Module) string {
	var node, number string
	for _, a := range m.Aliases {
		var major, minor uint
		if n, ok := strings.CutPrefix(a, "devname:"); ok {
			node = n
		} else if n, _ := fmt.Sscanf(a, "char-major-%d-%d", &major, &minor); n == 2 {
			number = fmt.Sprintf("c%d:%d", major, minor)
		} else if n, _ := fmt.Sscanf(a, "block-major-%d-%d", &major, &minor); n == 2 {
			number = fmt.Sprintf("b%d:%d", major, minor)
		}
	}
	if node == "" || number == "" {
		return ""
	}
	return fmt.Sprintf("%s %s %s\n", m.Name, node, number)
}

// builtins indexes what the kernel has built in, so that modprobe is content with it.
func builtins(list, info []byte) (names, aliases []indexEntry) {
	for line := range bytes.Lines(list) {
		if path := strings.TrimSpace(string(line)); path != "" {
			names = append(names, indexEntry{key: NameOf(path)})
		}
	}
	for item := range bytes.SplitSeq(info, []byte{0}) { // "module.alias=value"
		name, rest, ok := strings.Cut(string(item), ".")
		if value, isAlias := strings.CutPrefix(rest, "alias="); ok && isAlias {
			aliases = append(aliases, indexEntry{key: normalize(value), value: NameOf(name)})
		}
	}
	return names, aliases
}
