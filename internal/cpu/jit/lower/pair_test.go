package lower

import (
	"testing"

	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

func TestPairs(t *testing.T) {
	auipc := riscv.Inst{Op: riscv.AUIPC, Rd: 6, Imm: 0x2000, Len: 4}
	lui := riscv.Inst{Op: riscv.LUI, Rd: 6, Imm: -0x8000_0000, Len: 4}
	for _, c := range []struct {
		name  string
		insts []riscv.Inst
		want  []ir.Inst
	}{
		{"a constant", []riscv.Inst{lui, {Op: riscv.ADDI, Rd: 6, Rs1: 6, Imm: -1, Len: 4}},
			[]ir.Inst{{Op: ir.Nop}, {Op: ir.Const, Dst: 6, Imm: -0x8000_0001, Index: 1}}},
		{"a word", []riscv.Inst{lui, {Op: riscv.ADDIW, Rd: 6, Rs1: 6, Imm: -1, Len: 4}},
			[]ir.Inst{{Op: ir.Nop}, {Op: ir.Const, Dst: 6, Imm: 0x7fff_ffff, Index: 1}}},
		{"to another register", []riscv.Inst{lui, {Op: riscv.ADDI, Rd: 7, Rs1: 6, Imm: 1, Len: 4}},
			[]ir.Inst{{Op: ir.Const, Dst: 6, Imm: -0x8000_0000}, {Op: ir.Const, Dst: 7, Imm: -0x7fff_ffff, Index: 1}}},
		{"of another register", []riscv.Inst{lui, {Op: riscv.ADDI, Rd: 6, Rs1: 7, Imm: 1, Len: 4}},
			[]ir.Inst{{Op: ir.Const, Dst: 6, Imm: -0x8000_0000}, {Op: ir.Add, Flags: ir.Immediate, Dst: 6, A: 7, Imm: 1, Index: 1}}},
		{"an address", []riscv.Inst{auipc, {Op: riscv.ADDI, Rd: 6, Rs1: 6, Imm: 8, Len: 4}},
			[]ir.Inst{{Op: ir.Nop}, {Op: ir.PC, Dst: 6, Imm: 0x2108, Index: 1}}},
		{"no word of an address", []riscv.Inst{auipc, {Op: riscv.ADDIW, Rd: 6, Rs1: 6, Imm: 8, Len: 4}},
			[]ir.Inst{{Op: ir.PC, Dst: 6, Imm: 0x2100}, {Op: ir.Add, Flags: ir.Immediate | ir.Word, Dst: 6, A: 6, Imm: 8, Index: 1}}},
		{"a call", []riscv.Inst{auipc, {Op: riscv.JALR, Rd: 1, Rs1: 6, Imm: 9, Len: 4}},
			[]ir.Inst{{Op: ir.PC, Dst: 6, Imm: 0x2100}, {Op: ir.Jump, Dst: 1, Imm: 0x108, Target: 0x2108, Index: 1}}},
		{"a call that loses the address", []riscv.Inst{auipc, {Op: riscv.JALR, Rd: 6, Rs1: 6, Imm: -4, Len: 4}},
			[]ir.Inst{{Op: ir.Nop}, {Op: ir.Jump, Dst: 6, Imm: 0x108, Target: 0x20fc, Index: 1}}},
		{"too far", []riscv.Inst{{Op: riscv.AUIPC, Rd: 6, Imm: 0x7fff_f000, Len: 4}, {Op: riscv.ADDI, Rd: 6, Rs1: 6, Imm: 2047, Len: 4}, {Op: riscv.JALR, Rs1: 6, Imm: 2047, Len: 4}},
			[]ir.Inst{{Op: ir.Nop}, {Op: ir.PC, Dst: 6, Imm: 0x7fff_f8ff, Index: 1}, {Op: ir.JumpReg, A: 6, Imm: 2047, Target: 0x10c, Index: 2}}},
	} {
		var b ir.Block
		Block(0x100, c.insts, &b)
		for i, want := range c.want {
			if b.Insts[i] != want {
				t.Errorf("%s: %d is %v, want %v", c.name, i, b.Insts[i], want)
			}
		}
	}
}
