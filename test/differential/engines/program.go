package engines

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"doppel/internal/riscv"
	"doppel/test/differential/gen"
)

// Registers with a part to play, which snippets do not write.
const (
	poolReg = gen.GP // leads to the pool of addresses
	walker  = 18     // 18 to 20 walk through memory
	counter = 25     // 25 to 27 count loops
)

var locked = []uint8{walker, walker + 1, walker + 2, counter, counter + 1, counter + 2}

// theme says what a program is made of, by weight.
type theme struct {
	name  string
	kinds [numKinds]int
	plain bool // snippets hold only common instructions
	clean bool // walkers stay in plain memory
	tight bool // a small program of what hot loops are made of
}

// kind is a kind of statement.
type kind uint8

const (
	snippet kind = iota // straight-line code, short jumps and short loops
	access              // loads and stores through a walker
	advance             // a walker goes on
	rebase              // a walker starts anew
	branch              // if, with or without else
	loop
	call
	table        // a jump through a register
	trap         // ecall, ebreak, an illegal instruction
	privil       // CSRs and fences
	rewrite      // an instruction of the program is replaced
	far          // a jump to just before the end of a page
	flags        // floating-point flags are read, or cleared
	known        // constants of all widths, and what is done with them
	group        // accesses near each other, off one base that may move
	numKinds int = iota
)

func (k kind) String() string {
	return [...]string{"snippet", "access", "advance", "rebase", "branch", "loop", "call", "table", "trap", "privil", "rewrite", "far", "flags", "known", "group"}[k]
}

var themes = []theme{
	{name: "compute", kinds: [numKinds]int{snippet: 6, known: 3, access: 2, branch: 3, loop: 3}, plain: true, clean: true},
	{name: "memory", kinds: [numKinds]int{snippet: 2, access: 8, advance: 3, rebase: 1, branch: 2, loop: 3}, plain: true, clean: true},
	{name: "calls", kinds: [numKinds]int{snippet: 4, access: 3, branch: 2, loop: 2, call: 4, table: 2, far: 1}, plain: true, clean: true},
	{name: "late faults", kinds: [numKinds]int{snippet: 2, access: 8, advance: 4, branch: 2, loop: 3, call: 1}, plain: true},
	{name: "everything", kinds: [numKinds]int{snippet: 6, known: 1, access: 6, advance: 2, rebase: 2, branch: 3, loop: 3, call: 2, table: 1, trap: 1, privil: 1, rewrite: 1, far: 1}},
	{name: "system", kinds: [numKinds]int{snippet: 3, access: 4, advance: 1, rebase: 2, branch: 1, loop: 2, call: 1, trap: 4, privil: 4, far: 1}, plain: true},
	{name: "rewriting", kinds: [numKinds]int{snippet: 4, access: 1, branch: 2, loop: 3, call: 2, rewrite: 3, far: 2}, plain: true, clean: true},
	{name: "tight", kinds: [numKinds]int{snippet: 4, known: 3, access: 5, advance: 2, branch: 2, loop: 4, call: 1}, clean: true, tight: true},
	{name: "constants", kinds: [numKinds]int{snippet: 1, known: 8, access: 1, branch: 2, loop: 4}, clean: true, tight: true},
	{name: "tight, late faults", kinds: [numKinds]int{snippet: 3, known: 1, access: 6, advance: 3, branch: 2, loop: 4, call: 1, far: 1}, tight: true},
	{name: "tight, other contexts", kinds: [numKinds]int{snippet: 1, access: 6, advance: 1, rebase: 1, branch: 1, loop: 5, trap: 2, privil: 1}, tight: true},
	{name: "float", kinds: [numKinds]int{snippet: 8, flags: 2, access: 2, branch: 1, loop: 3}, plain: true, clean: true},
	{name: "groups", kinds: [numKinds]int{snippet: 1, access: 1, group: 8, advance: 2, rebase: 1, branch: 2, loop: 3, call: 1}, plain: true, clean: true},
	{name: "groups, late faults", kinds: [numKinds]int{snippet: 1, access: 1, group: 8, advance: 4, rebase: 1, branch: 2, loop: 3, privil: 1, trap: 1}, plain: true},
	{name: "instructions", kinds: [numKinds]int{snippet: 10, access: 2, branch: 1, loop: 2}, clean: true},
}

