package system

import (
	"math/rand/v2"
	"testing"

	"doppel/internal/riscv"
	"doppel/test/bare"
	"doppel/test/differential/repeat"
)

// flipped is an encoding that is nearly an instruction and to us is none.
func flipped(r *rand.Rand) uint32 {
	for {
		op := riscv.Op(1 + r.IntN(int(riscv.NumOps)-1))
		raw, err := riscv.Encode(riscv.Inst{Op: op, Rd: uint8(r.IntN(32)), Rs1: uint8(r.IntN(32)), Rs2: uint8(r.IntN(16)) * 2, RM: uint8(r.IntN(5))})
		if err != nil {
			continue
		}
		for range 1 + r.IntN(3) {
			raw ^= 1 << (2 + r.IntN(30))
		}
		if r.IntN(4) == 0 {
			raw = r.Uint32() >> (16 * r.IntN(2))
		}
		if raw&3 != 3 {
			raw &= 0xffff
		}
		if riscv.Decode(raw).Op == riscv.ILLEGAL {
			return raw
		}
	}
}

// What is no instruction to us is none to QEMU either.
func TestIllegalAgainstQEMU(t *testing.T) {
	m := start(t, qemu(t))
	for pc := range stops {
		if err := m.breakpoint(pc); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.store(setupAt, setup); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(repeat.Seed(t), 1))
	e := newEngine(t, bare.Engines[0])
	failures := 0
	for range repeat.Count(t, 3000, 300) / 2 {
		raw := flipped(r)
		p := (&known{mode: riscv.Machine, status: riscv.MstatusFS, csrs: map[riscv.CSR]uint64{riscv.CSRMenvcfg: 0xf0}}).build()
		p.units = [][]uint32{{raw}}
		want, err := m.execute(p)
		if err != nil {
			t.Fatalf("%#08x on QEMU: %v", raw, err)
		}
		got, err := e.execute(p)
		if err != nil {
			t.Fatalf("%#08x: %v", raw, err)
		}
		if d := difference(want, got); d != "" {
			if failures++; failures > 10 {
				t.Fatal("and more")
			}
			t.Errorf("%#08x is no instruction to us, to QEMU it is:\n%s", raw, d)
		}
	}
}
