// Package ir is what the translator's front and back ends share: a block of
// guest code as a flat list of micro-operations. It is plain data, knows
// neither a guest's encoding nor a host, and does nothing but print itself.
//
// An Inst stands for one guest instruction or a part of one. It is done inline
// or, where a back end or the moment does not allow that, by the engine's
// interpreter, which takes the guest instruction by its Index: any Inst may
// thus leave the code before it has had an effect.
package ir

import (
	"fmt"
	"strings"
)

// Reg is a guest register: 0 to 31 are integer registers, of which 0 is always
// zero, and F0 to F0+31 floating-point registers.
type Reg uint8

// F0 is the first floating-point register.
const F0 Reg = 32

func (r Reg) String() string {
	if r >= F0 {
		return fmt.Sprintf("f%d", r-F0)
	}
	return fmt.Sprintf("x%d", r)
}

// Op is a micro-operation.
type Op uint8

const (
	Nop Op = iota
	// Slow is a guest instruction that only the interpreter executes.
	Slow
	Const // Dst = Imm
	PC    // Dst = the address Imm bytes from the start of the block's page

	// Dst = A op B, or op Imm if Flags has Immediate.
	Add
	Sub
	And
	Or
	Xor
	AndNot // A and not B
	OrNot
	XorNot
	Shl
	Shr
	Sar
	Rol
	Ror
	Slt
	Sltu
	Min
	Max
	MinU
	MaxU
	Mul
	MulH
	MulHSU
	MulHU
	Div
	DivU
	Rem
	RemU
	ShlAdd  // (A << Imm) + B
	ZextAdd // (zext32(A) << Imm) + B
	ZextShl // zext32(A) << Imm
	BitClr
	BitExt
	BitInv
	BitSet
	ZeroIfZero    // B == 0 ? 0 : A
	ZeroIfNonzero // B != 0 ? 0 : A
	Pack          // the low half of B above that of A; of the low 32 bits if Flags has Word
	PackBytes     // the low byte of B above that of A
	ClMul         // without carries: the low half of the product,
	ClMulH        // the high half,
	ClMulR        // 64 bits from bit 63

	// Dst = op A.
	Clz
	Ctz
	Popcnt
	SextB
	SextH
	ZextH
	ByteSwap
	OrBytes // every byte that is not zero is 0xff
	RevBits // in each byte

	// Memory: Size bytes at A + Imm.
	Load  // to Dst, extended as Flags has Signed; Dst may be x0
	Store // from B
	// Atomics at A, sequentially consistent: Dst = old value, B is the operand.
	AmoSwap
	AmoAdd
	AmoAnd
	AmoOr
	AmoXor
	AmoCas // expected in Dst
	AmoMin
	AmoMax
	AmoMinU
	AmoMaxU
	LoadReserved // Imm says what is ordered before, as for Barrier
	StoreConditional
	Barrier // orders what the bits of Imm say, see Order
	// ZeroLine stores 64 zeroes at A without its low six bits.
	ZeroLine

	// CSR Target: Dst = old value; it becomes A, or Imm if Flags has Immediate,
	// or has the bits of that set or cleared. A CSRSet of the immediate 0 only
	// reads.
	CSRSwap
	CSRSet
	CSRClear
	Call   // ecall, which is at Target
	Return // sret

	// Across begins a block of one instruction that lies in two pages: the
	// second one must be known and begin with the 16 bits Imm.
	Across

	// Check, in regions, does what the first of the accesses that share Site does
	// for all (see Inst), and leads to the block Target where these must have
	// checks of their own.
	Check

	// Control. Target is an offset from the start of the block's page; it may
	// be outside the page.
	Branch  // to Target if A Cond B; else the block goes on
	Jump    // to Target; Dst, unless x0, = the address Imm
	JumpReg // to A + Imm without its lowest bit; Dst = the address Target

	// Floating point. Size 4 is single, 8 double. Target is the offset of the
	// guest instruction that follows.
	FAdd
	FSub
	FMul
	FDiv
	FSqrt
	FMAdd // A*B+C
	FMSub
	FNMSub
	FNMAdd
	FSgnj
	FSgnjN
	FSgnjX
	FMin
	FMax
	FEq
	FLt
	FLe
	FLoad
	FStore
	FToX   // the bits
	FFromX // the bits
	FToI   // to a signed integer, see Flags
	FToU
	FFromI // from a signed integer
	FFromU
	FToF  // from the other Size to Size
	FMinM // as FMin, but NaN if A or B is
	FMaxM
	FLtQ // as FLt, but quiet NaNs raise nothing
	FLeQ
	FRound   // to an integer, without raising NX
	FRoundNX // to an integer
	FClass
	FConst // Dst = the bits Imm
	// The CSR whose number is Size: fflags, frm or fcsr. Dst = old value;
	// the operand is A or Imm.
	FCSRRead
	FCSRWrite
	FCSRSet
	FCSRClear
	numOps
)

