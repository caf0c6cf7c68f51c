package arm64

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"

	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

// decode disassembles all of a's code.
func decode(t *testing.T, a *asm) string {
	t.Helper()
	var out []string
	for i := 0; i < len(a.buf); i += 4 {
		in, err := arm64asm.Decode(a.buf[i:])
		if err != nil {
			t.Errorf("% x: %v", a.buf[i:i+4], err)
			return ""
		}
		out = append(out, arm64asm.GNUSyntax(in))
	}
	return strings.Join(out, "; ")
}

// check compares what emit emits with its disassembly.
func check(t *testing.T, want string, emit func(*asm)) {
	t.Helper()
	var a asm
	emit(&a)
	if got := decode(t, &a); got != want {
		t.Errorf("% x is %q, want %q", a.buf, got, want)
	}
}

func name(r Reg, w bool) string {
	if s := r.String(); w {
		return s
	} else {
		return "w" + s[1:]
	}
}

// TestRegisters decodes the forms with general registers, in all combinations
// of those that code uses.
func TestRegisters(t *testing.T) {
	codes := map[string]uint32{"add": opAdd, "sub": opSub, "subs": opSubs, "and": opAnd, "bic": opBic, "orr": opOrr, "orn": opOrn, "eor": opEor,
		"eon": opEon, "udiv": opUdiv, "sdiv": opSdiv, "lsl": opLslv, "lsr": opLsrv, "asr": opAsrv, "ror": opRorv}
	registers := []Reg{X0, X3, X4, X17, state, X27, LR}
	for _, d := range registers {
		for _, n := range registers {
			for _, m := range registers {
				for _, w := range []bool{false, true} {
					D, N, M := name(d, w), name(n, w), name(m, w)
					for op, code := range codes {
						check(t, fmt.Sprintf("%s %s, %s, %s", op, D, N, M), func(a *asm) { a.rrr(code, w, d, n, m) })
					}
					check(t, fmt.Sprintf("csel %s, %s, %s, lt", D, N, M), func(a *asm) { a.csel(w, d, n, m, lt) })
					if n != m { // else it has another name
						check(t, fmt.Sprintf("csinv %s, %s, %s, ne", D, N, M), func(a *asm) { a.csinv(w, d, n, m, ne) })
					}
					check(t, fmt.Sprintf("madd %s, %s, %s, %s", D, N, M, D), func(a *asm) { a.madd(w, d, n, m, d) })
					check(t, fmt.Sprintf("msub %s, %s, %s, %s", D, N, M, N), func(a *asm) { a.msub(w, d, n, m, n) })
					check(t, fmt.Sprintf("add %s, %s, %s, lsl #3", D, N, M), func(a *asm) { a.shifted(opAdd, w, d, n, m, lsl, 3) })
					check(t, fmt.Sprintf("and %s, %s, %s, asr #31", D, N, M), func(a *asm) { a.shifted(opAnd, w, d, n, m, asr, 31) })
					check(t, fmt.Sprintf("rbit %s, %s", D, N), func(a *asm) { a.rbit(w, d, n) })
					check(t, fmt.Sprintf("clz %s, %s", D, N), func(a *asm) { a.clz(w, d, n) })
					check(t, fmt.Sprintf("cmp %s, %s", N, M), func(a *asm) { a.cmp(w, n, m) })
				}
				check(t, fmt.Sprintf("smulh %v, %v, %v", d, n, m), func(a *asm) { a.rrr(opSmulh, true, d, n, m) })
				check(t, fmt.Sprintf("umulh %v, %v, %v", d, n, m), func(a *asm) { a.rrr(opUmulh, true, d, n, m) })
				check(t, fmt.Sprintf("add %v, %v, %s, uxtw #2", d, n, name(m, false)), func(a *asm) { a.addUXTW(d, n, m, 2) })
				check(t, fmt.Sprintf("ldp %v, %v, [%v,#-128]", d, n, m), func(a *asm) { a.pair(true, d, n, m, -128) })
				check(t, fmt.Sprintf("stp %v, %v, [%v,#504]", d, n, m), func(a *asm) { a.pair(false, d, n, m, 504) })
				check(t, fmt.Sprintf("stlxr %s, %v, [%v]", name(d, false), n, m), func(a *asm) { a.stlxr(true, d, n, m) })
			}
		}
	}
}