// program is a world with code in it.
type program struct {
	*world
	theme theme
	code  []byte
	start uint64            // offset of the first instruction
	gens  [4]*gen.Generator // of snippets: common instructions, all, floating point, those of hot loops
	funcs []label           // of calls
	sites []int             // instructions that rewrite may replace
	depth int               // of loops
	kept  []uint8           // registers that a group's accesses go through
}

// label is a place in the code, or what waits for it.
type label struct {
	at   int // -1: not known
	uses []use
}

type use struct {
	at   int
	inst riscv.Inst
}

// newProgram makes the world and the program of a seed.
func newProgram(seed uint64) *program {
	r := rand.New(rand.NewPCG(seed, 0x656e67))
	p := &program{world: newWorld(r), theme: themes[r.IntN(len(themes))]}
	if r.IntN(3) == 0 {
		p.theme = themes[slices.IndexFunc(themes, func(t theme) bool { return t.tight })+r.IntN(4)]
	}
	p.generators(r.Uint64())
	p.start = uint64(r.IntN(64)) * 2
	if p.chance(2) {
		p.start = page - uint64(r.IntN(200))*2
	}
	p.code = make([]byte, p.start)
	size := 10 + r.IntN(60)
	if p.theme.tight {
		size = 2 + r.IntN(8)
	}
	p.functions()
	top := p.here()
	p.start = uint64(top.at)
	for range 3 {
		p.rebase()
	}
	body := p.here()
	for range size {
		p.statement()
	}
	if !p.theme.clean && p.chance(2) {
		// The walkers go on and on.
		p.jump(riscv.Inst{Op: riscv.JAL}, &body)
	}
	p.jump(riscv.Inst{Op: riscv.JAL}, &top)
	if len(p.code) > codePages*page {
		panic(fmt.Sprintf("BUG: a program of %d bytes", len(p.code)))
	}
	p.finish()
	return p
}

// generators makes those of snippets: of common instructions, and of all.
func (p *program) generators(seed uint64) {
	scratch := p.data() + 2*page - gen.ScratchSize/2
	rare := func(i riscv.Inst) bool {
		op := i.Op
		return op >= riscv.CSRRW && op <= riscv.CSRRCI || op >= riscv.LR_W && op <= riscv.AMOCAS_Q || op == riscv.CBO_ZERO
	}
	p.gens[0] = gen.New(seed, gen.Config{Scratch: scratch, Length: 6, Locked: locked, Avoid: rare, Has: func(e riscv.Extension) bool {
		return e == riscv.ExtI || e == riscv.ExtM || e == riscv.ExtF || e == riscv.ExtD || e == riscv.ExtZba || e == riscv.ExtZbb || e == riscv.ExtZbs
	}})
	p.gens[1] = gen.New(seed, gen.Config{Scratch: scratch, Length: 8, Locked: locked, Has: func(riscv.Extension) bool { return true }})
	p.gens[2] = gen.New(seed, gen.Config{Scratch: scratch, Length: 8, Locked: locked, Avoid: rare, Has: func(e riscv.Extension) bool {
		return e == riscv.ExtF || e == riscv.ExtD || e == riscv.ExtZfa || e == riscv.ExtZfhmin
	}})
	p.gens[3] = gen.New(seed, gen.Config{Scratch: scratch, Length: 5, Locked: locked, Avoid: notTight, Has: func(e riscv.Extension) bool {
		return e == riscv.ExtI || e == riscv.ExtM || e == riscv.ExtF || e == riscv.ExtD || e == riscv.ExtZba || e == riscv.ExtZbb || e == riscv.ExtZbs
	}})
	first := p.gens[1].Next()
	p.state.X, p.state.F = first.X, first.F
	copy(p.ram[dataAt+2*page-gen.ScratchSize/2:], first.Scratch[:])
	for i := dataAt; i < dataAt+2*page-gen.ScratchSize/2; i += 8 {
		p.u64(uint64(i), first.X[p.r.IntN(32)])
	}
	p.state.X[0], p.state.X[poolReg] = 0, p.constants()
	for i := range 3 {
		// Random values would do, but for those below the code, such as
		// 0x7fff_ffff: a walker that never starts anew goes up from there,
		// through the code.
		p.state.X[walker+i] = p.pool[i]
	}
}

