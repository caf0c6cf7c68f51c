package riscv

// cKind says how a compressed encoding maps to the operands of the instruction it expands to.
type cKind uint8

const (
	cNone     cKind = iota // no operands (c.ebreak)
	cAddi4spn              // rd', x2, scaled immediate
	cLoadB                 // Zcb: rd', 2-bit offset (rs1')
	cLoadH                 // Zcb: rd', 1-bit scaled offset (rs1')
	cLoadW                 // rd', offset scaled by 4 (rs1')
	cLoadD                 // rd', offset scaled by 8 (rs1')
	cStoreB                // rs2', 2-bit offset (rs1')
	cStoreH                // rs2', 1-bit scaled offset (rs1')
	cStoreW                // rs2', offset scaled by 4 (rs1')
	cStoreD                // rs2', offset scaled by 8 (rs1')
	cImm                   // rd, rd, 6-bit immediate
	cLi                    // rd, x0, 6-bit immediate
	cAddi16sp              // x2, x2, scaled immediate
	cLui                   // rd, upper immediate
	cShiftP                // rd', rd', shift amount
	cAndi                  // rd', rd', 6-bit immediate
	cArith                 // rd', rd', rs2'
	cZextB                 // rd', rd', 255
	cNot                   // rd', rd', -1
	cUnary                 // rd', rd'
	cZextW                 // rd', rd', x0
	cJump                  // x0, 11-bit offset
	cBranch                // rs1', x0, 8-bit offset
	cSlli                  // rd, rd, shift amount
	cLwsp                  // rd, offset scaled by 4 (x2)
	cLdsp                  // rd, offset scaled by 8 (x2)
	cSwsp                  // rs2, offset scaled by 4 (x2)
	cSdsp                  // rs2, offset scaled by 8 (x2)
	cJr                    // x0, 0(rs1)
	cJalr                  // x1, 0(rs1)
	cMv                    // rd, x0, rs2
	cAdd                   // rd, rd, rs2
	cMop                   // n in the place of rd
)

// cspec describes one compressed encoding.
type cspec struct {
	name    string
	match   uint16
	mask    uint16
	nonzero uint16 // at least one of these bits must be set, else the encoding is reserved (or is another's)
	kind    cKind
	op      Op
	ext     Extension // ExtC, ExtZcb or ExtZcmop; that of op must be there as well
}