// TestForms decodes what has its own method.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		want string
		emit func(*asm)
	}{
		{"", func(a *asm) { a.mov(X3, X3) }},
		{"mov x3, x4", func(a *asm) { a.mov(X3, X4) }},
		{"mov w3, w3", func(a *asm) { a.mov32(X3, X3) }},
		{"add x3, x4, #0xfff", func(a *asm) { a.addI(true, X3, X4, 0xfff, X6) }},
		{"sub w3, w4, #0x5", func(a *asm) { a.addI(false, X3, X4, -5, X6) }},
		{"add x3, x4, #0x123, lsl #12; add x3, x3, #0x456", func(a *asm) { a.addI(true, X3, X4, 0x123456, X6) }},
		{"sub x3, x4, #0x1, lsl #12", func(a *asm) { a.addI(true, X3, X4, -0x1000, X6) }},
		{"mov x6, #0x5678; movk x6, #0x1234, lsl #16; add x3, x4, x6", func(a *asm) { a.addI(true, X3, X4, 0x12345678, X6) }},
		{"cmp x4, #0x5", func(a *asm) { a.subsI(true, ZR, X4, 5) }},
		{"subs x20, x20, #0x5", func(a *asm) { a.subsI(true, X20, X20, 5) }},
		{"cmn w4, #0x5", func(a *asm) { a.cmnI(false, X4, 5) }},
		{"and x3, x4, #0xfffffffffffffffe", func(a *asm) { a.logicalI(opAnd, true, X3, X4, -2, X6) }},
		{"eor w3, w4, #0x1000000", func(a *asm) { a.logicalI(opEor, false, X3, X4, 1<<24, X6) }},
		{"orr x3, x4, #0xffffffff00000000", func(a *asm) { a.logicalI(opOrr, true, X3, X4, ^int64(0xffff_ffff), X6) }},
		{"mov x6, #0x5; and x3, x4, x6", func(a *asm) { a.logicalI(opAnd, true, X3, X4, 5, X6) }},
		{"ubfx x3, x4, #12, #14", func(a *asm) { a.ubfx(true, X3, X4, 12, 14) }},
		{"ubfx w3, w4, #23, #8", func(a *asm) { a.ubfx(false, X3, X4, 23, 8) }},
		{"sbfx x3, x4, #3, #20", func(a *asm) { a.sbfx(true, X3, X4, 3, 20) }},
		{"ubfiz x3, x4, #3, #32", func(a *asm) { a.ubfiz(X3, X4, 3, 32) }},
		{"sbfiz x3, x4, #5, #27", func(a *asm) { a.sbfiz(X3, X4, 5, 27) }},
		{"sxtw x3, w4", func(a *asm) { a.sxtw(X3, X4) }},
		{"ror x3, x4, #9", func(a *asm) { a.rorI(true, X3, X4, 9) }},
		{"ror w3, w4, #9", func(a *asm) { a.rorI(false, X3, X4, 9) }},
		{"rev x3, x4", func(a *asm) { a.rev(X3, X4) }},
		{"cset x3, cc", func(a *asm) { a.cset(X3, lo) }},
		{"b .+0x0", func(a *asm) { a.b2(0) }},
		{"b.mi .+0x0", func(a *asm) { a.bc2(mi, 0) }},
		{"cbnz w3, .+0x0", func(a *asm) { a.cbnz2(false, X3, 0) }},
		{"cbz x3, .+0x4", func(a *asm) { a.here(a.cbz(true, X3)) }},
		{"tbz w3, #3, .+0x4", func(a *asm) { a.here(a.tbz(X3, 3)) }},
		{"bl .+0xfffffffffffffff0", func(a *asm) { a.patch(a.bl(), -16) }},
		{"tbnz w3, #3, .+0x4", func(a *asm) { a.here(a.tbnz(X3, 3)) }},
		{"tst w3, #0x6000", func(a *asm) { a.tstI(false, X3, 0x6000) }},
		{"ldr w3, .+0x4", func(a *asm) { a.here(a.loadLiteral(X3)) }},
		{"br x3", func(a *asm) { a.br(X3) }},
		{"ret", func(a *asm) { a.ret() }},
		{"stp x3, x30, [sp,#-16]!", func(a *asm) { a.push2(X3, LR) }},
		{"ldp x1, x30, [sp]", func(a *asm) { a.pair(true, X1, LR, sp, 0) }},
		{"add sp, sp, #0x10", func(a *asm) { a.addI(true, sp, sp, 16, X1) }},
		{"mov x1, sp", func(a *asm) { a.addI(true, X1, sp, 0, X3) }},
		{"mov sp, x1", func(a *asm) { a.addI(true, sp, X1, 0, X3) }},
		{"add sp, sp, #0x46, lsl #12", func(a *asm) { a.addI(true, sp, sp, CallStack, X1) }},
		{"ldaxr x3, [x4]", func(a *asm) { a.ldaxr(true, X3, X4) }},
		{"ldaxr w3, [x4]", func(a *asm) { a.ldaxr(false, X3, X4) }},
		{"ldar x3, [x4]", func(a *asm) { a.ldar(true, X3, X4) }},
		{"ldar w3, [x4]", func(a *asm) { a.ldar(false, X3, X4) }},
		{"stlxr w2, w3, [x4]", func(a *asm) { a.stlxr(false, X2, X3, X4) }},
		{"dmb ish", func(a *asm) { a.dmb(ish) }},
		{"dmb ishst", func(a *asm) { a.dmb(ishst) }},
		{"dmb ishld", func(a *asm) { a.dmb(ishld) }},
		{"cnt v0.8b, v1.8b", func(a *asm) { a.cnt(V0, V1) }},
		{"addv b0, v1.8b", func(a *asm) { a.addv(V0, V1) }},
		{"cmtst v0.8b, v1.8b, v2.8b", func(a *asm) { a.cmtst(V0, V1, V2) }},
		{"fmov x3, d1", func(a *asm) { a.fmovX(8, X3, V1) }},
		{"fmov w3, s1", func(a *asm) { a.fmovX(4, X3, V1) }},
		{"fmov d1, x3", func(a *asm) { a.fmovF(8, V1, X3) }},
		{"fmov s1, w3", func(a *asm) { a.fmovF(4, V1, X3) }},
		{"fcmp d0, d1", func(a *asm) { a.fcmp(8, V0, V1, false) }},
		{"fcmpe s0, s1", func(a *asm) { a.fcmp(4, V0, V1, true) }},
		{"fmov d5, d1", func(a *asm) { a.fmov(5, V1) }},
		{"", func(a *asm) { a.fmov(5, 5) }},
		{"orr v5.8b, v1.8b, v3.8b", func(a *asm) { a.orrV(5, V1, V3) }},
		{"rbit v5.8b, v1.8b", func(a *asm) { a.rbitV(5, V1) }},
		{"ldp d4, d5, [x19,#128]", func(a *asm) { a.pairF(true, 4, 5, X19, 128) }},
		{"stp d30, d31, [x19,#-8]", func(a *asm) { a.pairF(false, 30, 31, X19, -8) }},
		{"fcvt s0, d1", func(a *asm) { a.scalar(opFCvtToS, 8, V0, V1, 0) }},
		{"fcvt d0, s1", func(a *asm) { a.scalar(opFCvtToD, 4, V0, V1, 0) }},
		{"mrs x3, s3_3_c4_c4_1", func(a *asm) { a.readFPSR(X3) }},
		{"msr s3_3_c4_c4_1, xzr", func(a *asm) { a.writeFPSR(ZR) }},
		{"msr s3_3_c4_c4_0, x3", func(a *asm) { a.writeFPCR(X3) }},
	} {
		check(t, c.want, c.emit)
	}
}

