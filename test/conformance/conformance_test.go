package conformance

import (
	"embed"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"doppel/internal/riscv"
	"doppel/test/bare"
)

// Every row of the tables, in M-mode at the start of RAM and in S-mode where a
// kernel starts, whole and an instruction at a time.
func TestInstructions(t *testing.T) {
	all := rows(t)
	t.Logf("%d cases", len(all))
	for _, supervisor := range []bool{false, true} {
		for _, e := range bare.Engines {
			name := e.Name + "/machine"
			if supervisor {
				name = e.Name + "/supervisor"
			}
			t.Run(name, func(t *testing.T) {
				p := assemble(t, source(all), supervisor)
				for _, slice := range []uint64{1 << 20, 1} {
					if why := p.run(t, e, slice, nil); why != "" {
						report(t, all, e, supervisor, why)
						return
					}
				}
				p.move = true
				if why := p.run(t, e, 1+rand.Uint64N(50), nil); why != "" {
					t.Errorf("moved in the middle: %s", why)
				}
			})
		}
	}
}

// report runs the rows one by one, to name all that fail.
func report(t *testing.T, all []row, e bare.Engine, supervisor bool, why string) {
	failed := 0
	for _, r := range all {
		p := assemble(t, source([]row{r}), supervisor)
		if why := p.run(t, e, 1<<20, nil); why != "" {
			failed++
			t.Errorf("%s: %s", r.where, why)
		}
	}
	if failed == 0 {
		if _, n, ok := strings.Cut(why, "case_"); ok {
			n, _, _ = strings.Cut(n, "+")
			if i, err := strconv.Atoi(n); err == nil {
				why = all[i].where + ": " + why
			}
		}
		t.Errorf("fails only among the others: %s", why)
	}
}

//go:embed programs/*.asm
var programFiles embed.FS

// programs are the whole programs; the first line of each says what it checks.
func programs(t *testing.T) map[string]string {
	files, err := programFiles.ReadDir("programs")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		text, err := programFiles.ReadFile("programs/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(f.Name(), ".asm")] = string(text)
	}
	return all
}

func TestPrograms(t *testing.T) {
	for name, text := range programs(t) {
		for _, e := range bare.Engines {
			t.Run(e.Name+"/"+name, func(t *testing.T) {
				p := assemble(t, text, strings.HasPrefix(name, "supervisor"))
				for _, slice := range []uint64{1 << 20, 1, 3} {
					if why := p.run(t, e, slice, nil); why != "" {
						t.Fatalf("%d instructions at a time: %s", slice, why)
					}
				}
				p.move = true
				slice := 1 + rand.Uint64N(20)
				if why := p.run(t, e, slice, nil); why != "" {
					t.Fatalf("moved every %d instructions: %s", slice, why)
				}
			})
		}
	}
}

// Every instruction of the table is executed by some case.
func TestEveryInstructionIsCovered(t *testing.T) {
	seen := map[riscv.Op]bool{}
	e := bare.Engines[0]
	assemble(t, source(rows(t)), false).run(t, e, 1, seen)
	for name, text := range programs(t) {
		assemble(t, text, strings.HasPrefix(name, "supervisor")).run(t, e, 1, seen)
	}
	for op := riscv.ILLEGAL; op < riscv.NumOps; op++ {
		if !seen[op] {
			t.Errorf("no case executes %v (%v)", op, op.Extension())
		}
	}
}

// A wrong result, a trap that does not come and a program that hangs all fail.
func TestHarnessCanFail(t *testing.T) {
	for what, body := range map[string]string{
		"wrong value":   "li a0, 1\n check a0, 2\n",
		"missing trap":  "expect\n nop\n trapped 2, 0\n",
		"wrong cause":   "expect\n ebreak\n trapcause 2\n",
		"endless loop":  "1: j 1b\n",
		"lost in space": "li tp, 0\n .word 0\n",
	} {
		for _, e := range bare.Engines {
			p := assemble(t, body, false)
			p.limit = 50_000 // some never end
			if why := p.run(t, e, 1<<12, nil); why == "" {
				t.Errorf("%s passed", what)
			}
		}
	}
	r, err := parseRow("addi a0, a1, 1 ; a1=1 ; a0=3")
	if err != nil {
		t.Fatal(err)
	}
	r.where = "a wrong row"
	if why := assemble(t, source([]row{r}), false).run(t, bare.Engines[0], 1<<20, nil); why == "" {
		t.Error("a row with a wrong result passed")
	}
}
