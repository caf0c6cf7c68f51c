package machine

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"doppel/internal/cpu/jit"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv/asm"
)

//go:embed testdata/modify.asm
var modify string

// modifyEnv is how many times as long TestModify takes.
const modifyEnv = "DOPPEL_MODIFY"

// A hart changes code, and mappings of data and code, that others use in hot
// loops; fences that it asks of them, or an interrupt, are all that tells them.
func TestModify(t *testing.T) {
	times := 1
	if text := os.Getenv(modifyEnv); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil || times < 1 {
			t.Fatalf("%s: %q is not a number from 1", modifyEnv, text)
		}
	}
	for _, c := range []struct {
		name   string
		engine string
		jit    jit.Options
		harts  int
		rounds int // few where the host has less processors: each fence waits for harts that rest
		every  int
	}{
		{"interp", "interp", jit.Options{}, 2, 1500, 64},
		{"interp", "interp", jit.Options{}, 4, 60, 64},
		{"translator", "auto", jit.Options{}, 2, 3000, 16},
		{"translator", "auto", jit.Options{}, 3, 300, 16},
		{"translator", "auto", jit.Options{}, 4, 100, 16},
		{"translator at once", "auto", jit.Options{Threshold: -1, Samples: 1, Slice: 500}, 3, 250, 32},
		{"translator without room", "auto", jit.Options{Threshold: 1, Samples: 1, Slice: 500, CodeBytes: 64 << 10}, 3, 250, 32},
	} {
		t.Run(fmt.Sprintf("%s/%d harts", c.name, c.harts), func(t *testing.T) {
			rounds := c.rounds * times
			if testing.Short() {
				rounds /= 4
			}
			p, err := asm.Assemble(modify, asm.Options{Origin: 0x80200000,
				Symbols: map[string]uint64{"HARTS": uint64(c.harts), "ROUNDS": uint64(rounds), "EVERY": uint64(c.every)}})
			if err != nil {
				t.Fatal(err)
			}
			m, err := New(Config{Memory: 16 << 20, CPUs: c.harts, Engine: c.engine, JIT: c.jit, Kernel: File{"modify", p.Code}, Entropy: entropy.NewSeeded(1)})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(times)*5*time.Minute)
			defer cancel()
			r, err := m.Run(ctx)
			word := func(off uint64) uint64 {
				var b [8]byte
				m.Memory().ReadAt(b[:], memory.GPA(p.Symbols["state"]+off))
				return binary.LittleEndian.Uint64(b[:])
			}
			if err != nil {
				t.Fatalf("%v; version %d is committed", err, word(0))
			}
			if kind := word(0x2c0); kind != 0 || r != (Result{PowerOff, 0}) {
				kinds := [...]string{"", "near code", "far code", "data", "remapped code", "remapped code by a direct call", "sum of a page that is mapped no more", "an SBI call"}
				t.Fatalf("%s: found %d, committed %d, announced %d; %+v", kinds[min(kind, 7)], word(0x2c8), word(0x2d0), word(0x2d8), r)
			}
			if got := word(0); got != uint64(rounds) {
				t.Errorf("%d rounds, want %d", got, rounds)
			}
			var loops []uint64
			for i := range c.harts {
				loops = append(loops, word(0x300+64*uint64(i)))
			}
			t.Logf("loops of each hart: %d", loops)
		})
	}
}
