//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv/hart"
)

// TestReturnsOfOtherModes: a return in S-mode to where a call in U-mode has
// come from does not go there, though the address is the same.
func TestReturnsOfOtherModes(t *testing.T) {
	m, v := machineOf(t, Options{}, `
	nop
	.balign 4096
user:	jal ra, 1f		# in U-mode, at codeU
	addi a1, a1, 1
	j user
1:	ecall
handler:
	csrr t1, scause
	li t2, 8
	beq t1, t2, 1f
	li t2, 12
	beq t1, t2, 2f
	addi a4, a4, 1		# what should not be
2:	addi a3, a3, 1
	csrw sepc, ra
	li t2, 0x100
	csrc sstatus, t2
	sret
1:	ret			# of the call: an instruction page fault
	.balign 4096
`, cputest.Options{RAM: 1 << 18, Supervisor: true})
	mapSystem(m, 0)
	h := m.Hart()
	h.CSR.Satp, h.CSR.Stvec = systemSatp(1), m.Sym("handler")
	h.PC, h.Priv = codeU, hart.U
	h.Refresh()
	run(t, v, 50000)
	if a1, a3, a4 := h.X[11], h.X[13], h.X[14]; a4 != 0 || a3 < 1000 || a1 > a3 || a3 > a1+1 {
		t.Errorf("%d faults and %d others in %d rounds, want a fault in each", a3, a4, a1)
	}
}

// TestReturnsToOtherCode: what a call returns to is what is there now.
func TestReturnsToOtherCode(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, `
	la s0, back
	li s2, 0x00150513	# addi a0, a0, 1
	li s3, 0x00250513	# addi a0, a0, 2
loop:	jal ra, 1f
back:	addi a0, a0, 1
	addi a1, a1, 1
	j loop
1:	mv t0, s2		# in turn
	mv s2, s3
	mv s3, t0
	sw s2, 0(s0)
	fence.i
	ret
`, cputest.Options{})
	run(t, v, 10000)
	for m.Hart().PC != m.Sym("loop") {
		run(t, v, 1)
	}
	if a0, a1 := m.Hart().X[10], m.Hart().X[11]; a1 < 100 || a0 != a1/2*3+a1%2*2 {
		t.Errorf("a0 is %d after %d rounds that add 2 and 1 in turn", a0, a1)
	}
}

// TestManyCalls: calls without returns fill the stack as far as a slice goes,
// and no farther; what they return to later is found all the same.
func TestManyCalls(t *testing.T) {
	for _, slice := range []int64{0, 1 << 40} {
		m, v := machineOf(t, Options{Threshold: -1, Samples: -1, Slice: slice}, `
	la s0, end
	li a0, 0
down:	beq ra, s0, end		# never
	addi a0, a0, 1
	jal ra, 1f
	j up
1:	jal t0, 1f
	j up
1:	la t1, over
	li t2, 40000
	blt a0, t2, down
over:	la ra, end
	la t0, up
	jr t0
up:	addi a1, a1, 1
	ret
end:	j end
`, cputest.Options{})
		run(t, v, 2_000_000)
		if x := m.Hart().X; x[10] != 40000 || x[11] != 1 || m.Hart().PC != m.Sym("end") {
			t.Errorf("a0 %d, a1 %d, pc %#x; want 40000, 1 and %#x", x[10], x[11], m.Hart().PC, m.Sym("end"))
		}
		// The shortest call there is.
		m, v = machineOf(t, Options{Threshold: -1, Slice: slice}, "1: jal ra, 1b\n", cputest.Options{})
		run(t, v, 200_000)
		if h := m.Hart(); h.PC != cputest.Base || h.X[1] != cputest.Base+4 {
			t.Errorf("pc %#x, ra %#x", h.PC, h.X[1])
		}
	}
}
