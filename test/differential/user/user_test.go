package user

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
	"doppel/test/differential/gen"
	"doppel/test/differential/repeat"
	"doppel/test/oracle"
)

// qemu finds user-mode QEMU, or skips the test.
func qemu(t *testing.T) *oracle.QEMU {
	q, err := oracle.User()
	if err != nil {
		t.Skip(err)
	}
	return q
}

func TestAgainstQEMU(t *testing.T) {
	q := qemu(t)
	t.Logf("comparing with user-mode %v", q)
	s := repeat.Seed(t)
	g := gen.New(s, gen.Config{Scratch: scratchAt, Has: has(q), Avoid: avoid(q), Keep: keep(q), Length: 24})
	const batch = 1000
	for first, n := 0, repeat.Count(t, 4000, 500); first < n; first += batch {
		var programs []*gen.Program
		for range min(batch, n-first) {
			programs = append(programs, g.Next())
		}
		if !compare(t, q, programs, first) {
			return // one report is enough, the rest may be of the same cause
		}
	}
}

// compare runs the programs on QEMU and every engine in every mode.
func compare(t *testing.T, q *oracle.QEMU, programs []*gen.Program, first int) bool {
	im := build(programs)
	want, err := runQEMU(t.TempDir(), q, im)
	if err != nil {
		n := len(want)
		t.Errorf("program %d does not end on QEMU: %v\n%s", first+n, err, programs[min(n, len(programs)-1)].Disassemble(im.at[min(n, len(programs)-1)]))
		return false
	}
	for _, e := range bare.Engines {
		for _, mode := range Modes {
			got, err := runEngine(t, e, im, mode, 1<<20)
			for i := range programs {
				if difference(want[i], got[i]) != "" {
					report(t, q, e, mode, programs[i], first+i)
					return false
				}
			}
			if err != nil {
				t.Errorf("%s in %v: %v", e.Name, mode, err)
				return false
			}
		}
	}
	return true
}

// report fails the test with the smallest program that shows the difference.
func report(t *testing.T, q *oracle.QEMU, e bare.Engine, mode Mode, p *gen.Program, index int) {
	differs := func(cand []*gen.Program) []bool {
		out := make([]bool, len(cand))
		for i, c := range cand {
			im := build([]*gen.Program{c})
			want, err := runQEMU(t.TempDir(), q, im)
			if err != nil {
				continue // a candidate may run wild: not what is looked for
			}
			got, _ := runEngine(t, e, im, mode, 1<<20)
			out[i] = difference(want[0], got[0]) != ""
			if out[i] {
				break
			}
		}
		return out
	}
	small := minimize(p, differs)
	im := build([]*gen.Program{small})
	text := "(not alone: it depends on programs before it)\n"
	if want, err := runQEMU(t.TempDir(), q, im); err == nil {
		got, err := runEngine(t, e, im, mode, 1<<20)
		if d := difference(want[0], got[0]); d != "" {
			text = d
		}
		if err != nil {
			text += fmt.Sprintf("  engine: %v\n", err)
		}
	}
	t.Errorf("program %d differs on %s in %v\nat the start:\n%sthe instructions that matter:\n%sat the end:\n%sthe whole program:\n%s",
		index, e.Name, mode, inputs(small), small.Disassemble(im.at[0]), text, p.Disassemble(im.at[0]))
}

// Each flaw of QEMU on the list is there, and the engines do not share it.
func TestFlaws(t *testing.T) {
	q := qemu(t)
	for _, f := range flaws {
		if q.Major < f.since {
			continue
		}
		p := &gen.Program{}
		code := asm.MustAssemble(f.show, asm.Options{}).Code
		for len(code) > 0 {
			raw := binary.LittleEndian.Uint32(code)
			p.Code = append(p.Code, gen.Code{Raw: raw, Len: 4})
			code = code[4:]
		}
		p.X[2], p.X[10], p.F[10] = scratchAt, f.input, f.input
		binary.LittleEndian.PutUint64(p.Scratch[:], f.input)
		im := build([]*gen.Program{p})
		want, err := runQEMU(t.TempDir(), q, im)
		if err != nil {
			continue // it died of it: a flaw indeed
		}
		for _, e := range bare.Engines {
			got, err := runEngine(t, e, im, User, 1<<20)
			if err != nil {
				t.Errorf("%s: %s: %v", f.name, e.Name, err)
			}
			if difference(want[0], got[0]) == "" {
				t.Errorf("%s: %v and %s agree: take it off the list", f.name, q, e.Name)
			}
		}
	}
}

// Any division of the run into slices gives the same states, also if the
// processor is saved and another restored between them.
func TestSlices(t *testing.T) {
	g := gen.New(repeat.Seed(t), gen.Config{Scratch: scratchAt, Has: func(riscv.Extension) bool { return true }, Length: 24})
	var programs []*gen.Program
	for range 60 {
		programs = append(programs, g.Next())
	}
	im := build(programs)
	for _, e := range bare.Engines {
		want, err := runEngine(t, e, im, UserSv39, 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		for n, slice := range []uint64{1, 2, 3, 7, 64, 1009, 211, 997} {
			got, err := runMachine(t, e, im, UserSv39, slice, n > 5)
			if err != nil {
				t.Errorf("%s, %d instructions at a time: %v", e.Name, slice, err)
			}
			for i := range programs {
				if d := difference(want[i], got[i]); d != "" {
					t.Fatalf("%s, %d instructions at a time, program %d:\n%s%s", e.Name, slice, i, programs[i].Disassemble(im.at[i]),
						strings.ReplaceAll(d, "QEMU", "whole"))
				}
			}
		}
	}
}

// The comparison sees a difference in every part of the state, and the
// minimizer finds the one instruction that makes it.
func TestComparisonCanFail(t *testing.T) {
	a := make(record, recordSize)
	for _, at := range []int{blockX + 8, blockX + 31*8, blockF, blockF + 31*8 + 7, blockFCSR, blockScratch, recordSize - 1} {
		b := append(record(nil), a...)
		b[at] ^= 0x40
		if difference(a, b) == "" {
			t.Errorf("a difference at byte %d of the record went unseen", at)
		}
	}
	g := gen.New(5, gen.Config{Scratch: scratchAt, Has: func(riscv.Extension) bool { return true }, Length: 24})
	p := g.Next()
	bad := len(p.Code) / 2
	p.Code[bad] = gen.Code{Raw: 0x00b5_0533, Len: 4} // add a0, a0, a1
	small := minimize(p, func(cand []*gen.Program) []bool {
		out := make([]bool, len(cand))
		for i, c := range cand {
			out[i] = c.Code[bad] == p.Code[bad]
		}
		return out
	})
	if n := strings.Count(small.Disassemble(0), "\n"); n != 1 {
		t.Errorf("minimized to %d instructions:\n%s", n, small.Disassemble(0))
	}
}
