package state

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// part is a component with one field of every kind.
type part struct {
	name string
	a    uint8
	b    uint16
	c    uint32
	d    uint64
	e    bool
	f    []byte
	g    [3]uint64
}

func (p *part) StateName() string    { return p.name }
func (p *part) StateVersion() uint32 { return 2 }
func (p *part) Save(e *Encoder) {
	e.U8(p.a)
	e.U16(p.b)
	e.U32(p.c)
	e.U64(p.d)
	e.Bool(p.e)
	e.Bytes(p.f)
	e.U64s(p.g[:])
}
func (p *part) Restore(d *Decoder, version uint32) error {
	p.a, p.b, p.c, p.d, p.e, p.f = d.U8(), d.U16(), d.U32(), d.U64(), d.Bool(), d.Bytes(16)
	d.U64s(p.g[:])
	return d.Err()
}

func samples() []Component {
	return []Component{
		&part{name: "one", a: 1, b: 2, c: 3, d: 4, e: true, f: []byte("five"), g: [3]uint64{6, 7, 8}},
		&part{name: "two", f: []byte{}},
	}
}

func TestRoundTrip(t *testing.T) {
	saved := SaveAll(samples())
	decoded, err := DecodeSections(EncodeSections(saved))
	if err != nil {
		t.Fatal(err)
	}
	fresh := []Component{&part{name: "two"}, &part{name: "one"}}
	if err := RestoreAll(fresh, decoded); err != nil {
		t.Fatal(err)
	}
	again := SaveAll([]Component{fresh[1], fresh[0]})
	if !reflect.DeepEqual(saved, again) {
		t.Errorf("saved again: %v, want %v", again, saved)
	}
}

func TestRestoreErrors(t *testing.T) {
	good := func() []Section { return SaveAll(samples()) }
	for _, c := range []struct {
		name, want string
		change     func([]Section) []Section
	}{
		{"missing", `"two" is missing`, func(s []Section) []Section { return s[:1] }},
		{"twice", "occurs twice", func(s []Section) []Section { return append(s, s[0]) }},
		{"unknown", "no component", func(s []Section) []Section { return append(s, Section{Name: "x", Version: 1}) }},
		{"newer", "reads 1 to 2", func(s []Section) []Section { s[0].Version = 3; return s }},
		{"version 0", "reads 1 to 2", func(s []Section) []Section { s[0].Version = 0; return s }},
		{"truncated", "truncated", func(s []Section) []Section { s[0].Data = s[0].Data[:9]; return s }},
		{"left over", "left over", func(s []Section) []Section { s[0].Data = append(s[0].Data, 0); return s }},
		{"boolean", "want 0 or 1", func(s []Section) []Section { s[0].Data[15] = 7; return s }},
		{"length", "over the limit", func(s []Section) []Section { s[0].Data[17] = 0xff; return s }},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := RestoreAll(samples(), c.change(good()))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func FuzzDecodeSections(f *testing.F) {
	f.Add(EncodeSections(SaveAll(samples())))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSections(b)
		if err != nil {
			return
		}
		if got := EncodeSections(s); !bytes.Equal(got, b) {
			t.Errorf("decoded and encoded again: %x, want %x", got, b)
		}
		RestoreAll(samples(), s)
	})
}
