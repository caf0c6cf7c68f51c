package apt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"doppel/internal/image/deb"
)

// Package is one entry of a Packages index.
type Package struct {
	Name, Version, Arch string
	MultiArch           string
	Priority            string
	Essential           bool
	PreDepends, Depends string
	Conflicts, Breaks   string
	Provides            string
	Filename, SHA256    string
	Size                int64
	InstalledKiB        int64
}

// Index is the packages of one suite and architecture.
type Index struct {
	packages  map[string]*Package // the newest of each name
	providers map[string][]provider
	essential []*Package
}

type provider struct {
	pkg     *Package
	version string // of what is provided; empty for none
}

const (
	maxIndexPackages = 1 << 20
	maxProvides      = 4096
)

// ParseIndex reads a Packages file.
func ParseIndex(r io.Reader) (*Index, error) {
	x := &Index{packages: map[string]*Package{}, providers: map[string][]provider{}}
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 256<<10), 1<<20)
	var p Package
	line := 0
	end := func() error {
		if p == (Package{}) {
			return nil
		}
		if p.Name == "" || p.Version == "" {
			return fmt.Errorf("the package index has an entry without name or version before line %d", line)
		}
		if len(x.packages) >= maxIndexPackages {
			return errors.New("the package index has too many entries")
		}
		if old := x.packages[p.Name]; old == nil || deb.CompareVersions(old.Version, p.Version) < 0 {
			q := p
			x.packages[p.Name] = &q
		}
		p = Package{}
		return nil
	}
	for sc.Scan() {
		line++
		b := sc.Bytes()
		if len(b) == 0 {
			if err := end(); err != nil {
				return nil, err
			}
			continue
		}
		if b[0] == ' ' || b[0] == '\t' {
			continue // no field that we read spans lines
		}
		if err := p.set(b); err != nil {
			return nil, fmt.Errorf("line %d of the package index: %w", line, err)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("line %d of the package index: %w", line+1, err)
	}
	if err := end(); err != nil {
		return nil, err
	}
	return x, x.link()
}

// set stores one "Name: value" line.
func (p *Package) set(b []byte) error {
	i := strings.IndexByte(string(b[:min(len(b), 64)]), ':')
	if i <= 0 {
		return errors.New("it is not a field")
	}
	value := func() string { return strings.TrimSpace(string(b[i+1:])) }
	var err error
	switch string(b[:i]) {
	case "Package":
		p.Name = value()
	case "Version":
		p.Version = value()
	case "Architecture":
		p.Arch = value()
	case "Multi-Arch":
		p.MultiArch = value()
	case "Priority":
		p.Priority = value()
	case "Essential":
		p.Essential = value() == "yes"
	case "Pre-Depends":
		p.PreDepends = value()
	case "Depends":
		p.Depends = value()
	case "Conflicts":
		p.Conflicts = value()
	case "Breaks":
		p.Breaks = value()
	case "Provides":
		p.Provides = value()
	case "Filename":
		p.Filename = value()
	case "SHA256":
		p.SHA256 = strings.ToLower(value())
	case "Size":
		p.Size, err = strconv.ParseInt(value(), 10, 64)
	case "Installed-Size":
		p.InstalledKiB, err = strconv.ParseInt(value(), 10, 64)
	}
	if err != nil || p.Size < 0 || p.InstalledKiB < 0 {
		return fmt.Errorf("%q is not a size", value())
	}
	return nil
}

// link makes the lists that span packages.
func (x *Index) link() error {
	for _, p := range x.packages {
		if p.Essential {
			x.essential = append(x.essential, p)
		}
		if p.Provides == "" {
			continue
		}
		groups, err := deb.ParseRelations(p.Provides)
		if err != nil || len(groups) > maxProvides {
			return fmt.Errorf("package %s provides what cannot be read: %q", p.Name, p.Provides)
		}
		for _, g := range groups {
			x.providers[g[0].Name] = append(x.providers[g[0].Name], provider{p, g[0].Version})
		}
	}
	sortPackages(x.essential)
	for _, list := range x.providers {
		sortProviders(list)
	}
	return nil
}

// Lookup gives the newest package of this name, or nil.
func (x *Index) Lookup(name string) *Package { return x.packages[name] }

// Len gives the number of packages.
func (x *Index) Len() int { return len(x.packages) }
