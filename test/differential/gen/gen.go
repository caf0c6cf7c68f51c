// Package gen makes random RISC-V programs for differential tests: short
// snippets that use every instruction an unprivileged program may, on operands
// where implementations go wrong, and that always end by falling off their
// last instruction.
//
// A snippet relies on a few registers that it never writes: GP is the caller's
// own, the pointers lead into the scratch memory. All else is fair game.
//
// A Generator is used by one goroutine; the same seed gives the same programs.
package gen

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"doppel/internal/riscv"
)

// ScratchSize is the length of the memory that snippets load from and store
// to. It starts ScratchSize/2 before a page boundary.
const ScratchSize = 1024

// GP is the register that belongs to whoever runs the snippet.
const GP = 3

// pointers are the registers that lead into the scratch memory: the stack
// pointer and two that compressed instructions reach.
var pointers = [...]uint8{2, 8, 9}

// Program is a snippet and the state that it starts from.
type Program struct {
	Code    []Code
	X, F    [32]uint64 // X[GP] is ignored
	FCSR    uint64
	Scratch [ScratchSize]byte
}

// Code is one encoded instruction.
type Code struct {
	Raw uint32
	Len uint8
}

// Inst decodes it.
func (c Code) Inst() riscv.Inst { return riscv.Decode(c.Raw) }

// Append adds the bytes of the program's instructions to b.
func (p *Program) Append(b []byte) []byte {
	for _, c := range p.Code {
		b = append(b, byte(c.Raw), byte(c.Raw>>8))
		if c.Len == 4 {
			b = append(b, byte(c.Raw>>16), byte(c.Raw>>24))
		}
	}
	return b
}

// Size is the length of the program's instructions in bytes.
func (p *Program) Size() (n uint64) {
	for _, c := range p.Code {
		n += uint64(c.Len)
	}
	return n
}

// Disassemble lists the program as it lies at pc, nops left out.
func (p *Program) Disassemble(pc uint64) string {
	var b strings.Builder
	for _, c := range p.Code {
		if c != nop(4) && c != nop(2) {
			fmt.Fprintf(&b, "  %#x: %0*x  %s\n", pc, 2*int(c.Len), c.Raw, c.Inst().Disassemble(pc))
		}
		pc += uint64(c.Len)
	}
	return b.String()
}

func nop(n uint8) Code {
	if n == 2 {
		return Code{0x0001, 2}
	}
	return Code{0x0000_0013, 4}
}

// Without is the program with instructions i to j-1 replaced by nops of their
// size, so that branches keep their meaning. ok is false if they were so already.
func (p *Program) Without(i, j int) (q *Program, ok bool) {
	c := *p
	c.Code = append([]Code(nil), p.Code...)
	for k := i; k < j; k++ {
		if n := nop(c.Code[k].Len); c.Code[k] != n {
			c.Code[k], ok = n, true
		}
	}
	return &c, ok
}

// Config limits what programs hold.
type Config struct {
	Scratch uint64                     // address of the scratch memory
	Has     func(riscv.Extension) bool // extensions to use
	Length  int                        // about how many instructions
	Locked  []uint8                    // more integer registers never to write
	Avoid   func(riscv.Inst) bool      // instructions to leave out; may be nil
	Keep    func(riscv.Inst) bool      // those whose floating-point result is to be stored; may be nil
}

// Generator makes programs.
type Generator struct {
	cfg Config
	r   *rand.Rand
	ops []riscv.Op

	// Of the program under construction:
	p        *Program
	locked   [32]bool // integer registers not to write
	open     []open   // branches whose targets are not there yet
	compress int      // of 4: how often an instruction is compressed
}

// open is a forward jump: instruction at becomes inst, leading to the unit
// after left more.
type open struct {
	at, left int
	inst     riscv.Inst
}

// New seeds a generator.
func New(seed uint64, cfg Config) *Generator {
	g := &Generator{cfg: cfg, r: rand.New(rand.NewPCG(seed, 0x646f7070656c))}
	for op := riscv.ILLEGAL + 1; op < riscv.NumOps; op++ {
		if _, out := Excluded[op]; !out && cfg.Has(op.Extension()) {
			g.ops = append(g.ops, op)
		}
	}
	return g
}

// Excluded are the instructions that snippets never hold, with the reason.
var Excluded = map[riscv.Op]string{
	riscv.ECALL:           "leaves the program",
	riscv.EBREAK:          "leaves the program",
	riscv.MRET:            "privileged",
	riscv.SRET:            "privileged",
	riscv.WFI:             "privileged",
	riscv.SFENCE_VMA:      "privileged",
	riscv.SINVAL_VMA:      "privileged",
	riscv.SFENCE_W_INVAL:  "privileged",
	riscv.SFENCE_INVAL_IR: "privileged",
	riscv.CBO_INVAL:       "needs permission of the supervisor, and may lose stores",
	riscv.CBO_CLEAN:       "needs permission of the supervisor",
	riscv.CBO_FLUSH:       "needs permission of the supervisor",
	riscv.WRS_NTO:         "waits as long as the implementation likes",
	riscv.WRS_STO:         "waits as long as the implementation likes",
}

