package engines

import (
	"encoding/binary"
	"slices"

	"doppel/internal/riscv"
	"doppel/test/differential/gen"
)

// statement emits one of the theme's kinds.
func (p *program) statement() {
	if len(p.code) > codePages*page-2000 { // what is open has to be closed
		return
	}
	sum := 0
	for _, n := range p.theme.kinds {
		sum += n
	}
	n := p.r.IntN(sum)
	k := kind(0)
	for n >= p.theme.kinds[k] {
		n -= p.theme.kinds[k]
		k++
	}
	switch k {
	case access:
		for range 1 + p.r.IntN(4) {
			p.access()
		}
	case advance:
		p.advance()
	case rebase:
		p.rebase()
	case branch:
		p.branch()
	case loop:
		if p.depth == 3 {
			p.snippet()
			return
		}
		p.loop()
	case call:
		p.call()
	case table:
		p.table()
	case trap:
		p.trap()
	case privil:
		p.privileged()
	case rewrite:
		p.rewrite()
	case far:
		p.far()
	case flags:
		p.flags()
	case group:
		p.group()
	case known:
		p.known()
	default:
		p.snippet()
	}
}

func (p *program) block(most int) {
	for range 1 + p.r.IntN(most) {
		p.statement()
	}
}

// snippet emits straight-line code of random instructions.
func (p *program) snippet() {
	g := p.gens[1]
	switch {
	case p.theme.tight:
		g = p.gens[3]
	case p.theme.kinds[flags] != 0 && !p.chance(4):
		g = p.gens[2]
	case p.theme.plain:
		g = p.gens[0]
	}
	code := g.Next()
	for p.theme.tight && slices.ContainsFunc(code.Code, func(c gen.Code) bool { return notTight(c.Inst()) }) {
		code = g.Next()
	}
	p.code = code.Append(p.code)
}

// flags emits an access to fflags or frm: mostly they are read and cleared, for
// flags that are set say nothing of what follows.
func (p *program) flags() {
	rd := p.scratch5()
	switch p.r.IntN(6) {
	case 0:
		p.emit(riscv.Inst{Op: riscv.CSRRS, Rd: rd, Imm: int64(riscv.CSRFcsr)})
	case 1:
		p.emit(riscv.Inst{Op: riscv.CSRRWI, Rd: rd, Rs1: uint8(p.r.IntN(5)), Imm: int64(riscv.CSRFrm)})
	default:
		p.emit(riscv.Inst{Op: riscv.CSRRW, Rd: rd, Imm: int64(riscv.CSRFflags)})
	}
}

// known emits constants, made in all the ways that there are, and instructions
// that have them as operands.
func (p *program) known() {
	rd := p.scratch5()
	number := func(bits int) int64 { return int64(p.r.Uint64()) >> (63 - p.r.IntN(bits)) }
	switch p.r.IntN(6) {
	case 0:
		p.emit(riscv.Inst{Op: riscv.LUI, Rd: rd, Imm: number(20) << 12})
	case 1:
		p.emit(riscv.Inst{Op: riscv.AUIPC, Rd: rd, Imm: number(20) << 12})
	case 2:
		p.constant(rd, int64(int32(p.r.Uint32())))
	case 3: // one bit, or all but the lowest
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: rd, Imm: []int64{1, -1}[p.r.IntN(2)]})
		p.emit(riscv.Inst{Op: riscv.SLLI, Rd: rd, Rs1: rd, Imm: int64(p.r.IntN(64))})
	default:
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: rd, Imm: number(12)})
	}
	for range p.r.IntN(4) {
		op := []riscv.Op{riscv.ADDI, riscv.ADDIW, riscv.SLLI, riscv.SRLI, riscv.SRAI, riscv.XORI, riscv.ORI, riscv.ANDI, riscv.SLLI_UW, riscv.SLLIW}[p.r.IntN(10)]
		i := riscv.Inst{Op: op, Rd: rd, Rs1: rd, Imm: number(12)}
		switch op {
		case riscv.SLLI, riscv.SRLI, riscv.SRAI, riscv.SLLI_UW:
			i.Imm &= 63
		case riscv.SLLIW:
			i.Imm &= 31
		}
		p.emit(i)
	}
	for range 1 + p.r.IntN(4) {
		// Of the plain instructions on two registers, or one.
		last := riscv.REV8
		if p.chance(2) {
			last = riscv.SRAW
		}
		op := riscv.ADD + riscv.Op(p.r.IntN(int(last-riscv.ADD)+1))
		f, ok := riscv.FormByName(op.String())
		if !ok || !slices.Contains(f.Operands, riscv.OperandRs2) {
			op = riscv.SUB
		}
		i := riscv.Inst{Op: op, Rd: p.scratch5(), Rs1: rd, Rs2: p.scratch()}
		switch p.r.IntN(3) {
		case 0:
			i.Rs1, i.Rs2 = i.Rs2, i.Rs1
		case 1:
			i.Rs1, i.Rs2 = p.scratch(), rd
		}
		if p.chance(8) {
			over := label{at: -1}
			p.jump(riscv.Inst{Op: riscv.BEQ + riscv.Op(p.r.IntN(6)), Rs1: i.Rs1, Rs2: i.Rs2}, &over)
			p.emit(riscv.Inst{Op: riscv.ADDI, Rd: p.scratch5(), Rs1: rd, Imm: number(12)})
			p.bind(&over)
		}
		p.emit(i)
		if p.chance(6) { // another constant of the first
			rd = i.Rd
		}
	}
}