// cspecs lists the compressed encodings (unpriv §27, with the tables of §27.8; Zcb §28; Zcmop §10.1). The first
// match is taken. Encodings that the manual calls hints have no rows of their own: they expand like their neighbours
// to something that writes x0 or adds nothing.
var cspecs = []cspec{
	// Quadrant 0.
	{"c.addi4spn", 0x0000, 0xe003, 0x1fe0, cAddi4spn, ADDI, ExtC},
	{"c.fld", 0x2000, 0xe003, 0, cLoadD, FLD, ExtC},
	{"c.lw", 0x4000, 0xe003, 0, cLoadW, LW, ExtC},
	{"c.ld", 0x6000, 0xe003, 0, cLoadD, LD, ExtC},
	{"c.lbu", 0x8000, 0xfc03, 0, cLoadB, LBU, ExtZcb},
	{"c.lhu", 0x8400, 0xfc43, 0, cLoadH, LHU, ExtZcb},
	{"c.lh", 0x8440, 0xfc43, 0, cLoadH, LH, ExtZcb},
	{"c.sb", 0x8800, 0xfc03, 0, cStoreB, SB, ExtZcb},
	{"c.sh", 0x8c00, 0xfc43, 0, cStoreH, SH, ExtZcb},
	{"c.fsd", 0xa000, 0xe003, 0, cStoreD, FSD, ExtC},
	{"c.sw", 0xc000, 0xe003, 0, cStoreW, SW, ExtC},
	{"c.sd", 0xe000, 0xe003, 0, cStoreD, SD, ExtC},

	// Quadrant 1.
	{"c.nop", 0x0001, 0xef83, 0, cImm, ADDI, ExtC},
	{"c.addi", 0x0001, 0xe003, 0, cImm, ADDI, ExtC},
	{"c.addiw", 0x2001, 0xe003, 0x0f80, cImm, ADDIW, ExtC},
	{"c.li", 0x4001, 0xe003, 0, cLi, ADDI, ExtC},
	{"c.mop", 0x6081, 0xf8ff, 0, cMop, C_MOP, ExtZcmop},
	{"c.addi16sp", 0x6101, 0xef83, 0x107c, cAddi16sp, ADDI, ExtC},
	{"c.lui", 0x6001, 0xe003, 0x107c, cLui, LUI, ExtC},
	{"c.srli", 0x8001, 0xec03, 0, cShiftP, SRLI, ExtC},
	{"c.srai", 0x8401, 0xec03, 0, cShiftP, SRAI, ExtC},
	{"c.andi", 0x8801, 0xec03, 0, cAndi, ANDI, ExtC},
	{"c.sub", 0x8c01, 0xfc63, 0, cArith, SUB, ExtC},
	{"c.xor", 0x8c21, 0xfc63, 0, cArith, XOR, ExtC},
	{"c.or", 0x8c41, 0xfc63, 0, cArith, OR, ExtC},
	{"c.and", 0x8c61, 0xfc63, 0, cArith, AND, ExtC},
	{"c.subw", 0x9c01, 0xfc63, 0, cArith, SUBW, ExtC},
	{"c.addw", 0x9c21, 0xfc63, 0, cArith, ADDW, ExtC},
	{"c.mul", 0x9c41, 0xfc63, 0, cArith, MUL, ExtZcb},
	{"c.zext.b", 0x9c61, 0xfc7f, 0, cZextB, ANDI, ExtZcb},
	{"c.sext.b", 0x9c65, 0xfc7f, 0, cUnary, SEXT_B, ExtZcb},
	{"c.zext.h", 0x9c69, 0xfc7f, 0, cUnary, ZEXT_H, ExtZcb},
	{"c.sext.h", 0x9c6d, 0xfc7f, 0, cUnary, SEXT_H, ExtZcb},
	{"c.zext.w", 0x9c71, 0xfc7f, 0, cZextW, ADD_UW, ExtZcb},
	{"c.not", 0x9c75, 0xfc7f, 0, cNot, XORI, ExtZcb},
	{"c.j", 0xa001, 0xe003, 0, cJump, JAL, ExtC},
	{"c.beqz", 0xc001, 0xe003, 0, cBranch, BEQ, ExtC},
	{"c.bnez", 0xe001, 0xe003, 0, cBranch, BNE, ExtC},

	// Quadrant 2.
	{"c.slli", 0x0002, 0xe003, 0, cSlli, SLLI, ExtC},
	{"c.fldsp", 0x2002, 0xe003, 0, cLdsp, FLD, ExtC},
	{"c.lwsp", 0x4002, 0xe003, 0x0f80, cLwsp, LW, ExtC},
	{"c.ldsp", 0x6002, 0xe003, 0x0f80, cLdsp, LD, ExtC},
	{"c.jr", 0x8002, 0xf07f, 0x0f80, cJr, JALR, ExtC},
	{"c.mv", 0x8002, 0xf003, 0x007c, cMv, ADD, ExtC},
	{"c.ebreak", 0x9002, 0xffff, 0, cNone, EBREAK, ExtC},
	{"c.jalr", 0x9002, 0xf07f, 0x0f80, cJalr, JALR, ExtC},
	{"c.add", 0x9002, 0xf003, 0x007c, cAdd, ADD, ExtC},
	{"c.fsdsp", 0xa002, 0xe003, 0, cSdsp, FSD, ExtC},
	{"c.swsp", 0xc002, 0xe003, 0, cSwsp, SW, ExtC},
	{"c.sdsp", 0xe002, 0xe003, 0, cSdsp, SD, ExtC},
}