// notTight are instructions that keep a translator from compiling a loop as a
// whole.
func notTight(i riscv.Inst) bool {
	op := i.Op
	switch {
	case op >= riscv.CSRRW && op <= riscv.CSRRCI, op >= riscv.LR_W && op <= riscv.AMOCAS_Q, op == riscv.CBO_ZERO, op == riscv.FENCE_I, op == riscv.JALR,
		op == riscv.FCLASS_S, op == riscv.FCLASS_D:
		return true
	case op >= riscv.FCVT_W_S && op <= riscv.FCVT_LU_S, op >= riscv.FCVT_W_D && op <= riscv.FCVT_LU_D:
		return i.RM != riscv.DYN && i.RM != riscv.RNE && i.RM != riscv.RTZ
	case op >= riscv.FMADD_S && op <= riscv.FCVT_D_LU:
		return i.RM != riscv.DYN && i.RM != riscv.RNE
	}
	return false
}

// Where things are in the program's own addresses.

func (w *world) entry() uint64 {
	switch {
	case !w.paged:
		return base + codeAt
	case w.mode == riscv.User:
		return w.win + userCode
	}
	return w.win + superAlias
}

func (w *world) data() uint64 {
	if w.paged {
		return w.win + dataVA
	}
	return base + dataAt
}

func (w *world) constants() uint64 {
	if w.paged {
		return w.win + poolVA
	}
	return base + poolAt
}

func (w *world) writable() uint64 {
	if w.paged {
		return w.win + writeVA
	}
	return base + codeAt
}

// finish puts the code where the address space has it, and sets the hart at
// its start.
func (p *program) finish() {
	for i := 0; i < len(p.code); i += page {
		at := p.codeOffset(i)
		copy(p.ram[at:at+page], p.code[i:min(i+page, len(p.code))])
	}
	p.state.PC = p.entry() + p.start
	user, super := p.state.PC, p.state.PC
	switch {
	case p.paged && p.mode == riscv.User:
		super ^= userCode ^ superAlias
	case p.paged:
		user ^= userCode ^ superAlias
	}
	for _, at := range []uint64{machineData, superData} {
		p.u64(at+24, user)
		p.u64(at+32, super)
	}
}

// codeOffset is where in RAM an offset of the code is.
func (p *program) codeOffset(off int) uint64 {
	if p.paged {
		return p.physical(p.entry()+uint64(off)&^(page-1)) + uint64(off)%page
	}
	return codeAt + uint64(off)
}

// physical translates an address of code, in either address space.
func (p *program) physical(va uint64) uint64 {
	c := &p.state.CSR
	t := tables{w: p.world, levels: int(c.Satp>>riscv.SatpModeShift) - 5, root: c.Satp&(1<<44-1)<<12 - base}
	return binary.LittleEndian.Uint64(p.ram[t.entry(va, 0):])>>10<<12 - base
}

// ---- code ----

func (p *program) here() label { return label{at: len(p.code)} }

func (p *program) raw(v uint32) { p.code = binary.LittleEndian.AppendUint32(p.code, v) }

func (p *program) emit(i riscv.Inst) {
	raw, err := riscv.Encode(i)
	if err != nil {
		panic(fmt.Sprintf("BUG: %v: %v", i, err))
	}
	if c, ok := riscv.Compress(i); ok && p.chance(2) {
		p.code = binary.LittleEndian.AppendUint16(p.code, c)
		return
	}
	p.raw(raw)
}

// jump emits a jump or branch to a label.
func (p *program) jump(i riscv.Inst, to *label) {
	if to.at < 0 {
		to.uses = append(to.uses, use{len(p.code), i})
		p.raw(0)
		return
	}
	i.Imm = int64(to.at - len(p.code))
	raw, err := riscv.Encode(i)
	if err != nil { // too far for a branch: never mind
		raw, _ = riscv.Encode(riscv.Inst{Op: riscv.ADDI})
	}
	p.raw(raw)
}

// bind says that a label is here.
func (p *program) bind(l *label) {
	l.at = len(p.code)
	for _, u := range l.uses {
		u.inst.Imm = int64(l.at - u.at)
		raw, err := riscv.Encode(u.inst)
		if err != nil {
			raw, _ = riscv.Encode(riscv.Inst{Op: riscv.ADDI})
		}
		binary.LittleEndian.PutUint32(p.code[u.at:], raw)
	}
}

// constant loads a number of 32 bits.
func (p *program) constant(rd uint8, v int64) {
	p.emit(riscv.Inst{Op: riscv.LUI, Rd: rd, Imm: int64(int32(v+0x800)) >> 12 << 12})
	p.emit(riscv.Inst{Op: riscv.ADDIW, Rd: rd, Rs1: rd, Imm: v << 52 >> 52})
}