// scratch is a register that snippets use too.
func (p *program) scratch() uint8 {
	return [...]uint8{1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 21, 22, 23, 24, 28, 29, 30, 31}[p.r.IntN(20)]
}

func (p *program) condition() riscv.Inst {
	i := riscv.Inst{Op: riscv.BEQ + riscv.Op(p.r.IntN(6)), Rs1: p.scratch(), Rs2: p.scratch()}
	if p.chance(3) {
		i.Rs2 = 0
	}
	return i
}

func (p *program) branch() {
	over := label{at: -1}
	if p.chance(3) { // on a bit, so that both ways are taken
		t := p.scratch()
		p.emit(riscv.Inst{Op: riscv.ANDI, Rd: t, Rs1: p.scratch(), Imm: 1 << p.r.IntN(4)})
		p.jump(riscv.Inst{Op: riscv.BEQ + riscv.Op(p.r.IntN(2)), Rs1: t}, &over)
	} else {
		p.jump(p.condition(), &over)
	}
	p.block(2)
	if p.chance(2) {
		end := label{at: -1}
		p.jump(riscv.Inst{Op: riscv.JAL}, &end)
		p.bind(&over)
		p.block(2)
		p.bind(&end)
		return
	}
	p.bind(&over)
}

// loop emits a loop that may be left early, or go on early, and whose counter
// may go up or down.
func (p *program) loop() {
	n := uint8(counter + p.depth)
	times := int64(1 + p.r.IntN(20))
	if p.chance(3) || p.theme.tight && p.chance(2) {
		times = int64(20 + p.r.IntN(1000)>>(3*p.depth))
	}
	up := p.chance(3)
	first := times
	if up {
		first = 0
	}
	p.emit(riscv.Inst{Op: riscv.ADDI, Rd: n, Imm: first})
	head, next, out := p.here(), label{at: -1}, label{at: -1}
	p.depth++
	for range 1 + p.r.IntN(4) {
		p.statement()
		switch p.r.IntN(8) {
		case 0:
			p.jump(p.condition(), &out)
		case 1:
			p.jump(p.condition(), &next)
		}
	}
	p.depth--
	p.bind(&next)
	if up {
		limit := p.scratch()
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: n, Rs1: n, Imm: 1})
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: limit, Imm: times})
		p.jump(riscv.Inst{Op: riscv.BLTU, Rs1: n, Rs2: limit}, &head)
	} else {
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: n, Rs1: n, Imm: -1})
		p.jump(riscv.Inst{Op: riscv.BNE, Rs1: n}, &head)
	}
	p.bind(&out)
}

// functions emits leaves that calls lead to.
func (p *program) functions() {
	if p.theme.kinds[call]+p.theme.kinds[rewrite] == 0 {
		return
	}
	for range 1 + p.r.IntN(4) {
		if p.chance(3) && len(p.code) < page {
			p.pad()
		}
		p.funcs = append(p.funcs, p.here())
		for range p.r.IntN(3) {
			p.emit(riscv.Inst{Op: riscv.ADD, Rd: p.scratch5(), Rs1: p.scratch(), Rs2: p.scratch()})
			if p.chance(2) {
				p.access()
			}
		}
		p.site()
		p.emit(riscv.Inst{Op: riscv.JALR, Rs1: link})
	}
}

// link is the register of return addresses. Snippets write it, so that calls
// may return anywhere: it is set just before, and functions keep it.
const link = 1

// scratch5 is a scratch register to write: no link, and no base of a group, which
// might lead into code if it were what some instruction of the group has loaded.
func (p *program) scratch5() uint8 {
	for {
		if r := p.scratch(); r != link && !slices.Contains(p.kept, r) {
			return r
		}
	}
}

func (p *program) call() {
	if len(p.funcs) == 0 {
		p.snippet()
		return
	}
	f := p.funcs[p.r.IntN(len(p.funcs))]
	if p.chance(2) {
		p.jump(riscv.Inst{Op: riscv.JAL, Rd: link}, &f)
		return
	}
	t := p.scratch5()
	off := int64(f.at - len(p.code))
	p.raw(mustEncode(riscv.Inst{Op: riscv.AUIPC, Rd: t, Imm: (off + 0x800) >> 12 << 12}))
	p.raw(mustEncode(riscv.Inst{Op: riscv.JALR, Rd: link, Rs1: t, Imm: off << 52 >> 52}))
}

