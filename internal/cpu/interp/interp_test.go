package interp

import (
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv/hart"
)

func newEngine(cfg hart.Config) cputest.Engine { return New(cfg) }

func TestSmoke(t *testing.T) {
	m := cputest.NewMachine(t, newEngine, `
	li t0, 1000
	li a0, 0
1:	add a0, a0, t0
	addi t0, t0, -1
	bnez t0, 1b
	la a1, data
	sd a0, 0(a1)
	ld a2, 0(a1)
	li t1, 0x10000000
	lb a3, 5(t1)
done:	j done
	.balign 8
data:	.dword 0
`, cputest.Options{})
	e := m.CPUs[0].Run(1 << 20)
	if e.Reason != cpu.ExitMMIO || e.MMIO.Addr != 0x10000005 {
		t.Fatal(e)
	}
	h := m.Hart()
	m.CPUs[0].CompleteMMIO(0x80, true)
	if h.X[12] != 500500 || h.X[13] != 0xffffffffffffff80 {
		t.Fatal(h.X)
	}
	m.RunTo("done", 10)
	t.Log(h.Instret)
}