// TestFloat decodes the scalar instructions.
func TestFloat(t *testing.T) {
	for op, code := range map[string]uint32{"fmul": opFMul, "fdiv": opFDiv, "fadd": opFAdd, "fsub": opFSub, "fmaxnm": opFMaxNM, "fminnm": opFMinNM,
		"fmax": opFMax, "fmin": opFMin} {
		check(t, op+" d0, d1, d2", func(a *asm) { a.scalar(code, 8, V0, V1, V2) })
		check(t, op+" s0, s1, s2", func(a *asm) { a.scalar(code, 4, V0, V1, V2) })
	}
	for op, code := range map[string]uint32{"fabs": opFAbs, "fneg": opFNeg, "fsqrt": opFSqrt, "frintn": opFRintN, "frintp": opFRintP, "frintm": opFRintM,
		"frintz": opFRintZ, "frinta": opFRintA, "frintx": opFRintX, "frinti": opFRintI} {
		check(t, op+" d0, d1", func(a *asm) { a.scalar(code, 8, V0, V1, 0) })
		check(t, op+" s0, s1", func(a *asm) { a.scalar(code, 4, V0, V1, 0) })
	}
	for op, code := range map[string]uint32{"fmadd": opFMAdd, "fmsub": opFMSub, "fnmadd": opFNMAdd, "fnmsub": opFNMSub} {
		check(t, op+" d0, d1, d2, d3", func(a *asm) { a.fma(code, 8, 0, 1, 2, 3) })
		check(t, op+" s0, s1, s2, s3", func(a *asm) { a.fma(code, 4, 0, 1, 2, 3) })
	}
	for op, code := range map[string]uint32{"fcvtns": opFCvtNS, "fcvtnu": opFCvtNU, "fcvtas": opFCvtAS, "fcvtau": opFCvtAU, "fcvtps": opFCvtPS,
		"fcvtpu": opFCvtPU, "fcvtms": opFCvtMS, "fcvtmu": opFCvtMU, "fcvtzs": opFCvtZS, "fcvtzu": opFCvtZU} {
		check(t, op+" x3, d1", func(a *asm) { a.convert(code, true, 8, X3, V1) })
		check(t, op+" w3, s1", func(a *asm) { a.convert(code, false, 4, X3, V1) })
	}
	for op, code := range map[string]uint32{"scvtf": opSCvtF, "ucvtf": opUCvtF} {
		check(t, op+" d1, x3", func(a *asm) { a.convert(code, true, 8, V1, X3) })
		check(t, op+" s1, w3", func(a *asm) { a.convert(code, false, 4, V1, X3) })
	}
}

