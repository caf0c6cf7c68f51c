package riscv

import "testing"

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		raw  uint32
		want Inst
	}{
		{0x00000000, Inst{Len: 2}},
		{0xffffffff, Inst{Raw: 0xffffffff, Len: 4}},
		{0x00c58533, Inst{Op: ADD, Rd: 10, Rs1: 11, Rs2: 12, Len: 4}},
		{0xfff58513, Inst{Op: ADDI, Rd: 10, Rs1: 11, Imm: -1, Len: 4}},
		{0x12345537, Inst{Op: LUI, Rd: 10, Imm: 0x12345000, Len: 4}},
		{0x80000537, Inst{Op: LUI, Rd: 10, Imm: -0x80000000, Len: 4}},
		{0x4bb50533, Inst{Len: 4}},
		{0x43f5d513, Inst{Op: SRAI, Rd: 10, Rs1: 11, Imm: 63, Len: 4}},
		{0xfe000ee3, Inst{Op: BEQ, Imm: -4, Len: 4}},
		{0xfe113c23, Inst{Op: SD, Rs1: 2, Rs2: 1, Imm: -8, Len: 4}},
		{0xffdff06f, Inst{Op: JAL, Imm: -4, Len: 4}},
		{0x30529073, Inst{Op: CSRRW, Rs1: 5, Imm: 0x305, Len: 4}},
		{0x0100000f, Inst{Op: PAUSE, Len: 4}},
		{0x8330000f, Inst{Op: FENCE_TSO, Len: 4}},
		{0x0ff0000f, Inst{Op: FENCE, Imm: 0xff, Len: 4}},
		{0x0200e013, Inst{Op: PREFETCH_I, Rs1: 1, Imm: 32, Len: 4}},
		{0x0200e093, Inst{Op: ORI, Rd: 1, Rs1: 1, Imm: 32, Len: 4}},
		{0x0800c0bb, Inst{Op: ZEXT_H, Rd: 1, Rs1: 1, Len: 4}},
		{0x0810c0bb, Inst{Op: PACKW, Rd: 1, Rs1: 1, Rs2: 1, Len: 4}},
		{0x02c5f553, Inst{Op: FADD_D, Rd: 10, Rs1: 11, Rs2: 12, RM: 7, Len: 4}},
		{0x2a20c12f, Inst{Len: 4, Op: AMOCAS_Q, Rd: 2, Rs1: 1, Rs2: 2}},
		{0x2a20c1af, Inst{Len: 4}},
		{0xfbf0c073, Inst{Len: 4}},
		{0xcdf0c0f3, Inst{Op: MOP_R, Rd: 1, Rs1: 1, Imm: 31, Len: 4}},
		{0xce20c0f3, Inst{Op: MOP_RR, Rd: 1, Rs1: 1, Rs2: 2, Imm: 7, Len: 4}},
		{0xabcd4501, Inst{Raw: 0x4501, Op: ADDI, Rd: 10, Len: 2}}, // c.li a0, 0
		{0x8082, Inst{Op: JALR, Rs1: 1, Len: 2}},                  // ret
		{0x6081, Inst{Op: C_MOP, Imm: 1, Len: 2}},
		{0x6001, Inst{Len: 2}},
		{0x717d, Inst{Op: ADDI, Rd: 2, Rs1: 2, Imm: -16, Len: 2}},
		{0x9c75, Inst{Op: XORI, Rd: 8, Rs1: 8, Imm: -1, Len: 2}},
	} {
		if c.want.Raw == 0 {
			c.want.Raw = c.raw
		}
		if got := Decode(c.raw); got != c.want {
			t.Errorf("Decode(%#x) = %v %+v, want %v %+v", c.raw, got.Op, got, c.want.Op, c.want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	var sink int64
	for i := range b.N {
		sink += Decode(uint32(i) * 2654435761).Imm
	}
	_ = sink
}