// Next makes a program.
func (g *Generator) Next() *Program {
	g.p = &Program{}
	g.locked = [32]bool{0: false, GP: true}
	for _, r := range g.cfg.Locked {
		g.locked[r] = true
	}
	g.open = g.open[:0]
	g.compress = g.r.IntN(4)
	g.state()
	// A few programs live on one extension's instructions, to have them meet each other.
	n := 1 + g.cfg.Length/2 + g.r.IntN(g.cfg.Length)
	ops := g.ops
	if g.r.IntN(3) == 0 {
		ops = g.family()
	}
	for len(g.p.Code) < n || len(g.open) > 0 {
		if len(g.p.Code) < n {
			g.instruction(ops[g.r.IntN(len(ops))])
		} else {
			g.alu()
		}
		g.boundary()
	}
	return g.p
}

// family picks one extension and returns its instructions, with some others.
func (g *Generator) family() []riscv.Op {
	ext := g.ops[g.r.IntN(len(g.ops))].Extension()
	var ops []riscv.Op
	for _, op := range g.ops {
		if op.Extension() == ext || g.r.IntN(16) == 0 {
			ops = append(ops, op)
		}
	}
	return ops
}

// state fills the registers and the scratch memory.
func (g *Generator) state() {
	p := g.p
	for i := range p.X {
		p.X[i] = g.integer()
		p.F[i] = g.float()
	}
	p.X[0] = 0
	for _, r := range pointers {
		g.locked[r] = true
		p.X[r] = g.pointer()
	}
	// frm 5 to 7 would make every dynamically rounded instruction trap (unpriv §20.2).
	p.FCSR = uint64(g.r.IntN(5))<<5 | uint64(g.r.IntN(32))
	for i := 0; i < ScratchSize; i += 8 {
		v := g.integer()
		if g.r.IntN(2) == 0 {
			v = g.float()
		}
		for j := range 8 {
			p.Scratch[i+j] = byte(v >> (8 * j))
		}
	}
}

// margin is how far from either end of the scratch memory pointers stay, and
// so how large offsets may be, with 64 bytes to spare for the access itself.
const margin = 256

func (g *Generator) pointer() uint64 {
	mid := g.cfg.Scratch + ScratchSize/2
	switch g.r.IntN(4) {
	case 0: // at the page boundary or just off it
		return mid + uint64(int64(g.r.IntN(33)-16))
	case 1:
		return mid + uint64(int64(g.r.IntN(2*(ScratchSize/2-margin-64))-(ScratchSize/2-margin-64)))&^15
	default: // compressed instructions reach upwards only
		return mid - 128 + uint64(g.r.IntN(24))*8
	}
}

// emit appends an instruction, compressed if it can be and chance has it.
func (g *Generator) emit(i riscv.Inst) {
	g.raw(g.encode(i))
}

func (g *Generator) encode(i riscv.Inst) Code {
	if g.r.IntN(4) < g.compress {
		if c, ok := riscv.Compress(i); ok && g.compressible(c) {
			return Code{uint32(c), 2}
		}
	}
	return g.uncompressed(i)
}

// compressible tells whether the processor has the compressed encoding as well
// as the instruction; those of Zcb look like others.
func (g *Generator) compressible(c uint16) bool {
	if g.cfg.Has(riscv.ExtZcb) {
		return true
	}
	quadrant0 := c&0xe003 == 0x8000                       // c.lbu to c.sh
	quadrant1 := c&0xfc63 == 0x9c41 || c&0xfc63 == 0x9c61 // c.mul, c.zext.b to c.not
	return !quadrant0 && !quadrant1
}

func (g *Generator) raw(c Code) { g.p.Code = append(g.p.Code, c) }

// boundary closes the jumps that have led far enough. It comes between units:
// instructions that belong together, such as the computation of an address and
// its use, which no jump may part.
func (g *Generator) boundary() {
	kept := g.open[:0]
	for _, o := range g.open {
		if o.left--; o.left > 0 {
			kept = append(kept, o)
			continue
		}
		for _, c := range g.p.Code[o.at:] {
			o.inst.Imm += int64(c.Len)
		}
		g.p.Code[o.at] = g.uncompressed(o.inst)
	}
	g.open = kept
}

// forward emits a jump over the next few units; inst.Imm is added to the
// distance from the jump itself.
func (g *Generator) forward(i riscv.Inst) {
	g.open = append(g.open, open{at: len(g.p.Code), left: 2 + g.r.IntN(6), inst: i})
	g.raw(nop(4))
}

func (g *Generator) uncompressed(i riscv.Inst) Code {
	raw, err := riscv.Encode(i)
	if err != nil {
		panic(fmt.Sprintf("BUG: generator: %v: %v", i, err))
	}
	return Code{raw, 4}
}
