package amd64

import "encoding/binary"

// Reg is a general register, or an XMM register where an instruction has one.
type Reg uint8

const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
)

func (r Reg) String() string {
	return [...]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}[r&15]
}

// mem is base + index<<scale + disp; the index RSP stands for none.
type mem struct {
	base, index Reg
	scale       uint8
	disp        int32
}

func at(base Reg, disp int32) mem { return mem{base, RSP, 0, disp} }

// asm appends instructions to buf. Its methods are named for what they encode:
// an operation's form with a register as destination and a register (RR), or
// memory (RM) as source, or the other way round (MR), or an immediate.
type asm struct{ buf []byte }

func (a *asm) pos() int { return len(a.buf) }

func (a *asm) byte(b ...byte) { a.buf = append(a.buf, b...) }

func (a *asm) imm32(v int32) { a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(v)) }

// op is an opcode of one to three bytes, with what else decides the encoding.
type op struct {
	code   uint32 // 0x0f.. and 0x0f38.. included
	prefix byte   // 0x66, 0xf2, 0xf3 or 0
	w      bool   // 64 bits
	low    bool   // the register operands are bytes
	lowRM  bool   // only that of ModRM.rm is
}

func wide(code uint32) op { return op{code: code, w: true} }

func (a *asm) head(o op, reg, index, base Reg, rmIsReg bool) {
	if o.prefix != 0 {
		a.byte(o.prefix)
	}
	rex := byte(reg>>3)<<2 | byte(index>>3)<<1 | byte(base>>3)
	if o.w {
		rex |= 8
	}
	// Without REX, 4 to 7 as byte registers are ah to bh.
	need := o.low && reg >= 4 && reg < 8 || (o.low || o.lowRM) && rmIsReg && base >= 4 && base < 8
	if rex != 0 || need {
		a.byte(0x40 | rex)
	}
	if o.code > 0xffff {
		a.byte(byte(o.code >> 16))
	}
	if o.code > 0xff {
		a.byte(byte(o.code >> 8))
	}
	a.byte(byte(o.code))
}

// rr encodes a register operand and a register in the place of memory.
func (a *asm) rr(o op, reg, rm Reg) {
	a.head(o, reg, 0, rm, true)
	a.byte(0xc0 | byte(reg&7)<<3 | byte(rm&7))
}

// rm encodes a register operand and memory.
func (a *asm) rm(o op, reg Reg, m mem) {
	index := m.index
	if index == RSP {
		index = 0
	}
	a.head(o, reg, index, m.base, false)
	a.modrm(reg, m)
}

func (a *asm) modrm(reg Reg, m mem) {
	mod := byte(0x80)
	switch {
	case m.disp == 0 && m.base&7 != RBP:
		mod = 0
	case m.disp == int32(int8(m.disp)):
		mod = 0x40
	}
	if m.index != RSP || m.base&7 == RSP {
		a.byte(mod|byte(reg&7)<<3|4, m.scale<<6|byte(m.index&7)<<3|byte(m.base&7))
	} else {
		a.byte(mod | byte(reg&7)<<3 | byte(m.base&7))
	}
	switch mod {
	case 0x40:
		a.byte(byte(m.disp))
	case 0x80:
		a.imm32(m.disp)
	}
}

// The ALU operations, by the number that their encodings share.
type alu uint8

const (
	aluAdd alu = iota
	aluOr
	aluAdc
	aluSbb
	aluAnd
	aluSub
	aluXor
	aluCmp
)

func (o alu) String() string {
	return [...]string{"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"}[o&7]
}

func (a *asm) aluRR(o alu, w bool, dst, src Reg) { a.rr(op{code: uint32(o)<<3 | 3, w: w}, dst, src) }

func (a *asm) aluRM(o alu, w bool, dst Reg, m mem) { a.rm(op{code: uint32(o)<<3 | 3, w: w}, dst, m) }

func (a *asm) aluMR(o alu, w bool, m mem, src Reg) { a.rm(op{code: uint32(o)<<3 | 1, w: w}, src, m) }

func (a *asm) aluRI(o alu, w bool, dst Reg, v int32) {
	if v == int32(int8(v)) {
		a.rr(op{code: 0x83, w: w}, Reg(o), dst)
		a.byte(byte(v))
		return
	}
	a.rr(op{code: 0x81, w: w}, Reg(o), dst)
	a.imm32(v)
}