var names = [...]string{"nop", "slow", "const", "pc", "add", "sub", "and", "or", "xor", "andn", "orn", "xorn", "shl", "shr", "sar",
	"rol", "ror", "slt", "sltu", "min", "max", "minu", "maxu", "mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu",
	"shladd", "zextadd", "zextshl", "bitclr", "bitext", "bitinv", "bitset", "zeroifz", "zeroifnz", "pack", "packb", "clmul", "clmulh", "clmulr", "clz", "ctz", "popcnt",
	"sextb", "sexth", "zexth", "bswap", "orbytes", "revbits", "load", "store", "amoswap", "amoadd", "amoand", "amoor", "amoxor", "amocas", "amomin", "amomax", "amominu", "amomaxu",
	"lr", "sc",
	"barrier", "zeroline", "csrswap", "csrset", "csrclear", "call", "return", "across", "check", "branch", "jump", "jumpreg", "fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmadd", "fmsub", "fnmsub",
	"fnmadd", "fsgnj", "fsgnjn", "fsgnjx", "fmin", "fmax", "feq", "flt", "fle", "fload", "fstore", "ftox", "ffromx", "ftoi",
	"ftou", "ffromi", "ffromu", "ftof", "fminm", "fmaxm", "fltq", "fleq", "fround", "froundnx", "fclass", "fconst",
	"fcsrr", "fcsrw", "fcsrs", "fcsrc"}

var _ = [1]struct{}{}[len(names)-int(numOps)] // as many names as Ops

func (o Op) String() string {
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("Op(%d)", uint8(o))
}

// Flags modify an Op.
type Flags uint16

const (
	Immediate Flags = 1 << iota // Imm in place of B
	Word                        // on the low 32 bits; an integer result is sign-extended
	Signed
	Truncate // FToI, FToU: round towards zero
	Undone   // FLt, FLe: the next Inst, an FCSRWrite that has Undone too, takes back what flags this raises
	Stores   // an access whose Site is one for stores
	Loose    // with Word: the upper half of the result may be anything
	Roams    // an access with a Site that is seldom in the page where it was last
	Likely   // a Store or FStore that is executed in every second pass of its block at least
)

func (f Flags) String() string {
	s := ""
	for i, n := range []string{"i", "w", "s", "t", "u", "st", "l", "r", "y"} {
		if f>>i&1 != 0 {
			s += n
		}
	}
	return s
}

// Round is a rounding mode.
type Round uint8

const (
	Dynamic Round = iota // frm's
	Nearest              // from here as frm has them
	Zero
	Down
	Up
	Away // to nearest, ties away from zero
)

func (r Round) String() string { return [...]string{"dyn", "rne", "rtz", "rdn", "rup", "rmm"}[r%6] }

// Cond is the condition of a Branch.
type Cond uint8

const (
	EQ Cond = iota
	NE
	LT
	GE
	LTU
	GEU
)

// Not is the condition that holds where c does not.
func (c Cond) Not() Cond { return c ^ 1 }

func (c Cond) String() string { return [...]string{"eq", "ne", "lt", "ge", "ltu", "geu"}[c%6] }

// Order is a set of pairs of accesses that a Barrier keeps in order: the first
// before it, the second after it.
type Order uint8

const (
	ReadRead Order = 1 << iota
	ReadWrite
	WriteRead
	WriteWrite
)

func (o Order) String() string {
	s := ""
	for i, n := range []string{"rr", "rw", "wr", "ww"} {
		if o>>i&1 != 0 {
			s += n
		}
	}
	return s
}

// Inst is a micro-operation.
type Inst struct {
	Flags        Flags
	Op           Op
	Size         uint8
	Cond         Cond
	Round        Round // of floating point
	Dst, A, B, C Reg
	Index        uint8 // of the guest instruction in the block
	Target       int32
	Imm          int64

	// In regions, accesses that share a Site are of one page, near each other:
	// the first of them checks the Span bytes at A + Low for all; Span is 0
	// in the others. Or a Check does, and it is 0 in all of them. Sites count from 1.
	Site, Span uint16
	Low        int32
}

func (i Inst) String() string {
	s := fmt.Sprintf("%2d %s", i.Index, i.Op)
	if i.Flags != 0 {
		s += "." + i.Flags.String()
	}
	if i.Size != 0 {
		s += fmt.Sprintf(".%d", 8*int(i.Size))
	}
	if i.Round != Dynamic {
		s += "." + i.Round.String()
	}
	if i.Op == Branch {
		return s + fmt.Sprintf(".%v %v, %v, %+#x", i.Cond, i.A, i.B, i.Target)
	}
	if i.Site != 0 {
		s += fmt.Sprintf(" [site %d, %d at %d]", i.Site, i.Span, i.Low)
	}
	return s + fmt.Sprintf(" %v, %v, %v, %v, %#x, %+#x", i.Dst, i.A, i.B, i.C, i.Imm, i.Target)
}

// Block is guest code that is entered at its start only. Its control leaves by
// branches and at its end.
type Block struct {
	Start int32 // offset in the page
	Count int   // guest instructions: what a pass to the end retires
	Insts []Inst
}

func (b *Block) String() string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "block at %#x, %d instructions\n", b.Start, b.Count)
	for _, in := range b.Insts {
		fmt.Fprintln(&sb, in)
	}
	return sb.String()
}
