package state

import "fmt"

// Limits on what a stream may claim.
const (
	MaxSectionBytes = 16 << 20
	MaxNameBytes    = 64
	MaxSections     = 4096
)

// Section is one component's saved state.
type Section struct {
	Name    string
	Version uint32
	Data    []byte
}

// SaveAll saves components in order.
func SaveAll(cs []Component) []Section {
	out := make([]Section, 0, len(cs))
	for _, c := range cs {
		var e Encoder
		c.Save(&e)
		out = append(out, Section{c.StateName(), c.StateVersion(), e.Data()})
	}
	return out
}

// RestoreAll gives each section to the component of its name. Every component
// must have a section and every section a component.
func RestoreAll(cs []Component, sections []Section) error {
	byName := make(map[string]Section, len(sections))
	for _, s := range sections {
		if _, dup := byName[s.Name]; dup {
			return fmt.Errorf("section %q occurs twice", s.Name)
		}
		byName[s.Name] = s
	}
	for _, c := range cs {
		s, ok := byName[c.StateName()]
		if !ok {
			return fmt.Errorf("section %q is missing", c.StateName())
		}
		delete(byName, s.Name)
		if s.Version == 0 || s.Version > c.StateVersion() {
			return fmt.Errorf("section %q has version %d; this build reads 1 to %d", s.Name, s.Version, c.StateVersion())
		}
		d := NewDecoder(s.Data)
		if err := c.Restore(d, s.Version); err != nil {
			return fmt.Errorf("section %q: %w", s.Name, err)
		}
		if err := d.Done(); err != nil {
			return fmt.Errorf("section %q: %w", s.Name, err)
		}
	}
	for name := range byName {
		return fmt.Errorf("section %q belongs to no component of this machine", name)
	}
	return nil
}

// EncodeSections writes sections to one byte string.
func EncodeSections(sections []Section) []byte {
	var e Encoder
	e.U32(uint32(len(sections)))
	for _, s := range sections {
		e.String(s.Name)
		e.U32(s.Version)
		e.Bytes(s.Data)
	}
	return e.Data()
}

// DecodeSections reads what EncodeSections wrote, from an untrusted source.
func DecodeSections(b []byte) ([]Section, error) {
	d := NewDecoder(b)
	n := d.U32()
	if n > MaxSections {
		d.Failf("%d sections, over the limit of %d", n, MaxSections)
		n = 0
	}
	var out []Section
	for range n {
		s := Section{Name: d.String(MaxNameBytes), Version: d.U32(), Data: d.Bytes(MaxSectionBytes)}
		if d.Err() != nil {
			break
		}
		out = append(out, s)
	}
	if err := d.Done(); err != nil {
		return nil, err
	}
	return out, nil
}