func (a *asm) aluMI(o alu, w bool, m mem, v int32) {
	if v == int32(int8(v)) {
		a.rm(op{code: 0x83, w: w}, Reg(o), m)
		a.byte(byte(v))
		return
	}
	a.rm(op{code: 0x81, w: w}, Reg(o), m)
	a.imm32(v)
}

func (a *asm) movRR(dst, src Reg) {
	if dst != src {
		a.rr(wide(0x8b), dst, src)
	}
}

// mov32RR also clears the upper half.
func (a *asm) mov32RR(dst, src Reg) { a.rr(op{code: 0x8b}, dst, src) }

func (a *asm) movRM(dst Reg, m mem)   { a.rm(wide(0x8b), dst, m) }
func (a *asm) mov32RM(dst Reg, m mem) { a.rm(op{code: 0x8b}, dst, m) }
func (a *asm) movMR(m mem, src Reg)   { a.rm(wide(0x89), src, m) }
func (a *asm) mov32MR(m mem, src Reg) { a.rm(op{code: 0x89}, src, m) }

// movRI loads a constant in the shortest form; zero changes the flags.
func (a *asm) movRI(dst Reg, v int64) {
	switch {
	case v == 0:
		a.aluRR(aluXor, false, dst, dst)
	case v == int64(uint32(v)):
		a.head(op{code: 0xb8 + uint32(dst&7)}, 0, 0, dst, false)
		a.imm32(int32(v))
	case v == int64(int32(v)):
		a.rr(wide(0xc7), 0, dst)
		a.imm32(int32(v))
	default:
		a.head(op{code: 0xb8 + uint32(dst&7), w: true}, 0, 0, dst, false)
		a.buf = binary.LittleEndian.AppendUint64(a.buf, uint64(v))
	}
}

// movMI stores a sign-extended constant.
func (a *asm) movMI(w bool, m mem, v int32) {
	a.rm(op{code: 0xc7, w: w}, 0, m)
	a.imm32(v)
}

func (a *asm) lea(dst Reg, m mem) { a.rm(wide(0x8d), dst, m) }

// movsxd extends the low half of src.
func (a *asm) movsxd(dst, src Reg) { a.rr(wide(0x63), dst, src) }

// shift is a shift's or rotation's number in its encodings.
type shift uint8

const (
	rol shift = 0
	ror shift = 1
	shl shift = 4
	shr shift = 5
	sar shift = 7
)

func (s shift) String() string {
	return [...]string{"rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"}[s&7]
}

func (a *asm) shiftRI(s shift, w bool, dst Reg, n uint8) {
	a.rr(op{code: 0xc1, w: w}, Reg(s), dst)
	a.byte(n)
}

// shiftCL shifts by CL.
func (a *asm) shiftCL(s shift, w bool, dst Reg) { a.rr(op{code: 0xd3, w: w}, Reg(s), dst) }

// cond is a condition code.
type cond uint8

const (
	ccB  cond = 2
	ccAE cond = 3
	ccE  cond = 4
	ccNE cond = 5
	ccBE cond = 6
	ccA  cond = 7
	ccS  cond = 8
	ccP  cond = 10
	ccNP cond = 11
	ccL  cond = 12
	ccGE cond = 13
	ccLE cond = 14
	ccG  cond = 15
)

func (c cond) String() string {
	return [...]string{"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"}[c&15]
}

// jcc and jmp leave the displacement to patch; they return where it is.
func (a *asm) jcc(c cond) int {
	a.byte(0x0f, 0x80|byte(c))
	a.imm32(0)
	return a.pos() - 4
}

func (a *asm) jmp() int {
	a.byte(0xe9)
	a.imm32(0)
	return a.pos() - 4
}

// patch makes the displacement at p lead to target.
func (a *asm) patch(p, target int) {
	binary.LittleEndian.PutUint32(a.buf[p:], uint32(target-(p+4)))
}

// here makes the displacements lead to the next instruction.
func (a *asm) here(ps ...int) {
	for _, p := range ps {
		a.patch(p, a.pos())
	}
}

func (a *asm) setcc(c cond, dst Reg) { a.rr(op{code: 0x0f90 | uint32(c), lowRM: true}, 0, dst) }

// zeroExtend8 extends the low byte of src.
func (a *asm) zeroExtend8(dst, src Reg) { a.rr(op{code: 0x0fb6, lowRM: true}, dst, src) }