// TestMemory decodes all kinds of access in all ways to address.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		k   width
		op  string // with u for the form that does not scale
		reg string
	}{
		{store8, "st%srb", "w3"}, {store16, "st%srh", "w3"}, {store32, "st%sr", "w3"}, {store64, "st%sr", "x3"},
		{load8, "ld%srb", "w3"}, {load16, "ld%srh", "w3"}, {load32, "ld%sr", "w3"}, {load64, "ld%sr", "x3"},
		{load8s, "ld%srsb", "x3"}, {load16s, "ld%srsh", "x3"}, {load32s, "ld%srsw", "x3"},
		{loadF32, "ld%sr", "s3"}, {loadF64, "ld%sr", "d3"}, {storeF32, "st%sr", "s3"}, {storeF64, "st%sr", "d3"},
	} {
		op := fmt.Sprintf(c.op, "")
		check(t, fmt.Sprintf("%s %s, [x4,x5]", op, c.reg), func(a *asm) { a.indexed(c.k, X3, X4, X5) })
		check(t, fmt.Sprintf("%s %s, [x4,#64]", op, c.reg), func(a *asm) { a.access(c.k, X3, X4, 64, X6) })
		check(t, fmt.Sprintf("%s %s, [x4,#-3]", fmt.Sprintf(c.op, "u"), c.reg), func(a *asm) { a.access(c.k, X3, X4, -3, X6) })
		check(t, fmt.Sprintf("add x6, x4, #0x12, lsl #12; %s %s, [x6,#840]", op, c.reg), func(a *asm) { a.access(c.k, X3, X4, 0x12348, X6) })
	}
}

