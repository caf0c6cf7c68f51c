//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv"
)

// TestSecondLevel: pages that have the same place in a TLB do not take turns
// in leaving generated code.
func TestSecondLevel(t *testing.T) {
	_, v := machineOf(t, Options{Threshold: -1}, `
	la s0, buffer
	li s1, 64 << 20
	add s1, s1, s0
loop:	lbu a1, 1(s0)
	ld a2, 8(s1)
	sb a1, 2(s0)
	sd a2, 16(s1)
	lw a3, 3(s0)		# misaligned
	sw a3, 5(s1)
	addi a4, a4, 1
	j loop
	.balign 4096
buffer:	.dword 0x1122334455667788
`, cputest.Options{RAM: 80 << 20})
	run(t, v, 100_000)
	if v.h.X[11] != 0x77 || v.h.X[14] < 10_000 {
		t.Errorf("a1 %#x, a4 %d", v.h.X[11], v.h.X[14])
	}
	const most = 50
	for _, op := range []riscv.Op{riscv.LBU, riscv.LD, riscv.SB, riscv.SD, riscv.LW, riscv.SW} {
		if n := v.stats.SlowOps[op]; n > most {
			t.Errorf("%v left %d times", op, n)
		}
	}
}
