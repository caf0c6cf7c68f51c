package litmus

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
)

//go:embed driver.asm
var driver string

const (
	variablesAt = bare.Base + 0x10_0000
	resultsAt   = bare.Base + 0x80_0000
	finisher    = 0x10_0000
)

// read is what one hart's part left in a2 to a5.
type read [4]uint64

// shape is a litmus test: what each hart runs, and which outcomes are
// forbidden. x is at a0, y at a1, z at a6; t2 is 1 and t3 is 2. final are x and y at the
// end of the round.
type shape struct {
	name      string
	parts     []string
	forbidden func(r []read, x, y uint64) bool
}

// lock takes x's lower word, increments the upper one with plain accesses, and
// gives the lock back.
const lock = "1: lr.w.aq t4, (a0)\n bnez t4, 1b\n sc.w t5, t2, (a0)\n bnez t5, 1b\n" +
	"lw t6, 4(a0)\n addi t6, t6, 1\n sw t6, 4(a0)\n amoswap.w.rl zero, zero, (a0)"

// ticket takes a number from z, waits for it in x, and increments y.
const ticket = "amoadd.w a2, t2, (a6)\n1: lw t4, (a0)\n bne t4, a2, 1b\n fence r, rw\n" +
	"ld t6, (a1)\n addi t6, t6, 1\n sd t6, (a1)\n fence rw, w\n addi t4, a2, 1\n sw t4, (a0)"

