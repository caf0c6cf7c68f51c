package apt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"doppel/internal/image/deb"
)

func sortPackages(list []*Package) {
	slices.SortFunc(list, func(a, b *Package) int { return strings.Compare(a.Name, b.Name) })
}

// priorities ranks packages where any of several would do (debian-policy §2.5).
var priorities = map[string]int{"required": 0, "important": 1, "standard": 2, "optional": 3, "extra": 4}

func rank(p *Package) int {
	if r, ok := priorities[p.Priority]; ok {
		return r
	}
	return 5
}

func sortProviders(list []provider) {
	slices.SortFunc(list, func(a, b provider) int {
		return cmp.Or(cmp.Compare(rank(a.pkg), rank(b.pkg)), strings.Compare(a.pkg.Name, b.pkg.Name))
	})
}

// resolver grows a set of packages. It takes the first alternative that exists and fits, as debootstrap does, and never
// goes back on a choice; a conflict is reported, not searched around.
type resolver struct {
	x      *Index
	chosen map[string]*Package
	queue  []request
	avoid  map[string]bool
}

type request struct {
	group []deb.Relation
	by    string
}

// Resolve gives the packages wanted, essential ones included when asked, and all that they depend on, sorted by name.
// Recommended packages are left out. Names in avoid are never taken.
func (x *Index) Resolve(want []string, essential bool, avoid ...string) ([]*Package, error) {
	r := &resolver{x: x, chosen: map[string]*Package{}, avoid: map[string]bool{}}
	for _, a := range avoid {
		r.avoid[a] = true
	}
	if essential {
		for _, p := range x.essential {
			if err := r.add(p); err != nil {
				return nil, err
			}
		}
	}
	// What is named goes first: it may satisfy the dependencies of the rest.
	for _, name := range want {
		rel, err := deb.ParseRelations(name)
		if err != nil || len(rel) != 1 {
			return nil, fmt.Errorf("package name %q in --packages cannot be read; give names divided by commas", name)
		}
		p := r.candidate(rel[0][0])
		if p == nil {
			return nil, fmt.Errorf("package %q in --packages is not in the archive for this architecture; check the name", name)
		}
		if err := r.add(p); err != nil {
			return nil, err
		}
	}
	for len(r.queue) > 0 {
		q := r.queue[0]
		r.queue = r.queue[1:]
		if err := r.satisfy(q); err != nil {
			return nil, err
		}
	}
	out := make([]*Package, 0, len(r.chosen))
	for _, p := range r.chosen {
		out = append(out, p)
	}
	sortPackages(out)
	return out, r.checkConflicts(out)
}

func (r *resolver) add(p *Package) error {
	if r.chosen[p.Name] != nil {
		return nil
	}
	r.chosen[p.Name] = p
	for _, field := range []string{p.PreDepends, p.Depends} {
		groups, err := deb.ParseRelations(field)
		if err != nil {
			return fmt.Errorf("package %s: %w; choose another mirror", p.Name, err)
		}
		for _, g := range groups {
			r.queue = append(r.queue, request{g, p.Name})
		}
	}
	return nil
}

func (r *resolver) satisfy(q request) error {
	for _, alt := range q.group {
		if r.satisfied(alt) {
			return nil
		}
	}
	for _, alt := range q.group {
		if p := r.candidate(alt); p != nil && !r.conflicting(p) {
			return r.add(p)
		}
	}
	var names []string
	for _, alt := range q.group {
		names = append(names, alt.String())
	}
	return fmt.Errorf("package %s needs %s, which the archive does not have; leave %s out of --packages or choose another suite",
		q.by, strings.Join(names, " or "), q.by)
}

// satisfied tells whether what is chosen already fulfils a relation.
func (r *resolver) satisfied(rel deb.Relation) bool {
	if p := r.chosen[rel.Name]; p != nil && deb.Satisfies(p.Version, rel.Op, rel.Version) {
		return true
	}
	for _, pr := range r.x.providers[rel.Name] {
		if r.chosen[pr.pkg.Name] == pr.pkg && provides(pr, rel) {
			return true
		}
	}
	return false
}

// provides obeys debian-policy §7.5: a versioned dependency needs a versioned provision.
func provides(pr provider, rel deb.Relation) bool {
	return rel.Op == "" || pr.version != "" && deb.Satisfies(pr.version, rel.Op, rel.Version)
}

// candidate gives the package to take for a relation: the real one, else the best provider.
func (r *resolver) candidate(rel deb.Relation) *Package {
	if p := r.x.packages[rel.Name]; p != nil && !r.avoid[p.Name] && deb.Satisfies(p.Version, rel.Op, rel.Version) {
		return p
	}
	for _, pr := range r.x.providers[rel.Name] {
		if !r.avoid[pr.pkg.Name] && provides(pr, rel) && !r.conflicting(pr.pkg) {
			return pr.pkg
		}
	}
	return nil
}

// conflicting tells whether p and a chosen package exclude one another.
func (r *resolver) conflicting(p *Package) bool {
	for _, c := range r.chosen {
		if c != p && (r.excludes(c, p) || r.excludes(p, c)) {
			return true
		}
	}
	return false
}

// excludes tells whether a's Conflicts or Breaks name b, itself or what it provides. A package does not conflict with
// itself (debian-policy §7.6.2).
func (r *resolver) excludes(a, b *Package) bool {
	for _, field := range []string{a.Conflicts, a.Breaks} {
		if field == "" {
			continue
		}
		groups, err := deb.ParseRelations(field)
		if err != nil {
			continue
		}
		for _, g := range groups {
			rel := g[0]
			if rel.Name == b.Name && deb.Satisfies(b.Version, rel.Op, rel.Version) {
				return true
			}
			for _, pr := range r.x.providers[rel.Name] {
				if pr.pkg == b && provides(pr, rel) {
					return true
				}
			}
		}
	}
	return false
}

func (r *resolver) checkConflicts(all []*Package) error {
	for _, a := range all {
		for _, b := range all {
			if a != b && r.excludes(a, b) {
				return fmt.Errorf("packages %s and %s exclude one another; leave one out of --packages", a.Name, b.Name)
			}
		}
	}
	return nil
}