// TestAtomic compares what the disassembler does not know with LLVM's.
func TestAtomic(t *testing.T) {
	for name, c := range map[string]struct {
		code uint32
		want string
	}{
		"ldaddal": {opLdadd, "8300e2f8 8300e2b8"}, "ldclral": {opLdclr, "8310e2f8 8310e2b8"}, "ldeoral": {opLdeor, "8320e2f8 8320e2b8"},
		"ldsetal": {opLdset, "8330e2f8 8330e2b8"}, "swpal": {opSwp, "8380e2f8 8380e2b8"},
		"ldsmaxal": {opLdsmax, "8340e2f8 8340e2b8"}, "ldsminal": {opLdsmin, "8350e2f8 8350e2b8"},
		"ldumaxal": {opLdumax, "8360e2f8 8360e2b8"}, "lduminal": {opLdumin, "8370e2f8 8370e2b8"},
	} {
		var a asm
		a.atomic(c.code, true, X2, X3, X4)
		a.atomic(c.code, false, X2, X3, X4)
		if got := hex.EncodeToString(a.buf[:4]) + " " + hex.EncodeToString(a.buf[4:]); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	var a asm
	a.casal(true, X2, X3, X4)
	a.casal(false, X2, X3, X4)
	if got := hex.EncodeToString(a.buf); got != "83fce2c883fce288" {
		t.Errorf("casal: %s", got)
	}
}

// expand is the inverse of bitmask: DecodeBitMasks of the Arm ARM.
func expand(field uint32) uint64 {
	n, immr, imms := field>>22&1, field>>16&63, field>>10&63
	size := uint32(64)
	if n == 0 {
		for size = 32; imms&size != 0; size /= 2 {
		}
	}
	e := uint64(1)<<(imms&(size-1)+1) - 1
	r := immr & (size - 1)
	v := (e>>r | e<<(size-r)) & (^uint64(0) >> (64 - size))
	for ; size < 64; size *= 2 {
		v |= v << size
	}
	return v
}

// TestBitmask: all 5334 constants that logical instructions can have are
// encoded, and nothing else.
func TestBitmask(t *testing.T) {
	all := map[uint64]bool{}
	for size := 2; size <= 64; size *= 2 {
		for n := 1; n < size; n++ {
			for r := range size {
				e := uint64(1)<<n - 1
				v := (e>>r | e<<(size-r)) & (^uint64(0) >> (64 - size))
				for s := size; s < 64; s *= 2 {
					v |= v << s
				}
				all[v] = true
				if f, ok := bitmask(v, true); !ok || expand(f) != v {
					t.Errorf("%#x: %v, %#x expands to %#x", v, ok, f, expand(f))
				}
				if lo, hi := uint32(v), uint32(v>>32); lo == hi {
					if f, ok := bitmask(uint64(lo), false); !ok || f>>22&1 != 0 || uint32(expand(f)) != lo {
						t.Errorf("%#x of 32 bits: %v, %#x", lo, ok, f)
					}
				}
			}
		}
	}
	if len(all) != 5334 {
		t.Errorf("%d constants, want 5334", len(all))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		v := r.Uint64() >> r.Uint32N(64) &^ (r.Uint64() >> r.Uint32N(64))
		if _, ok := bitmask(v, true); ok != all[v] {
			t.Errorf("%#x: %v", v, ok)
		}
	}
}

// TestConstants runs what movI emits.
func TestConstants(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		v := int64(r.Uint64() >> r.Uint32N(64))
		switch r.IntN(3) {
		case 0:
			v = ^v
		case 1:
			v &^= 0xffff << (16 * r.IntN(4))
		}
		var a asm
		a.movI(X7, v)
		got := uint64(0)
		for i := 0; i < len(a.buf); i += 4 {
			w := binary.LittleEndian.Uint32(a.buf[i:])
			shift, imm := w>>21&3*16, uint64(w>>5&0xffff)
			switch w & 0xff800000 {
			case 0xd2800000:
				got = imm << shift
			case 0x92800000:
				got = ^(imm << shift)
			case 0xf2800000:
				got = got&^(0xffff<<shift) | imm<<shift
			case 0xb2000000:
				got = expand(w)
			default:
				t.Fatalf("%#x: an instruction %#x", v, w)
			}
		}
		if got != uint64(v) || len(a.buf) > 16 {
			t.Fatalf("%#x: loads %#x in %d bytes", v, got, len(a.buf))
		}
	}
}

