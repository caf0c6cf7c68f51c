package riscv

// Inst is a decoded instruction. Fields that the instruction does not have are zero.
type Inst struct {
	// Imm is the immediate, sign-extended where the manual says so and scaled to its final value: a byte offset for
	// branches, jumps, loads and stores; the upper 20 bits in place for LUI and AUIPC; the shift amount for shifts;
	// the CSR number for Zicsr; fm, pred and succ (12 bits) for FENCE; n for MOP_R, MOP_RR and C_MOP.
	Imm int64
	Raw uint32 // the encoding; the upper half is zero when Len is 2
	Op  Op
	Rd  uint8
	Rs1 uint8 // for CSRRWI, CSRRSI and CSRRCI the 5-bit immediate; for FLI_S and FLI_D the table index
	Rs2 uint8
	Rs3 uint8
	RM  uint8 // rounding mode as encoded, the reserved values 5 and 6 included
	Len uint8 // bytes, 2 or 4
}

// CSR returns the register that a Zicsr instruction names.
func (i Inst) CSR() CSR { return CSR(i.Imm & 0xfff) }

// AQ reports the acquire bit of an instruction of A or Zacas.
func (i Inst) AQ() bool { return i.Raw&(1<<26) != 0 }

// RL reports the release bit of an instruction of A or Zacas.
func (i Inst) RL() bool { return i.Raw&(1<<25) != 0 }

// Rounding modes, the values of Inst.RM and of the CSR frm (unpriv §20.2).
const (
	RNE uint8 = 0 // to nearest, ties to even
	RTZ uint8 = 1 // towards zero
	RDN uint8 = 2 // down
	RUP uint8 = 3 // up
	RMM uint8 = 4 // to nearest, ties away from zero
	DYN uint8 = 7 // in Inst.RM only: take frm
)
