//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv"
)

// TestAcross: an instruction that lies in two pages is translated, and is what
// both of them hold when it is executed.
func TestAcross(t *testing.T) {
	m, v := machineOf(t, Options{}, `
	la s0, second
	li s2, 0x0015		# the upper halves of addi a0, a0, 1 and
	li s3, 0x0025		# of addi a0, a0, 2
	j loop
	.balign 4096
	.zero 4092
loop:	c.nop
	.half 0x0513
second:	.half 0x0015
	addi a1, a1, 1
	andi t0, a1, 1023
	bnez t0, loop
	lhu t1, 0(s0)		# the other one from now on
	xor t1, t1, s2
	xor t1, t1, s3
	sh t1, 0(s0)
	fence.i
	j loop
`, cputest.Options{})
	const rounds = 64
	for x := &m.Hart().X; x[11] < rounds<<10; {
		run(t, v, 1000)
	}
	for m.Hart().PC != m.Sym("loop") {
		run(t, v, 1)
	}
	x := m.Hart().X
	whole := x[11] &^ 1023
	sum := whole + whole/1024/2*1024 // half of the rounds add 2
	if rest := x[11] - whole; whole/1024%2 == 1 {
		sum += 2 * rest
	} else {
		sum += rest
	}
	if x[10] != sum {
		t.Errorf("a0 is %d after %d rounds, want %d", x[10], x[11], sum)
	}
	// One of the two is translated and the other one interpreted.
	if cold := v.stats.Cold; cold > x[11]*3/5+1000 {
		t.Errorf("%d times the interpreter took over in %d rounds", cold, x[11])
	}
}

// TestAcrossFaults: the second page of an instruction is looked up in the
// present context.
func TestAcrossFaults(t *testing.T) {
	const last = codeS + 0xffe
	for _, name := range []string{"unmapped", "other"} {
		m, v := machineOf(t, Options{Threshold: -1}, "nop\n", cputest.Options{RAM: 1 << 18, Supervisor: true})
		mapSystem(m, 0)
		half := func(at uint64, raw uint32) {
			m.RAM.Bytes()[at-cputest.Base] = byte(raw)
			m.RAM.Bytes()[at-cputest.Base+1] = byte(raw >> 8)
		}
		add, _ := riscv.Encode(riscv.Inst{Op: riscv.ADDI, Rd: 10, Rs1: 10, Imm: 1})
		half(last, add)
		pte := uint64(tables) + 0x2000 + (codeU>>12&511)*8
		second := uint64(dataS) // physical
		other := uint64(dataU)
		m.SetU64(pte, second>>12<<10|riscv.PTEV|riscv.PTEX|riscv.PTEA|riscv.PTED)
		half(second, add>>16)
		half(other, add>>16+0x10) // adds 2
		h := m.Hart()
		h.CSR.Satp, h.CSR.Stvec = systemSatp(1), codeS
		h.Refresh()
		v.FlushTLB()
		step := func() {
			h.PC = last
			run(t, v, 1)
		}
		for range 10 {
			step()
		}
		if h.X[10] != 10 || v.stats.Blocks == 0 {
			t.Fatalf("a0 is %d, want 10; %v", h.X[10], v.stats)
		}
		if name == "unmapped" {
			m.SetU64(pte, 0)
			v.FlushTLB()
			step()
			if h.CSR.Scause != uint64(riscv.InstructionPageFault) || h.CSR.Sepc != last || h.CSR.Stval != codeU || h.X[10] != 10 {
				t.Errorf("scause %d, sepc %#x, stval %#x, a0 %d", h.CSR.Scause, h.CSR.Sepc, h.CSR.Stval, h.X[10])
			}
			continue
		}
		m.SetU64(pte, other>>12<<10|riscv.PTEV|riscv.PTEX|riscv.PTEA|riscv.PTED)
		v.FlushTLB()
		step()
		step()
		if h.X[10] != 14 {
			t.Errorf("a0 is %d, want 14", h.X[10])
		}
	}
}