// TestRedirect: branches that cannot reach are a bug that is noticed.
func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		code     uint32
		distance int
		ok       bool
	}{
		{codeB, 1<<27 - 4, true}, {codeB, 1 << 27, false}, {codeBL, -1 << 27, true}, {codeB, 2, false},
		{codeBC, 1<<20 - 4, true}, {codeBC, 1 << 20, false}, {codeCBZ, -1 << 20, true}, {codeCBZ, -1<<20 - 4, false},
		{codeTBZ, 1<<15 - 4, true}, {codeTBZ, 1 << 15, false},
	} {
		func() {
			defer func() {
				if ok := recover() == nil; ok != c.ok {
					t.Errorf("%#x over %d bytes: %v, want %v", c.code, c.distance, ok, c.ok)
				}
			}()
			code := Redirect(c.code, c.distance)
			in, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, code))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(arm64asm.GNUSyntax(in), fmt.Sprintf(".+%#x", uint64(c.distance))) {
				t.Errorf("%#x over %d bytes is %v", c.code, c.distance, in)
			}
		}()
	}
}

// sample is a block of every Op with registers of all kinds: mapped ones, those
// in memory, x0, and the same one twice.
func sample() []ir.Inst {
	var all []ir.Inst
	regs := []ir.Reg{0, 1, 3, 10, 15, 31}
	for o := ir.Nop; o <= ir.FCSRClear; o++ {
		if o == ir.Jump || o == ir.JumpReg {
			continue // at the end
		}
		for _, f := range []ir.Flags{0, ir.Word, ir.Immediate, ir.Word | ir.Immediate, ir.Signed, ir.Truncate, ir.Truncate | ir.Word} {
			for _, size := range []uint8{1, 2, 3, 4, 8} {
				small := o == ir.Load || o == ir.Store // as well
				if csr := o >= ir.FCSRRead; csr != (size == 3 || csr && size < 3) || size < 3 && !small && !csr {
					continue
				}
				for i, d := range regs {
					in := ir.Inst{Op: o, Flags: f, Size: size, Dst: d, A: regs[(i+1)%6], B: regs[(i+2)%6], Imm: 3, Target: 64}
					if o >= ir.FAdd && o < ir.FCSRRead {
						in.Dst, in.A, in.B, in.C = 32+d, 32+in.A, 32+in.B, 32+d
					}
					switch o {
					case ir.FLoad, ir.FStore, ir.FFromX, ir.FFromI, ir.FFromU:
						in.A &= 31
					case ir.FToX, ir.FToI, ir.FToU, ir.FEq, ir.FLt, ir.FLe, ir.FLtQ, ir.FLeQ, ir.FClass:
						in.Dst &= 31
					}
					if ir.CSRSwap <= o && o <= ir.CSRClear {
						csrs := []riscv.CSR{riscv.CSRSstatus, riscv.CSRSscratch, riscv.CSRSepc, riscv.CSRStvec, riscv.CSRSatp, riscv.CSRMscratch}
						in.Target, in.Imm = int32(csrs[i]), in.Imm&int64(i)
					}
					all = append(all, in)
					in.A = in.Dst&31 | in.A&32
					all = append(all, in)
					in.B = in.Dst&31 | in.B&32
					in.Imm = -2000
					all = append(all, in)
				}
			}
		}
	}
	return all
}

