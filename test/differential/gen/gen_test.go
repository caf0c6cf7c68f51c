package gen

import (
	"reflect"
	"testing"

	"doppel/internal/riscv"
)

func all(riscv.Extension) bool { return true }

// Every instruction of the table is either generated or on the list of those
// that are not, with its reason: there are no silent gaps.
func TestCoverage(t *testing.T) {
	g := New(1, Config{Scratch: 0x8010_0000, Has: all, Length: 40})
	seen := map[riscv.Op]bool{}
	var compressed int
	for range 3000 {
		for _, c := range g.Next().Code {
			i := c.Inst()
			seen[i.Op] = true
			if i.Len != c.Len {
				t.Fatalf("%#x decodes to %d bytes, generated with %d", c.Raw, i.Len, c.Len)
			}
			if c.Len == 2 {
				compressed++
			}
		}
	}
	if seen[riscv.ILLEGAL] {
		t.Error("generated an illegal instruction")
	}
	if compressed == 0 {
		t.Error("generated nothing compressed")
	}
	for op := riscv.ILLEGAL + 1; op < riscv.NumOps; op++ {
		if _, out := Excluded[op]; seen[op] == out {
			t.Errorf("%v: generated %v, excluded %v", op, seen[op], out)
		}
	}
}

// The same seed gives the same programs, another seed others.
func TestSeed(t *testing.T) {
	cfg := Config{Scratch: 0x8010_0000, Has: all, Length: 20}
	a, b, c := New(7, cfg), New(7, cfg), New(8, cfg)
	for range 20 {
		p, q, r := a.Next(), b.Next(), c.Next()
		if !reflect.DeepEqual(p, q) {
			t.Fatal("one seed gave two programs")
		}
		if reflect.DeepEqual(p, r) {
			t.Fatal("two seeds gave one program")
		}
	}
}

// Without extensions beyond the base there are none in the programs, in
// compressed form neither.
func TestExtensions(t *testing.T) {
	base := func(e riscv.Extension) bool {
		return e == riscv.ExtI || e == riscv.ExtM || e == riscv.ExtC
	}
	g := New(3, Config{Scratch: 0x8010_0000, Has: base, Length: 40})
	for range 500 {
		for _, c := range g.Next().Code {
			if i := c.Inst(); !base(i.Op.Extension()) {
				t.Fatalf("%s is of %v", i.Disassemble(0), i.Op.Extension())
			}
		}
	}
}