var shapes = []shape{
	{"SB with fences", []string{
		"sw t2, (a0)\n fence rw, rw\n lw a2, (a1)",
		"sw t2, (a1)\n fence rw, rw\n lw a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 0 && r[1][0] == 0 }},
	{"SB with fence w,r", []string{
		"sd t2, (a0)\n fence w, r\n ld a2, (a1)",
		"sd t2, (a1)\n fence w, r\n ld a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 0 && r[1][0] == 0 }},
	{"SB with AMOs aqrl", []string{
		"amoswap.w.aqrl zero, t2, (a0)\n lr.w.aqrl a2, (a1)",
		"amoswap.w.aqrl zero, t2, (a1)\n lr.w.aqrl a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 0 && r[1][0] == 0 }},
	{"SB with LR aqrl", []string{
		"sw t2, (a0)\n lr.w.aqrl a2, (a1)",
		"sw t2, (a1)\n lr.w.aqrl a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 0 && r[1][0] == 0 }},
	{"MP with fences", []string{
		"sw t2, (a0)\n fence w, w\n sw t2, (a1)",
		"lw a2, (a1)\n fence r, r\n lw a3, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[1][1] == 0 }},
	{"MP with fence.tso", []string{
		"sw t2, (a0)\n fence.tso\n sw t2, (a1)",
		"lw a2, (a1)\n fence.tso\n lw a3, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[1][1] == 0 }},
	{"MP with release and acquire", []string{
		"sw t2, (a0)\n amoswap.w.rl zero, t2, (a1)",
		"lr.w.aq a2, (a1)\n lw a3, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[1][1] == 0 }},
	{"MP with an address dependency", []string{
		"sd t2, (a0)\n fence w, w\n sd t2, (a1)",
		"ld a2, (a1)\n xor a4, a2, a2\n add a4, a4, a0\n ld a3, (a4)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[1][1] == 0 }},
	{"LB with data dependencies", []string{
		"lw a2, (a0)\n sw a2, (a1)",
		"lw a2, (a1)\n sw a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] != 0 || r[1][0] != 0 }},
	{"LB with fences", []string{
		"lw a2, (a0)\n fence r, w\n sw t2, (a1)",
		"lw a2, (a1)\n fence r, w\n sw t2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 1 && r[1][0] == 1 }},
	{"S", []string{
		"sw t3, (a0)\n fence w, w\n sw t2, (a1)",
		"lw a2, (a1)\n fence r, w\n sw t2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && x == 2 }},
	{"2+2W with fences", []string{
		"sw t2, (a0)\n fence w, w\n sw t3, (a1)",
		"sw t2, (a1)\n fence w, w\n sw t3, (a0)",
	}, func(r []read, x, y uint64) bool { return x == 1 && y == 1 }},
	{"coherence of reads", []string{
		"sw t2, (a0)\n sw t3, (a0)",
		"lw a2, (a0)\n lw a3, (a0)\n lw a4, (a0)",
	}, func(r []read, x, y uint64) bool {
		return r[1][0] > r[1][1] || r[1][1] > r[1][2] || x != 2
	}},
	{"coherence of a doubleword", []string{
		"li t4, 0x1111111122222222\n sd t4, (a0)",
		"ld a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] != 0 && r[1][0] != 0x1111111122222222 }},
	{"IRIW with fences", []string{
		"sw t2, (a0)",
		"sw t2, (a1)",
		"lw a2, (a0)\n fence rw, rw\n lw a3, (a1)",
		"lw a2, (a1)\n fence rw, rw\n lw a3, (a0)",
	}, func(r []read, x, y uint64) bool {
		return r[2][0] == 1 && r[2][1] == 0 && r[3][0] == 1 && r[3][1] == 0
	}},
	{"WRC with fences", []string{
		"sw t2, (a0)",
		"lw a2, (a0)\n fence rw, rw\n sw a2, (a1)",
		"lw a2, (a1)\n fence r, r\n lw a3, (a0)",
	}, func(r []read, x, y uint64) bool { return r[2][0] == 1 && r[2][1] == 0 }},
	{"AMOs are one step", []string{
		"amoadd.d a2, t2, (a0)\n amoadd.w a3, t2, (a1)",
		"amoadd.d a2, t2, (a0)\n amoadd.w a3, t2, (a1)",
		"amoadd.d a2, t2, (a0)\n amoadd.w a3, t2, (a1)",
	}, func(r []read, x, y uint64) bool {
		return x != 3 || y != 3 || r[0][0]+r[1][0]+r[2][0] != 3 || r[0][1]+r[1][1]+r[2][1] != 3
	}},
	{"LR and SC are one step", []string{
		"1: lr.d a2, (a0)\n addi t4, a2, 1\n sc.d t5, t4, (a0)\n bnez t5, 1b",
		"1: lr.d a2, (a0)\n addi t4, a2, 1\n sc.d t5, t4, (a0)\n bnez t5, 1b",
		"1: amoadd.d a2, t2, (a0)",
	}, func(r []read, x, y uint64) bool { return x != 3 || r[0][0]+r[1][0]+r[2][0] != 3 }},
	{"SC fails if another hart stored", []string{
		"lr.w a2, (a0)\n sc.w a3, t3, (a0)\n lw a4, (a0)",
		"amoswap.w a2, t2, (a0)",
	}, func(r []read, x, y uint64) bool {
		// Read 0 and stored 2, but the exchange came between: then it would have found 0 and be overwritten.
		return r[0][0] == 0 && r[0][1] == 0 && r[1][0] == 0 && x == 2
	}},
	{"compare and swap is one step", []string{
		"amocas.d a2, t2, (a0)",
		"amocas.d a2, t3, (a0)",
		"li a2, 0\n li t4, 3\n amocas.w a2, t4, (a0)",
	}, func(r []read, x, y uint64) bool {
		won := 0
		for i := range r {
			if r[i][0] == 0 {
				won++
			}
		}
		return won != 1 || x == 0
	}},
	{"128-bit compare and swap is one step", []string{
		"li a4, 1\n li a5, 1\n mv t5, a0\n li a2, 0\n li a3, 0\n amocas.q a2, a4, (t5)\n li a4, 0\n li a5, 0",
		"li a4, 2\n li a5, 2\n mv t5, a0\n li a2, 0\n li a3, 0\n amocas.q a2, a4, (t5)\n li a4, 0\n li a5, 0",
		"li a4, 0\n li a5, 0\n mv t5, a0\n li a2, 9\n li a3, 9\n amocas.q a2, a4, (t5)\n li a4, 0\n li a5, 0",
	}, func(r []read, x, y uint64) bool {
		for i := range r {
			if r[i][0] != r[i][1] {
				return true // a torn value
			}
		}
		return (r[0][0] == 0) == (r[1][0] == 0)
	}},
	{"SB of three harts", []string{
		"sw t2, (a0)\n fence rw, rw\n lw a2, (a1)",
		"sw t2, (a1)\n fence rw, rw\n lw a2, (a6)",
		"sw t2, (a6)\n fence rw, rw\n lw a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 0 && r[1][0] == 0 && r[2][0] == 0 }},
	{"SB with a release and an acquire in between", []string{
		"sw t2, (a0)\n amoadd.w.aqrl a4, t2, (a6)\n lw a2, (a1)",
		"sw t2, (a1)\n amoadd.w.aqrl a4, t2, (a6)\n lw a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 0 && r[1][0] == 0 }},
	{"R with fences", []string{
		"sw t2, (a0)\n fence rw, rw\n sw t2, (a1)",
		"sw t3, (a1)\n fence rw, rw\n lw a2, (a0)",
	}, func(r []read, x, y uint64) bool { return y == 2 && r[1][0] == 0 }},
	{"RWC with fences", []string{
		"sw t2, (a0)",
		"lw a2, (a0)\n fence rw, rw\n lw a3, (a1)",
		"sw t2, (a1)\n fence rw, rw\n lw a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[1][1] == 0 && r[2][0] == 0 }},
	{"ISA2 with a fence and dependencies", []string{
		"sw t2, (a0)\n fence w, w\n sw t2, (a1)",
		"lw a2, (a1)\n xor a4, a2, a2\n addi a4, a4, 1\n sw a4, (a6)",
		"lw a2, (a6)\n xor a4, a2, a2\n add a4, a4, a0\n lw a3, (a4)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[2][0] == 1 && r[2][1] == 0 }},
	{"LB with control dependencies", []string{
		"lw a2, (a0)\n beqz a2, 1f\n sw t2, (a1)\n1:",
		"lw a2, (a1)\n beqz a2, 1f\n sw t2, (a0)\n1:",
	}, func(r []read, x, y uint64) bool { return r[0][0] != 0 || r[1][0] != 0 }},
	{"MP through SC and LR", []string{
		"sd t2, (a0)\n1: lr.w a2, (a1)\n sc.w.rl a3, t2, (a1)\n bnez a3, 1b",
		"lr.w.aq a2, (a1)\n ld a3, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[1][1] == 0 }},
	{"MP through AMOs", []string{
		"sd t2, (a0)\n amoor.d.rl a2, t2, (a1)",
		"amoadd.d.aq a2, zero, (a1)\n ld a3, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && r[1][1] == 0 }},
	{"IRIW with AMOs", []string{
		"amoswap.w.aqrl zero, t2, (a0)",
		"amoswap.w.aqrl zero, t2, (a1)",
		"lr.w.aqrl a2, (a0)\n lr.w.aqrl a3, (a1)",
		"lr.w.aqrl a2, (a1)\n lr.w.aqrl a3, (a0)",
	}, func(r []read, x, y uint64) bool {
		return r[2][0] == 1 && r[2][1] == 0 && r[3][0] == 1 && r[3][1] == 0
	}},
	{"a hart's own stores", []string{
		"sd t2, (a0)\n ld a2, (a0)",
		"sd t3, (a0)\n ld a2, (a0)",
	}, func(r []read, x, y uint64) bool {
		return r[0][0] == 0 || r[1][0] == 0 || r[0][0] == 2 && x == 1 || r[1][0] == 1 && x == 2
	}},
	{"words read as a doubleword", []string{
		"sw t2, (a0)\n fence w, w\n sw t2, 4(a0)",
		"ld a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0]>>32 == 1 && uint32(r[1][0]) == 0 }},
	{"a doubleword read as words", []string{
		"li t4, 0x100000001\n sd t4, (a0)",
		"lw a2, 4(a0)\n fence r, r\n lw a3, (a0)\n lhu a4, 4(a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] == 1 && (r[1][1] == 0 || r[1][2] == 0) }},
	{"MP of mixed sizes", []string{
		"li t4, 0x0101010101010101\n sd t4, (a0)\n fence w, w\n sb t2, 3(a1)",
		"lw a2, (a1)\n fence r, r\n lbu a3, 7(a0)\n lhu a4, 2(a0)",
	}, func(r []read, x, y uint64) bool { return r[1][0] != 0 && (r[1][1] != 1 || r[1][2] != 0x101) }},
	{"SB of mixed sizes", []string{
		"sb t2, 5(a0)\n fence rw, rw\n ld a2, (a1)",
		"sh t2, 2(a1)\n fence rw, rw\n ld a2, (a0)",
	}, func(r []read, x, y uint64) bool { return r[0][0] == 0 && r[1][0] == 0 }},
	{"neighbours keep their bytes", []string{
		"sb t2, (a0)\n sb t2, 1(a1)", "sb t2, 1(a0)\n sb t2, (a1)", "sh t2, 2(a0)\n sh t2, 2(a1)", "sw t2, 4(a0)\n sw t2, 4(a1)",
	}, func(r []read, x, y uint64) bool { return x != 0x1_0001_0101 || y != 0x1_0001_0101 }},
	{"AMOs of mixed sizes are one step", []string{
		"amoadd.w a2, t2, (a0)\n amoadd.w a3, t2, (a1)",
		"addi t4, a0, 4\n amoadd.w a2, t2, (t4)",
		"li t4, 0x100000001\n amoadd.d a2, t4, (a0)\n addi t5, a1, 4\n amoswap.w a3, t2, (t5)",
		"addi t4, a0, 4\n1: lr.w a2, (t4)\n addi a3, a2, 1\n sc.w a3, a3, (t4)\n bnez a3, 1b",
	}, func(r []read, x, y uint64) bool { return x != 0x3_0000_0002 || y != 0x1_0000_0001 }},
	{"SC sees a byte that changes", []string{
		"1: lr.d a2, (a0)\n addi t4, a2, 1\n sc.d a3, t4, (a0)\n bnez a3, 1b",
		"sb t3, 7(a0)",
		"1: lr.d a2, (a0)\n addi t4, a2, 1\n sc.d a3, t4, (a0)\n bnez a3, 1b",
		"sh t2, 4(a0)",
	}, func(r []read, x, y uint64) bool { return x != 0x0200_0001_0000_0002 }},
	{"AMOs make an order", []string{
		"amoadd.d a2, t2, (a0)\n amoor.d a3, t2, (a1)", "amoadd.d a2, t2, (a0)\n amomaxu.w a3, t3, (a1)",
		"amoadd.d a2, t2, (a0)\n amoxor.d a3, zero, (a1)", "amoadd.d a2, t2, (a0)\n amomin.d a3, t3, (a1)",
	}, func(r []read, x, y uint64) bool {
		seen := uint64(0)
		for i := range r {
			seen |= 1 << (r[i][0] & 63)
		}
		return seen != 0xf || x != 4 || y > 3
	}},
	{"a lock of LR and SC", []string{lock, lock, lock}, func(r []read, x, y uint64) bool { return x>>32 != 3 || uint32(x) != 0 }},
	{"a lock of AMOs", []string{ticket, ticket, ticket}, func(r []read, x, y uint64) bool { return y != 3 }},
}

// run plays a shape for some rounds and returns a forbidden outcome.
func (s *shape) run(t *testing.T, e bare.Engine, rounds int) error {
	src := driver + "parts:\n"
	for i := range s.parts {
		src += fmt.Sprintf("\t.dword part%d\n", i)
	}
	for i, p := range s.parts {
		src += fmt.Sprintf("part%d:\n\t%s\n\tret\n", i, strings.ReplaceAll(p, "\n", "\n\t"))
	}
	p, err := asm.Assemble(src, asm.Options{Origin: bare.Base, Symbols: map[string]uint64{"HARTS": uint64(len(s.parts)),
		"ROUNDS": uint64(rounds), "VARIABLES": variablesAt, "RESULTS": resultsAt, "FINISHER": finisher}})
	if err != nil {
		t.Fatal(err)
	}
	ms := bare.NewHarts(t, e, bare.Config{}, len(s.parts))
	ms[0].Load(bare.Base, p.Code)
	for _, m := range ms {
		m.Start(bare.Base)
	}
	var stop atomic.Bool
	errs := make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		ended := false
		m.MMIO = func(a cpu.MMIO) (uint64, bool) {
			ended = a.Addr == finisher && a.Write
			return 0, ended
		}
		wg.Go(func() {
			// Harts that wait for each other must not wait for the scheduler too.
			errs[i] = m.Run(1<<32, 512, func() bool { runtime.Gosched(); return ended || stop.Load() })
			if errs[i] != nil {
				stop.Store(true)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	ram := ms[0].RAM
	word := func(addr uint64) uint64 { return binary.LittleEndian.Uint64(ram[addr-bare.Base:]) }
	reads := make([]read, len(ms))
	for n := range uint64(rounds) {
		for i := range reads {
			for k := range reads[i] {
				reads[i][k] = word(resultsAt + n*32*uint64(len(ms)) + 32*uint64(i) + 8*uint64(k))
			}
		}
		x, y := word(variablesAt+192*n), word(variablesAt+192*n+64)
		if s.forbidden(reads, x, y) {
			return fmt.Errorf("round %d: the harts read %d, x is %d and y is %d", n, reads, x, y)
		}
	}
	return nil
}

func TestShapes(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	for _, e := range bare.Engines {
		for _, s := range shapes {
			t.Run(e.Name+"/"+s.name, func(t *testing.T) {
				if err := s.run(t, e, rounds); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The check finds an outcome that is there: an increment in two steps loses
// one, sooner or later, and values that are plainly wrong are found at once.
func TestCanFail(t *testing.T) {
	s := shape{"wrong", []string{"sw t2, (a0)", "nop"}, func(r []read, x, y uint64) bool { return x == 1 }}
	if s.run(t, bare.Engines[0], 10) == nil {
		t.Error("an outcome that always comes was not found")
	}
}