// TestDecodes: all that is emitted is made of instructions, its branches stay
// in the block or lead to a routine, what it writes, other than through an
// address that a TLB has translated, is at a place that the Layout names, and
// the registers that are not the code's are never written.
func TestDecodes(t *testing.T) {
	testDecodes(t, 0x800, false)
	testDecodes(t, 0x123400, true)
}

// auditor checks the code of blocks and of regions.
type auditor struct {
	l        *Layout
	r        *Routines
	atomic   bool
	routines map[int]bool
	region   bool
}

func newAuditor(far int32, atomic bool) *auditor {
	l := &Layout{X: -128, F: 128, FFlags: 400, Loads: 0x10000, Stores: 0x20000, TLBEntries: 1024, MoreLoads: 0x50000, MoreStores: 0x60000, TLBSets: 512, DataContext: far, Fetches: 0x40000,
		FetchEntries: 4096, FetchContext: far + 8, CodeBase: far + 16, Left: far + 24, Base: far + 32, PC: far + 40, Resume: far + 48,
		ID: far + 56, Reason: far + 60, FPOn: far + 64, FPUsed: far + 68, FPStatus: far + 72, FPClean: far + 76,
		FPMoves: far + 80, FRM: far + 84, ResHost: far + 88, ResValue: far + 96, ResValid: far + 104, ResSize: far + 105, SiteLogs: 0x70000}
	y := &l.System
	for i, at := range []*int32{&y.Priv, &y.Mstatus, &y.Mie, &y.Mip, &y.Stvec, &y.Sscratch, &y.Sepc, &y.Scause, &y.Stval, &y.Satp, &y.Attention,
		&y.Lines, &y.TimerPending, &y.Contexts, &y.JumpKey, &y.SeenPriv, &y.SeenStatus, &y.FPReady, &y.Direct, &y.Limit, &y.FPIf} {
		*at = far + 112 + 8*int32(i)
	}
	r := NewRoutines(l, atomic)
	return &auditor{l: l, r: r, atomic: atomic, routines: map[int]bool{r.Enter: true, r.slow: true, r.link: true, r.look: true, r.short: true,
		r.far: true, r.across: true, r.loads: true, r.stores: true, r.status: true, r.call: true, r.sret: true,
		r.pause: true, r.more: true, r.fillLoad: true, r.fillStore: true}}
}

