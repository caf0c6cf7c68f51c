package sevensteps

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Param is something that a reader can change in a step.
type Param struct {
	Name    string
	Symbol  string // the constant in the guest's source, "" if it is the VMM's
	Default string
	Help    string
	kind    kind
}

// kind reads a parameter's value. A guest sees the first number.
type kind interface {
	parse(text string) ([]int64, error)
}

// number is a number within bounds.
type number struct{ least, most int64 }

func (k number) parse(text string) ([]int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < k.least || n > k.most {
		return nil, fmt.Errorf("want a number from %d to %d", k.least, k.most)
	}
	return []int64{n}, nil
}

// span is a duration within bounds; a guest sees it in ticks of the time CSR.
type span struct{ least, most float64 }

// tick is what the time CSR counts in.
const tick = 100 * time.Nanosecond

func (k span) parse(text string) ([]int64, error) {
	d, err := time.ParseDuration(text)
	if err != nil || float64(d) < k.least || float64(d) > k.most {
		return nil, fmt.Errorf("want a duration from %v to %v, such as 5ms", time.Duration(k.least), time.Duration(k.most))
	}
	return []int64{int64(d / tick)}, nil
}

// list is some numbers within bounds, with commas.
type list struct{ many, least, most int64 }

func (k list) parse(text string) (all []int64, err error) {
	for _, s := range strings.Split(text, ",") {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < k.least || n > k.most || len(all) == int(k.many) {
			return nil, fmt.Errorf("want up to %d numbers from %d to %d, with commas, such as 1,2,4", k.many, k.least, k.most)
		}
		all = append(all, n)
	}
	return all, nil
}

// values are the parameters of a run.
type values map[string][]int64

// one is a parameter that is a number.
func (v values) one(name string) int { return int(v[name][0]) }

// span is a parameter that is a duration.
func (v values) span(name string) time.Duration { return time.Duration(v[name][0]) * tick }

// parse gives each parameter the value of set, or its default.
func (s *Step) parse(set map[string]string) (values, error) {
	v := values{}
	for _, p := range s.Params {
		text, changed := set[p.Name]
		if !changed {
			text = p.Default
		}
		n, err := p.kind.parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s=%s: %w", p.Name, text, err)
		}
		v[p.Name] = n
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, known := v[name]; !known {
			return nil, fmt.Errorf("%s: step %d has no such parameter; it has %s", name, s.Number, s.paramNames())
		}
	}
	return v, nil
}

func (s *Step) paramNames() string {
	var names []string
	for _, p := range s.Params {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// symbols are the constants that the guest's source may use.
func (s *Step) symbols(v values) map[string]uint64 {
	all := map[string]uint64{}
	for _, p := range s.Params {
		if p.Symbol != "" {
			all[p.Symbol] = uint64(v[p.Name][0])
		}
	}
	return all
}
