package riscv

import "strconv"

// Op names an instruction. Compressed instructions have no Op of their own: they decode to the instruction that they
// expand to (unpriv §27), with Inst.Len 2; only C_MOP, which expands to nothing else, is its own.
//
// The constants are dense from 0 and grouped by the kind of work, so that an executor's switch becomes a jump table.
type Op uint16

// ILLEGAL is what every encoding that is not in the table decodes to.
const (
	ILLEGAL Op = iota

	// RV64I: upper immediates, jumps and branches.
	LUI
	AUIPC
	JAL
	JALR
	BEQ
	BNE
	BLT
	BGE
	BLTU
	BGEU

	// RV64I: loads and stores.
	LB
	LH
	LW
	LD
	LBU
	LHU
	LWU
	SB
	SH
	SW
	SD

	// RV64I: register and immediate.
	ADDI
	SLTI
	SLTIU
	XORI
	ORI
	ANDI
	SLLI
	SRLI
	SRAI
	ADDIW
	SLLIW
	SRLIW
	SRAIW

	// RV64I: register and register.
	ADD
	SUB
	SLL
	SLT
	SLTU
	XOR
	SRL
	SRA
	OR
	AND
	ADDW
	SUBW
	SLLW
	SRLW
	SRAW

	// M.
	MUL
	MULH
	MULHSU
	MULHU
	DIV
	DIVU
	REM
	REMU
	MULW
	DIVW
	DIVUW
	REMW
	REMUW

	// Zba.
	SH1ADD
	SH2ADD
	SH3ADD
	ADD_UW
	SH1ADD_UW
	SH2ADD_UW
	SH3ADD_UW
	SLLI_UW

	// Zbb.
	ANDN
	ORN
	XNOR
	MAX
	MAXU
	MIN
	MINU
	ROL
	ROR
	ROLW
	RORW
	RORI
	RORIW
	CLZ
	CTZ
	CPOP
	CLZW
	CTZW
	CPOPW
	SEXT_B
	SEXT_H
	ZEXT_H
	ORC_B
	REV8

	// Zbs.
	BCLR
	BCLRI
	BEXT
	BEXTI
	BINV
	BINVI
	BSET
	BSETI

	// Zbc.
	CLMUL
	CLMULR
	CLMULH

	// Zbkb, without what it shares with Zbb.
	PACK
	PACKH
	PACKW
	BREV8

	// Zicond.
	CZERO_EQZ
	CZERO_NEZ

	// A, Zawrs and Zacas.
	LR_W
	SC_W
	AMOSWAP_W
	AMOADD_W
	AMOXOR_W
	AMOAND_W
	AMOOR_W
	AMOMIN_W
	AMOMAX_W
	AMOMINU_W
	AMOMAXU_W
	LR_D
	SC_D
	AMOSWAP_D
	AMOADD_D
	AMOXOR_D
	AMOAND_D
	AMOOR_D
	AMOMIN_D
	AMOMAX_D
	AMOMINU_D
	AMOMAXU_D
	AMOCAS_W
	AMOCAS_D
	AMOCAS_Q
	WRS_NTO
	WRS_STO

	// Memory ordering and cache management.
	FENCE_TSO
	PAUSE
	FENCE
	FENCE_I
	CBO_INVAL
	CBO_CLEAN
	CBO_FLUSH
	CBO_ZERO
	PREFETCH_I
	PREFETCH_R
	PREFETCH_W

	// System.
	ECALL
	EBREAK
	MRET
	SRET
	WFI
	SFENCE_VMA
	SINVAL_VMA
	SFENCE_W_INVAL
	SFENCE_INVAL_IR
	CSRRW
	CSRRS
	CSRRC
	CSRRWI
	CSRRSI
	CSRRCI

	// Zimop and Zcmop; Imm is the number n.
	MOP_R
	MOP_RR
	C_MOP

	// F.
	FLW
	FSW
	FMADD_S
	FMSUB_S
	FNMSUB_S
	FNMADD_S
	FADD_S
	FSUB_S
	FMUL_S
	FDIV_S
	FSQRT_S
	FSGNJ_S
	FSGNJN_S
	FSGNJX_S
	FMIN_S
	FMAX_S
	FEQ_S
	FLT_S
	FLE_S
	FCLASS_S
	FCVT_W_S
	FCVT_WU_S
	FCVT_L_S
	FCVT_LU_S
	FCVT_S_W
	FCVT_S_WU
	FCVT_S_L
	FCVT_S_LU
	FMV_X_W
	FMV_W_X

	// D.
	FLD
	FSD
	FMADD_D
	FMSUB_D
	FNMSUB_D
	FNMADD_D
	FADD_D
	FSUB_D
	FMUL_D
	FDIV_D
	FSQRT_D
	FSGNJ_D
	FSGNJN_D
	FSGNJX_D
	FMIN_D
	FMAX_D
	FEQ_D
	FLT_D
	FLE_D
	FCLASS_D
	FCVT_W_D
	FCVT_WU_D
	FCVT_L_D
	FCVT_LU_D
	FCVT_D_W
	FCVT_D_WU
	FCVT_D_L
	FCVT_D_LU
	FMV_X_D
	FMV_D_X
	FCVT_S_D
	FCVT_D_S

	// Zfa, single and double.
	FLI_S
	FMINM_S
	FMAXM_S
	FROUND_S
	FROUNDNX_S
	FLEQ_S
	FLTQ_S
	FLI_D
	FMINM_D
	FMAXM_D
	FROUND_D
	FROUNDNX_D
	FLEQ_D
	FLTQ_D
	FCVTMOD_W_D

	// Zfhmin.
	FLH
	FSH
	FMV_X_H
	FMV_H_X
	FCVT_S_H
	FCVT_H_S
	FCVT_D_H
	FCVT_H_D

	// NumOps is the number of Op values, ILLEGAL included.
	NumOps
)

// String returns the mnemonic as the manual spells it, such as "fadd.s".
func (op Op) String() string {
	if op >= NumOps {
		return "op(" + strconv.Itoa(int(op)) + ")"
	}
	return specs[op].name
}

// Extension returns the extension that the instruction belongs to.
func (op Op) Extension() Extension {
	if op >= NumOps {
		return ExtNone
	}
	return specs[op].ext
}