// table emits a jump to one of a few places, chosen by a register.
func (p *program) table() {
	t, x := p.scratch5(), p.scratch5()
	for x == t {
		x = p.scratch5()
	}
	const ways = 4
	p.emit(riscv.Inst{Op: riscv.ANDI, Rd: x, Rs1: p.scratch(), Imm: ways - 1})
	p.emit(riscv.Inst{Op: riscv.SLLI, Rd: x, Rs1: x, Imm: 2})
	p.raw(mustEncode(riscv.Inst{Op: riscv.AUIPC, Rd: t}))
	p.raw(mustEncode(riscv.Inst{Op: riscv.ADD, Rd: t, Rs1: t, Rs2: x}))
	p.raw(mustEncode(riscv.Inst{Op: riscv.JALR, Rs1: t, Imm: 12}))
	var to [ways]label
	for i := range to {
		to[i].at = -1
		p.jump(riscv.Inst{Op: riscv.JAL}, &to[i])
	}
	end := label{at: -1}
	for i := range to {
		p.bind(&to[i])
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: x, Rs1: x, Imm: int64(i)})
		if p.chance(3) {
			p.statement()
		}
		if i < ways-1 {
			p.jump(riscv.Inst{Op: riscv.JAL}, &end)
		}
	}
	p.bind(&end)
}

// far jumps over what is left of the page but a few bytes, so that code, and
// often one instruction, lies in two pages.
func (p *program) far() {
	if len(p.code) > 2*page {
		p.snippet()
		return
	}
	over := label{at: -1}
	p.jump(riscv.Inst{Op: riscv.JAL}, &over)
	p.pad()
	p.bind(&over)
	for range 4 {
		p.emit(riscv.Inst{Op: riscv.ADDI, Rd: p.scratch(), Rs1: p.scratch(), Imm: int64(p.r.IntN(64) - 32)})
	}
}

// pad goes to shortly before the end of the page.
func (p *program) pad() {
	to := (len(p.code)+page)&^(page-1) - 2*(1+p.r.IntN(8))
	for len(p.code) < to {
		p.code = binary.LittleEndian.AppendUint16(p.code, 0x0001)
	}
}

// site emits an instruction that rewrite may replace. It does not cross the
// end of a doubleword, so that one store replaces it.
func (p *program) site() {
	for len(p.code)%4 != 0 {
		p.code = binary.LittleEndian.AppendUint16(p.code, 0x0001)
	}
	p.sites = append(p.sites, len(p.code))
	p.raw(p.replacement())
}

func (p *program) replacement() uint32 {
	rd, rs := p.scratch5(), p.scratch()
	return mustEncode([]riscv.Inst{
		{Op: riscv.ADDI, Rd: rd, Rs1: rs, Imm: int64(p.r.IntN(4096) - 2048)},
		{Op: riscv.XOR, Rd: rd, Rs1: rs, Rs2: rd},
		{Op: riscv.LUI, Rd: rd, Imm: int64(int32(p.r.Uint32())) >> 12 << 12},
		{Op: riscv.LD, Rd: rd, Rs1: 2, Imm: int64(p.r.IntN(8)) * 8},
		{Op: riscv.JAL, Imm: 4},
		{Op: riscv.MUL, Rd: rd, Rs1: rs, Rs2: rs},
	}[p.r.IntN(6)])
}

// rewrite replaces an instruction of the program by another, and makes that
// visible. In M-mode's and in U- and S-mode's code alike the store goes through
// addresses that are not the code's own, where there is translation.
func (p *program) rewrite() {
	if p.chance(3) || len(p.sites) == 0 {
		over := label{at: -1}
		p.jump(p.condition(), &over)
		p.site()
		p.bind(&over)
	}
	at := p.sites[p.r.IntN(len(p.sites))]
	a, v := p.scratch5(), p.scratch5()
	for v == a {
		v = p.scratch5()
	}
	// The address is relative to the pool, which a register leads to.
	p.constant(v, int64(p.writable()+uint64(at)-p.constants()))
	p.emit(riscv.Inst{Op: riscv.ADD, Rd: a, Rs1: v, Rs2: poolReg})
	p.constant(v, int64(int32(p.replacement())))
	p.emit(riscv.Inst{Op: riscv.SW, Rs1: a, Rs2: v})
	p.emit(riscv.Inst{Op: riscv.FENCE_I})
}

func mustEncode(i riscv.Inst) uint32 {
	raw, err := riscv.Encode(i)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return raw
}
