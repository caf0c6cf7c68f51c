package asm_test

import (
	"fmt"

	"doppel/internal/riscv/asm"
)

func ExampleAssemble() {
	p, err := asm.Assemble(`
		# Sum of 1 to N in a0, then stop.
	start:	li	a0, 0
		li	t0, N
	1:	add	a0, a0, t0
		addi	t0, t0, -1
		bnez	t0, 1b
	halt:	ebreak
	`, asm.Options{Origin: 0x8000_0000, Symbols: map[string]uint64{"N": 10}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes, halt at %#x\n", len(p.Code), p.Symbols["halt"])
	// Output: 24 bytes, halt at 0x80000014
}

func ExampleAssemble_errors() {
	_, err := asm.Assemble("start:\taddi a0, a0, 5000\n\tadi a1, a1, 1\n", asm.Options{})
	fmt.Println(err)
	// Output:
	// line 1: addi: immediate 5000 is not in -2048 to 2047
	// 	start:	addi a0, a0, 5000
	// line 2: there is no instruction, directive or macro "adi"; was add or addi or andi meant?
	// 	adi a1, a1, 1
}