// check looks through the code of what, which is at a distance from the routines.
func (u *auditor) check(t *testing.T, what any, code abi.Code, at int) {
	t.Helper()
	l := u.l
	y := &l.System
	var targets []int
	inVCPU := map[Reg]int64{state: 0} // registers that are as far from X19
	reached := false                  // X30 is near a pointer
	last, text := "", ""
	for pc := 0; pc < len(code.Bytes); pc += 4 {
		w := binary.LittleEndian.Uint32(code.Bytes[pc:])
		if slices.ContainsFunc(code.Links, func(k abi.Link) bool { return k.Far && k.Context == pc }) || code.Context != 0 && pc == code.Context {
			continue // data
		}
		x, err := arm64asm.Decode(code.Bytes[pc:])
		if err != nil {
			if u.atomic && (w&0x3f200c00 == 0x38200000 || // of Armv8.1
				w&0x3fe0fc00 == 0x08e0fc00) && Reg(w>>5&31) == X3 {
				continue // TestAtomic
			}
			t.Fatalf("%v: at %d: %#x %v", what, pc, w, err)
		}
		for _, arg := range x.Args {
			if rel, ok := arg.(arm64asm.PCRel); ok {
				targets = append(targets, pc+int(rel))
			}
		}
		last, text = text, arm64asm.GNUSyntax(x)
		if d, ok := x.Args[0].(arm64asm.Reg); ok && !strings.HasPrefix(text, "st") {
			switch n := Reg(d & 31); {
			case d > arm64asm.XZR || strings.HasPrefix(text, "msr") || strings.HasPrefix(text, "cb") || strings.HasPrefix(text, "tb"):
			case u.region && (n == X22 || n == X23):
			case n == 18 || n == X19 || n == X22 || n == X23 || n == 28 || n == 29:
				t.Errorf("%v: writes %v", what, text)
			}
		}
		if !strings.HasPrefix(text, "st") {
			for _, arg := range x.Args[:2] {
				d, ok := arg.(arm64asm.Reg)
				if r, sp := arg.(arm64asm.RegSP); sp {
					d, ok = arm64asm.Reg(r), true
				}
				if ok && d <= arm64asm.XZR && Reg(d&31) != state {
					delete(inVCPU, Reg(d&31)) // though it may only be read
				}
			}
			var d, n Reg
			var v int64
			shift := 0
			if k, _ := fmt.Sscanf(text, "add x%d, x19, #0x%x, lsl #%d", &d, &v, &shift); k >= 2 {
				inVCPU[d] = v << shift
			}
			if op, args, _ := strings.Cut(text, " "); strings.HasPrefix(args, "x30,") {
				k, _ := fmt.Sscanf(args, "x30, x%d, #", &n)
				reached = k == 1 && pointerReg(n) && (op == "add" || op == "sub")
			}
			continue
		}
		if text == "stp x0, x30, [sp,#-16]!" || text == "stp x1, x30, [sp,#-16]!" {
			continue // a call
		}
		operand := text[strings.Index(text, "["):]
		var base, index Reg
		off := int64(0)
		if n, _ := fmt.Sscanf(operand, "[x%d,x%d]", &base, &index); n == 2 {
			if index != X3 && !(u.region && index == X2) {
				t.Errorf("%v: writes by %v after %v", what, text, last)
			}
			continue
		}
		fmt.Sscanf(operand, "[x%d,#%d]", &base, &off)
		v, ok := inVCPU[base]
		// Where the guest's memory is, after a check.
		if u.region && !ok && (pointerReg(base) || base == LR && reached) && -maxReach < off && off < maxReach {
			continue
		}
		if u.region && base == sites {
			if (off+siteBias)%siteSize != siteAddend {
				t.Errorf("%v: writes to a site by %v", what, text)
			}
			continue
		}
		if ok {
			base, off = state, off+v
		}
		d := int32(off)
		in := []int32{l.FPUsed, l.FPOn, l.FPClean, l.FFlags, l.FRM, l.ResHost, l.ResValue, l.ResValid, l.ResSize,
			y.FPIf, y.Mstatus, y.Stvec, y.Sscratch, y.Sepc}
		if u.region {
			in = append(in, l.Base, l.Resume, l.ID)
		}
		inState := base == state && (d >= l.X && d < l.X+256 || d >= l.F && d < l.F+256 || slices.Contains(in, d))
		line := strings.HasPrefix(text, "stp xzr, xzr, [x3") && d >= 0 && d < 64
		if !inState && operand != "[x3]" && !line {
			t.Errorf("%v: writes by %v after %v", what, text, last)
		}
	}
	for _, to := range targets {
		if (to < 0 || to >= len(code.Bytes) || to&3 != 0) && !u.routines[to+at] {
			t.Errorf("%v: a branch leads to %d", what, to)
		}
	}
}

// pointerReg tells whether a region may have a pointer in r.
func pointerReg(r Reg) bool {
	return r == X2 || r == X3 || r == stores || slices.ContainsFunc(mapped[:], func(m struct {
		guest ir.Reg
		host  Reg
	}) bool {
		return m.host == r
	})
}

func testDecodes(t *testing.T, far int32, atomic bool) {
	u := newAuditor(far, atomic)
	e := NewEmitter(u.l, u.r)
	const at = 0x1000
	for n, in := range sample() {
		end := ir.Inst{Op: ir.JumpReg, A: 1, Index: 1}
		if n%2 != 0 {
			end = ir.Inst{Op: ir.Jump, Target: 1<<30 + int32(n), Index: 1}
		}
		b := &ir.Block{Start: 32, Count: 2, Insts: []ir.Inst{in, end}}
		u.check(t, in, e.Emit(b, at, 5), at)
	}
}
