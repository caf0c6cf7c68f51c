package asm

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"doppel/internal/riscv"
)

func assemble(t *testing.T, src string, opts Options) *Program {
	t.Helper()
	p, err := Assemble(src, opts)
	if err != nil {
		t.Fatalf("%s\n%v", src, err)
	}
	return p
}

// TestBytes has the bytes in memory order, so the least significant first.
func TestBytes(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"add a0, a1, a2", "3385c500"},
		{"addi a0, a1, -1", "1385f5ff"},
		{"lui a0, 0x12345", "37553412"},
		{"sd ra, -8(sp)", "233c11fe"},
		{"beq x0, x0, . - 4", "e30e00fe"},
		{"j . - 4", "6ff0dfff"},
		{"csrw mtvec, t0", "73905230"},
		{"ret", "67800000"},
		{"fadd.d fa0, fa1, fa2", "53f5c502"},
		{"fadd.d fa0, fa1, fa2, rtz", "5395c502"},
		{"pause", "0f000001"},
		{"fence.tso", "0f003083"},
		{"fence", "0f00f00f"},
		{"fence r, 0", "0f000002"},
		// What GNU as of Debian 12 does not know; the bits are those of the specifications.
		{"czero.eqz a0, a1, a2", "33d5c50e"},
		{"czero.nez a0, a1, a2", "33f5c50e"},
		{"amocas.w a0, a2, (a1)", "2fa5c528"},
		{"amocas.d.aqrl a0, a2, (a1)", "2fb5c52e"},
		{"amocas.q a0, a2, (a1)", "2fc5c528"},
		{"fli.s fa0, 0.4375", "538515f0"},
		{"fli.d fa0, -1.0", "530510f2"},
		{"fli.d fa0, min", "538510f2"},
		{"fli.s fa0, 0x1p-16", "530511f0"},
		{"fli.s fa0, inf", "53051ff0"},
		{"fminm.s fa0, fa1, fa2", "53a5c528"},
		{"fmaxm.d fa0, fa1, fa2", "53b5c52a"},
		{"fround.s fa0, fa1", "53f54540"},
		{"froundnx.d fa0, fa1, rtz", "53955542"},
		{"fcvtmod.w.d a0, fa1, rtz", "539585c2"},
		{"fcvtmod.w.d a0, fa1", "539585c2"},
		{"fleq.s a0, fa1, fa2", "53c5c5a0"},
		{"fltq.d a0, fa1, fa2", "53d5c5a2"},
		{"fgeq.d a0, fa2, fa1", "53c5c5a2"},
		{"mop.r.0 a0, a1", "73c5c581"},
		{"mop.r.31 a0, a1", "73c5f5cd"},
		{"mop.rr.7 a0, a1, a2", "73c5c5ce"},
		{"c.mop.1", "8160"},
		{"c.mop.15", "8167"},
		{"c.lbu a0, 3(a1)", "e881"},
		{"c.lhu a0, 2(a1)", "a885"},
		{"c.lh a0, 2(a1)", "e885"},
		{"c.sb a0, 1(a1)", "c889"},
		{"c.sh a0, 0(a1)", "888d"},
		{"c.mul a0, a1", "4d9d"},
		{"c.zext.b a0", "619d"},
		{"c.sext.b a0", "659d"},
		{"c.zext.h a0", "699d"},
		{"c.sext.h a0", "6d9d"},
		{"c.zext.w a0", "719d"},
		{"c.not a0", "759d"},
		{"c.nop 5", "1500"},
		{"c.unimp", "0000"},
		{"c.ntl.p1", "0a90"},
		{"ntl.all", "33005000"},
		{"li a0, 0xffffffffffffffff", "1305f0ff"},
		{"li a0, 0x80000000", "1b0510001315f501"},
		{"csrr a0, stimecmp", "7325d014"},
		{"csrr a0, seed", "73255001"},
		{"csrw mnepc, a0", "73101574"},
		{".dword 1", "0100000000000000"},
		{".byte 'a', '\\n', ';'", "610a3b"},
		{".half 1 + 2 & 3", "0300"},
		{".byte 2 * (3 + 4), 7 / 2, -7 / 2, 7 % 4, 1 == 1, 1 < 0, !1, 3 && 0 || 1", "0e03fd03ff000001"},
		{".org 4", "00000000"},
		{".byte 1\n.align 2\n.byte 2", "0100000002"},
		{".2byte 0xffff, -0x8000", "ffff0080"},
	} {
		p, err := Assemble(c.src, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		if got := hex.EncodeToString(p.Code); got != c.want {
			t.Errorf("%s: %s, want %s", c.src, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		src  string
		line int
		want string
	}{
		{"nop\nadi a0, a0, 1", 2, `there is no instruction, directive or macro "adi"; was add or addi or andi meant?`},
		{"frobnicate", 1, `there is no instruction, directive or macro "frobnicate"`},
		{"addi a0, a0, 5000", 1, "addi: immediate 5000 is not in -2048 to 2047"},
		{"addi a0, a0", 1, "addi takes rd, rs1, imm; here are 2 operands"},
		{"add a0, a1, a9", 1, `symbol "a9" is not defined`},
		{"add a0, q1, a1", 1, `add, operand 2: "q1" is not an integer register`},
		{"fadd.s fa0, a1, fa2", 1, `operand 2: "a1" is not a floating-point register`},
		{"fadd.s fa0, fa1, fa2, up", 1, `"up" is not a rounding mode`},
		{"slli a0, a0, 64", 1, "shift amount 64 is not in 0 to 63"},
		{"slliw a0, a0, 32", 1, "shift amount 32 is not in 0 to 31"},
		{"lui a0, 0x100000", 1, "is not in -524288 to 1048575"},
		{"csrwi mstatus, 32", 1, "32 is not in 0 to 31"},
		{"csrr a0, nosuch", 1, `"nosuch" is not a CSR`},
		{"csrr a0, 4096", 1, "4096 is not in 0 to 4095"},
		{"beqz a0, far\n.zero 4096\nfar:", 1, "beq: branch offset 4100 is not a multiple of 2 from -4096 to 4094"},
		{"j far\n.zero 0x100000\nfar:", 1, "jump offset 1048580"},
		{"j nowhere", 1, `symbol "nowhere" is not defined`},
		{"j 1f", 1, "there is no label 1: after this"},
		{"j 1b", 1, "there is no label 1: before this"},
		{"a: nop\na: nop", 2, `label "a" is defined twice`},
		{"K: nop", 1, `label "K" has the name of a predefined constant`},
		{".equ A, 1\nA: nop", 2, `label "A" has the name of a constant`},
		{"lw a0, 4(q0)", 1, "is not"},
		{"ld a0, 4096(a1)", 1, "ld: immediate 4096"},
		{"fld fa0, K", 1, "to use a symbol, write fld fa0, symbol, temporary"},
		{"lr.w a0, 4(a1)", 1, "there is no offset here"},
		{"amocas.q a1, a2, (a0)", 1, "must be even-numbered"},
		{"fcvtmod.w.d a0, fa0, rne", 1, `"rne" is not a rounding mode it has: rtz`},
		{"c.lw a0, 4(t6)", 1, "c.lw has no encoding with these operands: registers x8 to x15"},
		{"c.addi4spn a0, a1, 4", 1, "this must be sp"},
		{"c.mop.2", 1, "there is no instruction"},
		{"fence wr, w", 1, `"wr" is not a set of the letters`},
		{"prefetch.i 3(a0)", 1, "prefetch offset 3 is not a multiple of 32"},
		{".byte 256", 1, ".byte: 256 does not fit 8 bits"},
		{".word", 0, ""},
		{".if 1\nnop", 2, ".if has no .endif"},
		{".endif", 1, ".endif without .if"},
		{".macro a\nnop", 1, ".macro has no .endm"},
		{".endm", 1, ".endm without its beginning"},
		{".rept x\n.endr\nx:", 1, ".rept needs a value that is known at this point"},
		{".org 8\n.org 4", 2, "the address must not be before the current one"},
		{".balign 3", 1, "not a power of two"},
		{".ascii hello", 1, "is not a string"},
		{".ascii \"a", 1, "not closed"},
		{"li a0, (1", 1, "a closing parenthesis is missing"},
		{"li a0, 1 2", 1, `"2" is not understood`},
		{"li a0, 1/0", 1, "division by zero"},
		{"li a0, 0x10000000000000000", 1, "does not fit 64 bits"},
		{"li a0", 1, "li takes rd, value"},
		{"beqz a0", 1, "beqz takes 2 operands"},
		{"call a, b, c", 1, "call takes symbol"},
		{".byte 1\nnop", 2, "an instruction at an odd address"},
		{".macro m x\naddi a0, a0, \\x\n.endm\nnop\nm 9999", 2, "immediate 9999"},
		{".macro m x\nm \\x\n.endm\nm 1", 2, "does a macro call itself"},
		{".macro m x:req\nnop\n.endm\nm", 4, "argument x is missing"},
		{".macro m x\nnop\n.endm\nm 1, 2", 4, "macro m takes 1 arguments, here are 2"},
		{".frob", 1, "there is no directive .frob"},
		{".error \"stop here\"", 1, "stop here"},
		{".rept 1000000000\nnop\n.endr", 1, "is more than"},
		{".rept 1000\n.rept 1000\nnop\n.endr\n.endr", 3, "make more than 200000 statements"},
		{".macro m a\n.irpc c, \\a\\a\\a\\a\n m \\a\\a\\a\\a\n.endr\n.endm\nm xxxx", 2, "longer than"},
		{".zero 1 << 40", 1, "larger than"},
		{"nop\n.align 24\nnop", 3, "larger than"},
		{"la a0, K << 40", 1, "use li"},
		{"%pcrel_hi(x)", 1, "there is no instruction"},
		{"addi a0, a0, %pcrel_lo(a)\na:", 1, "%pcrel_lo must name the label"},
		{"addi a0, a0, %gp(a)\na:", 1, "%gp is not known"},
		{"/* open", 1, "the comment is not closed"},
	} {
		_, err := Assemble(c.src, Options{Symbols: map[string]uint64{"K": 7}})
		if c.want == "" {
			if err != nil {
				t.Errorf("%q: %v", c.src, err)
			}
			continue
		}
		list, ok := err.(ErrorList)
		if !ok || len(list) == 0 {
			t.Errorf("%q: no error, want %q", c.src, c.want)
			continue
		}
		if list[0].Line != c.line || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: line %d: %v\nwant line %d: %s", c.src, list[0].Line, err, c.line, c.want)
		}
	}
}

func TestErrorListAndContext(t *testing.T) {
	_, err := Assemble(".macro two\n bad1\n bad2\n.endm\nnop\ntwo\nbad3\n", Options{})
	want := "line 2: there is no instruction, directive or macro \"bad1\"\n\tbad1\n\t(in macro two, called from line 6)\n" +
		"line 3: there is no instruction, directive or macro \"bad2\"\n\tbad2\n\t(in macro two, called from line 6)\n" +
		"line 7: there is no instruction, directive or macro \"bad3\"\n\tbad3"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	_, err = Assemble(strings.Repeat("bad\n", 1000), Options{})
	if list, _ := err.(ErrorList); len(list) != maxErrors {
		t.Errorf("%d errors", len(list))
	}
}

func TestProgramFields(t *testing.T) {
	p := assemble(t, `
		.equ TWO, ONE + 1
	start:	nop
		.byte later - start, TWO
		.align 3
	later:	.dword start
		.org 0x80000020
	end:`, Options{Origin: 0x8000_0000, Symbols: map[string]uint64{"ONE": 1}})
	for name, want := range map[string]uint64{"ONE": 1, "TWO": 2, "start": 0x8000_0000, "later": 0x8000_0008, "end": 0x8000_0020} {
		if got, ok := p.Symbols[name]; !ok || got != want {
			t.Errorf("%s = %#x, want %#x", name, got, want)
		}
	}
	if p.Origin != 0x8000_0000 || p.End() != 0x8000_0020 || p.Code[4] != 8 || p.Code[5] != 2 || p.Code[11] != 0x80 {
		t.Errorf("%#x %x", p.Origin, p.Code)
	}
}

// Compressed jumps depend on distances that depend on compressed jumps.
func TestSizesSettle(t *testing.T) {
	var b strings.Builder
	for n := range 200 {
		fmt.Fprintf(&b, "l%d: beqz a0, l%d\n j l%d\n li a1, l%d - l%d\n .align 2\n", n, (n*7+60)%200, (n*13+100)%200, (n*3)%200, n)
	}
	p := assemble(t, b.String(), Options{Compress: true})
	// Every branch must reach what it names: decode all and compare the targets.
	targets := map[uint64]bool{}
	for name, v := range p.Symbols {
		if strings.HasPrefix(name, "l") {
			targets[v] = true
		}
	}
	short := 0
	for pc := 0; pc < len(p.Code); {
		raw := uint32(p.Code[pc]) | uint32(p.Code[pc+1])<<8
		if raw&3 == 3 {
			raw |= uint32(p.Code[pc+2])<<16 | uint32(p.Code[pc+3])<<24
		}
		i := riscv.Decode(raw)
		if (i.Op == riscv.BEQ || i.Op == riscv.JAL) && !targets[uint64(pc)+uint64(i.Imm)] {
			t.Fatalf("%#x: %s", pc, i.Disassemble(uint64(pc)))
		}
		if i.Op == riscv.JAL && i.Len == 2 {
			short++
		}
		pc += int(i.Len)
	}
	if short == 0 {
		t.Error("no jump was compressed")
	}
}

func TestMustAssemble(t *testing.T) {
	if p := MustAssemble("nop", Options{}); len(p.Code) != 4 {
		t.Errorf("%x", p.Code)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	MustAssemble("bad", Options{})
}

// What the disassembler writes, the assembler reads back to the same bits.
func TestDisassemblyAssembles(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var src strings.Builder
	var want []byte
	add := func(raw uint32) {
		i := riscv.Decode(raw)
		pc := uint64(0x10000 + len(want))
		if i.Op == riscv.FENCE || i.Op == riscv.FENCE_I || i.Op == riscv.FENCE_TSO || i.RM == 5 || i.RM == 6 {
			return // have fields that the text does not show
		}
		fmt.Fprintln(&src, i.Disassemble(pc))
		for n := range i.Len {
			want = append(want, byte(i.Raw>>(8*n)))
		}
		if i.Len == 2 { // keep 32-bit instructions aligned, in case that is ever required
			fmt.Fprintln(&src, "c.nop")
			want = append(want, 1, 0)
		}
	}
	for raw := range uint32(1 << 16) {
		if raw&3 != 3 {
			add(raw)
		}
	}
	for range 30000 {
		add(r.Uint32() | 3)
	}
	p := assemble(t, src.String(), Options{Origin: 0x10000})
	for n := range want {
		if n >= len(p.Code) || p.Code[n] != want[n] {
			at := n &^ 3
			t.Fatalf("at %#x: %x, want %x", at, p.Code[at:min(at+4, len(p.Code))], want[at:at+4])
		}
	}
}

func TestPrettyAssembles(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	check := func(raw uint32) {
		i := riscv.Decode(raw)
		if i.Op == riscv.ILLEGAL || i.Op == riscv.FENCE_TSO || i.Op == riscv.FENCE_I || i.Op == riscv.FENCE || i.RM == 5 || i.RM == 6 || i.Op == riscv.C_MOP {
			return
		}
		const pc = 0x4000_0000
		p, err := Assemble(i.Pretty(pc), Options{Origin: pc})
		if err != nil {
			t.Fatalf("%#x: %s: %v", raw, i.Pretty(pc), err)
		}
		b := p.Code
		got := riscv.Decode(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
		got.Raw, got.Len = i.Raw, i.Len
		if i.Op == riscv.ADD && i.Rs1 == 0 && i.Len == 2 { // mv is ADDI where it is not compressed
			i.Op, i.Rs1, i.Rs2 = riscv.ADDI, i.Rs2, 0
		}
		if got != i {
			t.Fatalf("%#x: %s: %+v, want %+v", raw, i.Pretty(pc), got, i)
		}
	}
	for raw := range uint32(1 << 16) {
		if raw&3 != 3 {
			check(raw)
		}
	}
	for range 30000 {
		raw := r.Uint32() | 3
		switch r.IntN(3) { // registers zero and ra are what most aliases are about
		case 0:
			raw &^= 31 << 15
		case 1:
			raw &^= 31 << 20
		}
		check(raw)
	}
	for text, pretty := range map[string]string{"addi x0, x0, 0": "nop", "addi a0, zero, 5": "li a0,5", "jalr x0, 0(ra)": "ret",
		"c.mv a0, a1": "mv a0,a1", "c.addi a0, 1": "addi a0,a0,1", "csrrs a0, time, x0": "rdtime a0", "csrrw x0, satp, a0": "csrw satp,a0",
		"csrrsi x0, sstatus, 2": "csrsi sstatus,2", "bge x0, a0, .+8": "blez a0,0x8", "fsgnjn.d fa0, fa1, fa1": "fneg.d fa0,fa1",
		"fence iorw, iorw": "fence", "sub a0, x0, a1": "neg a0,a1", "csrrwi a0, frm, 1": "csrrwi a0,frm,1", "c.ebreak": "ebreak"} {
		b := assemble(t, text, Options{}).Code
		raw := uint32(b[0]) | uint32(b[1])<<8
		if len(b) == 4 {
			raw |= uint32(b[2])<<16 | uint32(b[3])<<24
		}
		if got := riscv.Decode(raw).Pretty(0); got != pretty {
			t.Errorf("%s: %q, want %q", text, got, pretty)
		}
	}
}

func TestLabelsLikeDirectives(t *testing.T) {
	p := assemble(t, ".if_done: nop\n.Lend: j .if_done\n", Options{})
	if len(p.Code) != 8 || p.Symbols[".Lend"] != 4 {
		t.Errorf("%x %v", p.Code, p.Symbols)
	}
}

func TestFenceTextAssembles(t *testing.T) {
	for set := range uint32(256) {
		i := riscv.Decode(set<<20 | 0x0f)
		p := assemble(t, i.Disassemble(0), Options{})
		if riscv.Decode(uint32(p.Code[0])|uint32(p.Code[1])<<8|uint32(p.Code[2])<<16|uint32(p.Code[3])<<24) != i {
			t.Errorf("%s: %x", i.Disassemble(0), p.Code)
		}
	}
}

func FuzzAssemble(f *testing.F) {
	// In short pieces, because the fuzzer shortens what it finds interesting and takes long over a long text.
	lines := strings.Split(gnuProgram, "\n")
	for n := 0; n < len(lines); n += 12 {
		f.Add(strings.Join(lines[n:min(n+12, len(lines))], "\n"))
	}
	f.Add(".macro a x, y=2, z:vararg\n.rept \\x\n\\z\n.endr\n.endm\na 3, , nop; li a0, \\y\n")
	f.Add(".irpc c, abc\n.byte '\\c\n.endr\n.if 1 < 2\n.elseif 0\n.endif\n")
	f.Add("l: la a0, l+4*(3-1)\n1: beqz a0, 1b\nj 1f\n1: .align 4, 0, 3\n.fill 3, 2, 1\n")
	f.Fuzz(func(t *testing.T, src string) {
		p, err := Assemble(src, Options{Origin: 0x1000, Compress: len(src)%2 == 0})
		if (p == nil) == (err == nil) {
			t.Fatalf("%v %v", p, err)
		}
		if p != nil && len(p.Code) > maxCode {
			t.Fatalf("%d bytes", len(p.Code))
		}
	})
}
