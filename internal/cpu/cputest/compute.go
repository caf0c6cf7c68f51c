package cputest

import (
	"fmt"
	"math/big"
	"strings"

	"doppel/internal/cpu"
)

// operands are the corners that integer instructions are tried with.
var operands = []uint64{
	0, 1, 2, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
	0x1_0000_0000, 0x0123_4567_89ab_cdef, 0x8000_0000_8000_0001, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000,
	0xffff_ffff_8000_0000, 0xffff_ffff_7fff_ffff, 0xffff_ffff_ffff_fffe, 0xffff_ffff_ffff_ffff,
}

// The references below are written for the eye: bit by bit, or with math/big.

func signed(v uint64) *big.Int   { return big.NewInt(int64(v)) }
func unsigned(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

func low(v *big.Int) uint64 {
	return new(big.Int).And(v, unsigned(^uint64(0))).Uint64()
}

func high(v *big.Int) uint64 { return low(new(big.Int).Rsh(v, 64)) }

func word(v uint64) uint64 { return uint64(int64(int32(v))) }

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func quotient(a, b *big.Int) *big.Int {
	if b.Sign() == 0 {
		return big.NewInt(-1)
	}
	return new(big.Int).Quo(a, b)
}

func remainder(a, b *big.Int) *big.Int {
	if b.Sign() == 0 {
		return a
	}
	return new(big.Int).Rem(a, b)
}

func bit(v uint64, i int) uint64 { return v >> i & 1 }

func fromBits(n int, f func(i int) uint64) (r uint64) {
	for i := range n {
		r |= f(i) & 1 << i
	}
	return r
}

func rotateLeft(v uint64, by, width int) uint64 {
	return fromBits(width, func(i int) uint64 { return bit(v, ((i-by)%width+width)%width) })
}

func count(n int, while func(i int) bool) uint64 {
	for i := range n {
		if !while(i) {
			return uint64(i)
		}
	}
	return uint64(n)
}

// carryless is the product without carries, 128 bits.
func carryless(a, b uint64) *big.Int {
	r := new(big.Int)
	for i := range 64 {
		if bit(b, i) == 1 {
			r.Xor(r, new(big.Int).Lsh(unsigned(a), uint(i)))
		}
	}
	return r
}

func mul(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

// binaryOps take rs1 and rs2.
var binaryOps = map[string]func(a, b uint64) uint64{
	"add":  func(a, b uint64) uint64 { return low(new(big.Int).Add(signed(a), signed(b))) },
	"sub":  func(a, b uint64) uint64 { return low(new(big.Int).Sub(signed(a), signed(b))) },
	"sll":  func(a, b uint64) uint64 { return low(new(big.Int).Lsh(unsigned(a), uint(b%64))) },
	"srl":  func(a, b uint64) uint64 { return low(new(big.Int).Rsh(unsigned(a), uint(b%64))) },
	"sra":  func(a, b uint64) uint64 { return low(new(big.Int).Rsh(signed(a), uint(b%64))) },
	"slt":  func(a, b uint64) uint64 { return truth(signed(a).Cmp(signed(b)) < 0) },
	"sltu": func(a, b uint64) uint64 { return truth(unsigned(a).Cmp(unsigned(b)) < 0) },
	"xor":  func(a, b uint64) uint64 { return fromBits(64, func(i int) uint64 { return bit(a, i) + bit(b, i) }) },
	"or":   func(a, b uint64) uint64 { return ^(^a & ^b) },
	"and":  func(a, b uint64) uint64 { return fromBits(64, func(i int) uint64 { return bit(a, i) * bit(b, i) }) },
	"addw": func(a, b uint64) uint64 { return word(a + b) },
	"subw": func(a, b uint64) uint64 { return word(a - b) },
	"sllw": func(a, b uint64) uint64 { return word(low(new(big.Int).Lsh(unsigned(a), uint(b%32)))) },
	"srlw": func(a, b uint64) uint64 { return word(a % (1 << 32) >> (b % 32)) },
	"sraw": func(a, b uint64) uint64 { return low(new(big.Int).Rsh(signed(word(a)), uint(b%32))) },

	"mul":    func(a, b uint64) uint64 { return low(mul(signed(a), signed(b))) },
	"mulh":   func(a, b uint64) uint64 { return high(mul(signed(a), signed(b))) },
	"mulhsu": func(a, b uint64) uint64 { return high(mul(signed(a), unsigned(b))) },
	"mulhu":  func(a, b uint64) uint64 { return high(mul(unsigned(a), unsigned(b))) },
	"mulw":   func(a, b uint64) uint64 { return word(low(mul(signed(a), signed(b)))) },
	"div":    func(a, b uint64) uint64 { return low(quotient(signed(a), signed(b))) },
	"divu":   func(a, b uint64) uint64 { return low(quotient(unsigned(a), unsigned(b))) },
	"rem":    func(a, b uint64) uint64 { return low(remainder(signed(a), signed(b))) },
	"remu":   func(a, b uint64) uint64 { return low(remainder(unsigned(a), unsigned(b))) },
	"divw":   func(a, b uint64) uint64 { return word(low(quotient(signed(word(a)), signed(word(b))))) },
	"divuw":  func(a, b uint64) uint64 { return word(low(quotient(unsigned(a%(1<<32)), unsigned(b%(1<<32))))) },
	"remw":   func(a, b uint64) uint64 { return word(low(remainder(signed(word(a)), signed(word(b))))) },
	"remuw":  func(a, b uint64) uint64 { return word(low(remainder(unsigned(a%(1<<32)), unsigned(b%(1<<32))))) },

	"sh1add":    func(a, b uint64) uint64 { return a*2 + b },
	"sh2add":    func(a, b uint64) uint64 { return a*4 + b },
	"sh3add":    func(a, b uint64) uint64 { return a*8 + b },
	"add.uw":    func(a, b uint64) uint64 { return a%(1<<32) + b },
	"sh1add.uw": func(a, b uint64) uint64 { return a%(1<<32)*2 + b },
	"sh2add.uw": func(a, b uint64) uint64 { return a%(1<<32)*4 + b },
	"sh3add.uw": func(a, b uint64) uint64 { return a%(1<<32)*8 + b },

	"andn": func(a, b uint64) uint64 {
		return fromBits(64, func(i int) uint64 { return bit(a, i) * (1 - bit(b, i)) })
	},
	"orn":  func(a, b uint64) uint64 { return ^(^a & b) },
	"xnor": func(a, b uint64) uint64 { return fromBits(64, func(i int) uint64 { return 1 + bit(a, i) + bit(b, i) }) },
	"max": func(a, b uint64) uint64 {
		if signed(a).Cmp(signed(b)) < 0 {
			return b
		}
		return a
	},
	"min": func(a, b uint64) uint64 {
		if signed(a).Cmp(signed(b)) < 0 {
			return a
		}
		return b
	},
	"maxu": func(a, b uint64) uint64 {
		if unsigned(a).Cmp(unsigned(b)) < 0 {
			return b
		}
		return a
	},
	"minu": func(a, b uint64) uint64 {
		if unsigned(a).Cmp(unsigned(b)) < 0 {
			return a
		}
		return b
	},
	"rol":  func(a, b uint64) uint64 { return rotateLeft(a, int(b%64), 64) },
	"ror":  func(a, b uint64) uint64 { return rotateLeft(a, -int(b%64), 64) },
	"rolw": func(a, b uint64) uint64 { return word(rotateLeft(a, int(b%32), 32)) },
	"rorw": func(a, b uint64) uint64 { return word(rotateLeft(a, -int(b%32), 32)) },

	"bclr": func(a, b uint64) uint64 {
		return fromBits(64, func(i int) uint64 { return bit(a, i) * truth(i != int(b%64)) })
	},
	"bext": func(a, b uint64) uint64 { return bit(a, int(b%64)) },
	"binv": func(a, b uint64) uint64 {
		return fromBits(64, func(i int) uint64 { return bit(a, i) + truth(i == int(b%64)) })
	},
	"bset": func(a, b uint64) uint64 {
		return fromBits(64, func(i int) uint64 { return bit(a, i) | truth(i == int(b%64)) })
	},

	"clmul":  func(a, b uint64) uint64 { return low(carryless(a, b)) },
	"clmulh": func(a, b uint64) uint64 { return high(carryless(a, b)) },
	"clmulr": func(a, b uint64) uint64 { return low(new(big.Int).Rsh(carryless(a, b), 63)) },

	"pack":  func(a, b uint64) uint64 { return a%(1<<32) + b<<32 },
	"packh": func(a, b uint64) uint64 { return a%256 + b%256<<8 },
	"packw": func(a, b uint64) uint64 { return word(a%(1<<16) + b<<16) },

	"czero.eqz": func(a, b uint64) uint64 { return a * truth(b != 0) },
	"czero.nez": func(a, b uint64) uint64 { return a * truth(b == 0) },
	"mop.rr.5":  func(a, b uint64) uint64 { return 0 },
}

// unaryOps take rs1.
var unaryOps = map[string]func(a uint64) uint64{
	"clz":    func(a uint64) uint64 { return count(64, func(i int) bool { return bit(a, 63-i) == 0 }) },
	"ctz":    func(a uint64) uint64 { return count(64, func(i int) bool { return bit(a, i) == 0 }) },
	"clzw":   func(a uint64) uint64 { return count(32, func(i int) bool { return bit(a, 31-i) == 0 }) },
	"ctzw":   func(a uint64) uint64 { return count(32, func(i int) bool { return bit(a, i) == 0 }) },
	"cpop":   func(a uint64) uint64 { return uint64(strings.Count(fmt.Sprintf("%b", a), "1")) },
	"cpopw":  func(a uint64) uint64 { return uint64(strings.Count(fmt.Sprintf("%b", uint32(a)), "1")) },
	"sext.b": func(a uint64) uint64 { return a%128 - a&128 },
	"sext.h": func(a uint64) uint64 { return a%(1<<15) - a&(1<<15) },
	"zext.h": func(a uint64) uint64 { return a % (1 << 16) },
	"orc.b": func(a uint64) uint64 {
		return fromBits(64, func(i int) uint64 { return truth(a>>(i&^7)&255 != 0) })
	},
	"rev8":     func(a uint64) uint64 { return fromBits(64, func(i int) uint64 { return bit(a, 56-i&^7+i&7) }) },
	"brev8":    func(a uint64) uint64 { return fromBits(64, func(i int) uint64 { return bit(a, i&^7+7-i&7) }) },
	"mop.r.17": func(a uint64) uint64 { return 0 },
}

// immediateOps are binaryOps with an immediate in place of rs2.
var immediateOps = map[string]string{
	"addi": "add", "slti": "slt", "sltiu": "sltu", "xori": "xor", "ori": "or", "andi": "and", "addiw": "addw",
}

// shiftOps are those with a shift amount.
var shiftOps = map[string]string{
	"slli": "sll", "srli": "srl", "srai": "sra", "rori": "ror", "bclri": "bclr", "bexti": "bext", "binvi": "binv",
	"bseti": "bset", "slliw": "sllw", "srliw": "srlw", "sraiw": "sraw", "roriw": "rorw", "slli.uw": "slli.uw",
}

// computation is one instruction with the registers it reads in a0 and a1.
type computation struct {
	form   string // has rd as %s
	f      func(a, b uint64) uint64
	binary bool
}

func computations() (out []computation) {
	for name, f := range binaryOps {
		out = append(out, computation{form: name + " %s, a0, a1", f: f, binary: true})
	}
	for name, f := range unaryOps {
		out = append(out, computation{form: name + " %s, a0", f: func(a, _ uint64) uint64 { return f(a) }})
	}
	for name, as := range immediateOps {
		for _, imm := range []int64{0, 1, -1, 2047, -2048, 255, 0x555} {
			out = append(out, computation{form: fmt.Sprintf("%s %%s, a0, %d", name, imm),
				f: func(a, _ uint64) uint64 { return binaryOps[as](a, uint64(imm)) }})
		}
	}
	for name, as := range shiftOps {
		f := binaryOps[as]
		if name == "slli.uw" {
			f = func(a, b uint64) uint64 { return a % (1 << 32) << b }
		}
		most := 64
		if strings.HasSuffix(name, "iw") {
			most = 32
		}
		for n := range most {
			out = append(out, computation{form: fmt.Sprintf("%s %%s, a0, %d", name, n),
				f: func(a, _ uint64) uint64 { return f(a, uint64(n)) }})
		}
	}
	return append(out,
		computation{form: "lui %s, 0x12345", f: func(_, _ uint64) uint64 { return 0x12345000 }},
		computation{form: "lui %s, 0xfffff", f: func(_, _ uint64) uint64 { return ^uint64(0xfff) }},
	)
}

// checkCompute compares every integer computation with a reference, on the
// corners, with rd apart from and the same as rs1.
func checkCompute(t TB, newEngine New) {
	list := computations()
	var src strings.Builder
	for i, c := range list {
		for j, rd := range []string{"a2", "a0"} {
			fmt.Fprintf(&src, "op%d_%d: %s\n", i, j, fmt.Sprintf(c.form, rd))
		}
	}
	m := NewMachine(t, newEngine, src.String(), Options{})
	h := m.Hart()
	for i, c := range list {
		for j, rd := range []int{12, 10} {
			label := fmt.Sprintf("op%d_%d", i, j)
			at := m.Sym(label)
			for _, a := range operands {
				for _, b := range operands {
					h.X[10], h.X[11] = a, b
					h.PC = at
					m.exit(m.CPUs[0].Run(1), cpu.ExitBudget)
					if want := c.f(a, b); h.X[rd] != want || h.PC != at+4 {
						t.Fatalf("%s: a0=%#x a1=%#x: %#x, want %#x; pc %#x", c.form, a, b, h.X[rd], want, h.PC)
					}
					if !c.binary {
						break
					}
				}
			}
		}
	}
}

// checkComputeX0: what is written to x0 is lost.
func checkComputeX0(t TB, newEngine New) {
	list := computations()
	var src strings.Builder
	for _, c := range list {
		fmt.Fprintf(&src, "%s\nor s0, s0, x0\n", fmt.Sprintf(c.form, "x0"))
	}
	src.WriteString(`
	la a3, data
	lb x0, 0(a3)
	or s0, s0, x0
	ld x0, 0(a3)
	or s0, s0, x0
	auipc x0, 1
	or s0, s0, x0
	jal x0, 1f
	or s0, s0, x0
1:	jalr x0, 4(a3)
	or s0, s0, x0
	.balign 4
data:	.word -1
	amoadd.w x0, a3, (a3)
	or s0, s0, x0
	lr.w x0, (a3)
	or s0, s0, x0
	csrr x0, mhartid
	or s0, s0, x0
	li a4, 0x6000
	csrs mstatus, a4
	fmv.x.d x0, fa0
	or s0, s0, x0
	fclass.s x0, fa0
	or s0, s0, x0
	feq.d x0, fa0, fa0
	or s0, s0, x0
	fcvt.w.d x0, fa0
	or s0, s0, x0
	addi a5, x0, 7
done:	j done
`)
	m := NewMachine(t, newEngine, src.String(), Options{})
	m.Hart().X[10], m.Hart().X[11] = 0x123456789, 0x987654321
	m.Finish()
	m.want("x0", m.Hart().X[0], 0)
	m.want("all that x0 was", m.Hart().X[8], 0)
	m.want("x0 + 7", m.Hart().X[15], 7)
}

// checkBranches: every condition on every pair of corners.
func checkBranches(t TB, newEngine New) {
	conditions := map[string]func(a, b uint64) bool{
		"beq":  func(a, b uint64) bool { return a == b },
		"bne":  func(a, b uint64) bool { return a != b },
		"blt":  func(a, b uint64) bool { return signed(a).Cmp(signed(b)) < 0 },
		"bge":  func(a, b uint64) bool { return signed(a).Cmp(signed(b)) >= 0 },
		"bltu": func(a, b uint64) bool { return unsigned(a).Cmp(unsigned(b)) < 0 },
		"bgeu": func(a, b uint64) bool { return unsigned(a).Cmp(unsigned(b)) >= 0 },
	}
	var src strings.Builder
	for name := range conditions {
		fmt.Fprintf(&src, "nop\nto_%s: nop\n%s: %s a0, a1, to_%s\n", name, name, name, name)
	}
	m := NewMachine(t, newEngine, src.String(), Options{})
	h := m.Hart()
	for name, taken := range conditions {
		for _, a := range operands {
			for _, b := range operands {
				h.X[10], h.X[11] = a, b
				m.step(name)
				want := m.Sym(name) + 4
				if taken(a, b) {
					want = m.Sym("to_" + name)
				}
				if h.PC != want {
					t.Fatalf("%s %#x, %#x: pc %#x, want %#x", name, a, b, h.PC, want)
				}
			}
		}
	}
}

// checkJumps: link values of both lengths, computed targets, rd = rs1.
func checkJumps(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	jal a1, 1f
	nop
1:	la a2, 2f+1		# bit 0 is cleared
	jalr a3, 0(a2)
	nop
2:	la a4, 3f-8
	jalr a4, 8(a4)		# the target is read before the link is written
	nop
3:	auipc a5, 0x12
	.option rvc
	la a6, 4f
	c.jalr a6
4:	mv a7, ra
	.option norvc
	.balign 4
done:	j done
`, Options{})
	m.Finish()
	h := m.Hart()
	m.want("link of jal", h.X[11], Base+4)
	m.want("link of jalr", h.X[13], Base+8+12)
	m.want("link of jalr to its own target", h.X[14], Base+8+16+12)
	m.want("auipc", h.X[15], Base+8+16+12+4+0x12000)
	m.want("link of c.jalr", h.X[17], h.X[16])
}
