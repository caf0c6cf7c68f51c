package amd64

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

// decode disassembles one instruction that must have exactly these bytes.
func decode(t *testing.T, code []byte) string {
	t.Helper()
	in, err := x86asm.Decode(code, 64)
	if err != nil || in.Len != len(code) {
		t.Errorf("% x: length %d of %d, %v", code, in.Len, len(code), err)
		return ""
	}
	return strings.ToLower(x86asm.IntelSyntax(in, 0, nil))
}

var registers = []Reg{RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15}

var names32 = []string{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"}

func name(r Reg, w bool) string {
	if w {
		return r.String()
	}
	return names32[r]
}

// TestRegisters decodes the forms with two registers, in all combinations.
func TestRegisters(t *testing.T) {
	for _, d := range registers {
		for _, s := range registers {
			for _, w := range []bool{false, true} {
				for o := aluAdd; o <= aluCmp; o++ {
					var a asm
					a.aluRR(o, w, d, s)
					if got, want := decode(t, a.buf), fmt.Sprintf("%v %s, %s", o, name(d, w), name(s, w)); got != want {
						t.Errorf("% x is %q, want %q", a.buf, got, want)
					}
				}
				for _, n := range []int32{1, -128, 127, 128, -129, 1<<31 - 1} {
					var a asm
					a.aluRI(aluAnd, w, d, n)
					if got := decode(t, a.buf); !strings.HasPrefix(got, "and "+name(d, w)+", ") {
						t.Errorf("% x is %q", a.buf, got)
					}
				}
			}
			for _, c := range []struct {
				emit func(*asm)
				want string
			}{
				{func(a *asm) { a.movsxd(d, s) }, "movsxd " + d.String() + ", " + names32[s]},
				{func(a *asm) { a.mov32RR(d, s) }, "mov " + names32[d] + ", " + names32[s]},
				{func(a *asm) { a.rr(wide(0x0faf), d, s) }, "imul " + d.String() + ", " + s.String()},
				{func(a *asm) { a.rr(wide(0x85), s, d) }, "test " + d.String() + ", " + s.String()},
				{func(a *asm) { a.rr(wide(0x0f45), d, s) }, "cmovnz " + d.String() + ", " + s.String()},
				{func(a *asm) { a.rr(op{code: 0x0fbd, prefix: 0xf3, w: true}, d, s) }, "lzcnt " + d.String() + ", " + s.String()},
				{func(a *asm) { a.rr(op{code: 0x0fbc, prefix: 0xf3}, d, s) }, "tzcnt " + names32[d] + ", " + names32[s]},
				{func(a *asm) { a.rr(op{code: 0x0fb8, prefix: 0xf3, w: true}, d, s) }, "popcnt " + d.String() + ", " + s.String()},
			} {
				var a asm
				c.emit(&a)
				if got := decode(t, a.buf); got != c.want {
					t.Errorf("% x is %q, want %q", a.buf, got, c.want)
				}
			}
		}
	}
}

// TestMemory decodes all addressing forms.
func TestMemory(t *testing.T) {
	for _, base := range registers {
		for _, index := range registers {
			for _, disp := range []int32{0, 1, -128, 127, 128, -4096, 1<<31 - 1} {
				for scale := range uint8(4) {
					var a asm
					a.movRM(R9, mem{base, index, scale, disp})
					in, err := x86asm.Decode(a.buf, 64)
					if err != nil || in.Len != len(a.buf) {
						t.Fatalf("% x: %v", a.buf, err)
					}
					m, ok := in.Args[1].(x86asm.Mem)
					wantIndex, wantScale := x86asm.RAX+x86asm.Reg(index), uint8(1)<<scale
					if index == RSP {
						wantIndex, wantScale = 0, m.Scale
					}
					if !ok || m.Base != x86asm.RAX+x86asm.Reg(base) || m.Index != wantIndex || m.Scale != wantScale || int32(m.Disp) != disp {
						t.Errorf("% x is %v, want base %v index %v<<%d %+d", a.buf, in, base, index, scale, disp)
					}
				}
			}
		}
	}
}

// TestVector compares what the disassembler does not know with GNU as.
func TestVector(t *testing.T) {
	l := &Layout{}
	for _, c := range []struct {
		op   ir.Op
		size uint8
		want string
	}{
		{ir.FMAdd, 8, "c4e2e1a9c3"}, {ir.FMSub, 8, "c4e2e1abc3"}, {ir.FNMSub, 8, "c4e2e1adc3"}, {ir.FNMAdd, 8, "c4e2e1afc3"},
		{ir.FMAdd, 4, "c4e261a9c3"}, {ir.FNMAdd, 4, "c4e261afc3"},
	} {
		e := NewEmitter(l, NewRoutines(l))
		code := e.Emit(&ir.Block{Count: 1, Insts: []ir.Inst{{Op: c.op, Size: c.size, Dst: 32, A: 32, B: 32, C: 32}}}, 0, 0)
		if got := hex.EncodeToString(code.Bytes); !strings.Contains(got, c.want) {
			t.Errorf("%v.%d: %s does not hold %s", c.op, c.size, got, c.want)
		}
	}
}

// sample is a block of every Op with registers of all kinds: mapped ones, those
// in memory, x0, and the same one twice.
func sample() []ir.Inst {
	var all []ir.Inst
	regs := []ir.Reg{0, 1, 8, 10, 15, 31}
	for o := ir.Nop; o <= ir.FCSRClear; o++ {
		if o == ir.Jump || o == ir.JumpReg || o == ir.FMAdd || o == ir.FMSub || o == ir.FNMAdd || o == ir.FNMSub {
			continue // at the end, and what x86asm does not know
		}
		for _, f := range []ir.Flags{0, ir.Word, ir.Immediate, ir.Word | ir.Immediate, ir.Signed, ir.Truncate, ir.Truncate | ir.Word} {
			for _, size := range []uint8{4, 8} {
				for i, d := range regs {
					in := ir.Inst{Op: o, Flags: f, Size: size, Dst: d, A: regs[(i+1)%6], B: regs[(i+2)%6], Imm: 3, Target: 64}
					if o >= ir.FAdd {
						in.Dst, in.A, in.B = 32+d, 32+in.A, 32+in.B
					}
					if f == 0 {
						in.Round = ir.Round(i % 5)
					}
					if f == ir.Truncate {
						in.Flags |= ir.Undone
					}
					switch o {
					case ir.FCSRRead, ir.FCSRWrite, ir.FCSRSet, ir.FCSRClear:
						in.Dst, in.A, in.Size = d, in.A&31, uint8(1+i%3)
					case ir.FLoad, ir.FStore, ir.FFromX, ir.FFromI, ir.FFromU:
						in.A &= 31
					case ir.FToX, ir.FToI, ir.FToU, ir.FEq, ir.FLt, ir.FLe, ir.FLtQ, ir.FLeQ, ir.FClass:
						in.Dst &= 31
					}
					all = append(all, in)
					in.A = in.Dst&31 | in.A&32
					all = append(all, in)
					in.B = in.Dst&31 | in.B&32
					all = append(all, in)
				}
			}
		}
	}
	for _, o := range []ir.Op{ir.CSRSwap, ir.CSRSet, ir.CSRClear} {
		for _, n := range []riscv.CSR{riscv.CSRSstatus, riscv.CSRSscratch, riscv.CSRSepc, riscv.CSRScause, riscv.CSRStval, riscv.CSRStvec, riscv.CSRSatp} {
			for _, d := range regs {
				for _, imm := range []int64{0, 2, 31} {
					all = append(all, ir.Inst{Op: o, Target: int32(n), Dst: d, Flags: ir.Immediate, Imm: imm})
				}
				for _, s := range regs {
					all = append(all, ir.Inst{Op: o, Target: int32(n), Dst: d, A: s})
				}
			}
		}
	}
	return all
}

func homeOr(r ir.Reg, other Reg) Reg {
	if h := mappedHomes[r]; h != noHome {
		return h
	}
	return other
}

// TestSharedChecks: what shares a site is checked once, and found again in
// memory where RDX has been lost.
func TestSharedChecks(t *testing.T) {
	l := &Layout{X: -128, F: 128, Loads: 0x10000, Stores: 0x20000, TLBEntries: 1024, DataContext: 0x30000, Addends: 0x40000}
	r := NewRoutines(l)
	load := func(base ir.Reg, site, span uint16, imm int64) ir.Inst {
		return ir.Inst{Op: ir.Load, Size: 8, Dst: 20, A: base, Imm: imm, Site: site, Span: span}
	}
	for _, c := range []struct {
		name                string
		insts               []ir.Inst
		checks, kept, again int
	}{
		{"one base", []ir.Inst{load(2, 1, 24, 0), load(2, 1, 0, 8), load(2, 1, 0, 16)}, 1, 0, 0},
		{"in memory", []ir.Inst{load(20, 1, 24, 0), load(20, 1, 0, 8)}, 1, 0, 0},
		{"each its own", []ir.Inst{load(2, 1, 8, 0), load(8, 2, 8, 0)}, 2, 0, 0},
		{"in turn", []ir.Inst{load(2, 1, 16, 0), load(8, 2, 16, 0), load(2, 1, 0, 8), load(8, 2, 0, 8)}, 2, 2, 2},
		{"something between", []ir.Inst{load(2, 1, 16, 0), {Op: ir.Add, Dst: 21, A: 22, B: 23}, load(2, 1, 0, 8)}, 1, 0, 0},
		{"something that takes RDX between", []ir.Inst{load(2, 1, 16, 0), {Op: ir.MulHU, Dst: 21, A: 22, B: 23}, load(2, 1, 0, 8)}, 1, 1, 1},
	} {
		for i := range c.insts {
			c.insts[i].Index = uint8(i)
		}
		n := len(c.insts)
		code := NewEmitter(l, r).Emit(&ir.Block{Count: n + 1, Insts: append(c.insts, ir.Inst{Op: ir.JumpReg, A: 1, Index: uint8(n)})}, 0x1000, 5)
		checks, kept, again := 0, 0, 0
		for pc := 0; pc < len(code.Bytes); {
			x, err := x86asm.Decode(code.Bytes[pc:], 64)
			if err != nil {
				t.Fatal(err)
			}
			pc += x.Len
			for i, arg := range x.Args[:2] {
				switch m, ok := arg.(x86asm.Mem); {
				case !ok || m.Base != x86asm.R15:
				case m.Index == x86asm.RCX && int32(m.Disp) == l.Loads && x.Op == x86asm.CMP:
					checks++
				case int32(m.Disp) >= l.Addends && i == 0:
					kept++
				case int32(m.Disp) >= l.Addends:
					again++
				}
			}
		}
		if checks != c.checks || kept != c.kept || again != c.again {
			t.Errorf("%s: %d checks, %d addends kept and %d loaded; want %d, %d, %d", c.name, checks, kept, again, c.checks, c.kept, c.again)
		}
	}
}

// TestDecodes: all that is emitted is made of instructions, its jumps stay in
// the block or lead to a routine, and what it writes, other than through an
// address that a TLB has translated into RAX or RDX, or for which RDX has what is to be added to its base, is at a place that the
// Layout names.
func TestDecodes(t *testing.T) {
	l := &Layout{X: -128, F: 128, FFlags: 400, Loads: 0x10000, Stores: 0x20000, TLBEntries: 1024, DataContext: 0x30000, Fetches: 0x40000, Addends: 0x34000,
		FetchEntries: 4096, FetchContext: 0x31000, CodeBase: 0x31008, Left: 0x32000, Base: 0x32008, PC: 0x32010, Resume: 0x32018, ID: 0x32020, Reason: 0x32024,
		FPOn: 0x32028, FPUsed: 0x3202c, FPStatus: 0x32030, FPClean: 0x32034, FPMoves: 0x32038, FRM: 0x3203c,
		ResHost: 0x32040, ResValue: 0x32048, ResValid: 0x32050, ResSize: 0x32051,
		System: abi.System{Mstatus: 0x33000, Stvec: 0x33008, Sscratch: 0x33010, Sepc: 0x33018, Scause: 0x33020, Stval: 0x33028, Satp: 0x33030,
			Priv: 0x33038, Direct: 0x33039}}
	r := NewRoutines(l)
	routines := map[int]bool{r.Enter: true, r.slow: true, r.link: true, r.look: true, r.far: true, r.short: true, r.interpret: true, r.moreLoads: true, r.moreStores: true, r.status: true, r.call: true, r.ret: true, r.across: true}
	for _, at := range slices.Concat(r.setFCSR[:], r.zeroTimesInf[:], r.class[:]) {
		routines[at] = true
	}
	e := NewEmitter(l, r)
	const at = 0x1000
	for _, in := range sample() {
		b := &ir.Block{Start: 32, Count: 2, Insts: []ir.Inst{in, {Op: ir.JumpReg, A: 1, Index: 1}}}
		code := e.Emit(b, at, 5)
		starts := map[int]bool{}
		var targets []int
		for pc := 0; pc < len(code.Bytes); {
			x, err := x86asm.Decode(code.Bytes[pc:], 64)
			if err != nil {
				t.Fatalf("%v: at %d of % x: %v", in, pc, code.Bytes, err)
			}
			starts[pc] = true
			if rel, ok := x.Args[0].(x86asm.Rel); ok {
				targets = append(targets, pc+x.Len+int(rel))
			}
			if m, ok := x.Args[0].(x86asm.Mem); ok && x.Op != x86asm.JMP && x.Op != x86asm.CMP && x.Op != x86asm.TEST && x.Op != x86asm.LDMXCSR {
				d := int32(m.Disp)
				inState := m.Base == x86asm.R15 && m.Index == 0 && (d >= l.X && d < l.X+256 || d >= l.F && d < l.F+256 || d == l.FPUsed || d == l.FPStatus || d == l.FFlags ||
					d == l.ResHost || d == l.ResValue || d == l.ResValid || d == l.ResSize ||
					riscv.CSR(in.Target) != riscv.CSRSatp && d >= l.System.Mstatus && d < l.System.Satp)
				// RDX is what added to A makes the host's address.
				translated := in.IsMemory() && m.Base == x86asm.RDX && m.Index != 0 && m.Scale == 1 && d == int32(in.Imm) || (m.Base == x86asm.RAX || m.Base == x86asm.RDX) && m.Index == 0 && (d == 0 || in.Op == ir.ZeroLine && d < 64 && d%16 == 0)
				barrier := m.Base == x86asm.RSP && x.Op == x86asm.OR && x.Args[1] == x86asm.Imm(0)
				if translated && m.Index != 0 && m.Index != x86asm.RAX+x86asm.Reg(homeOr(in.A, RAX)) {
					t.Errorf("%v: writes %v, whose index is not its base", in, x)
				}
				if !inState && !translated && !barrier {
					t.Errorf("%v: writes %v", in, x)
				}
			}
			pc += x.Len
		}
		for _, to := range targets {
			if !starts[to] && !routines[to+at] {
				t.Errorf("%v: a jump leads to %d, where no instruction starts", in, to)
			}
		}
	}
}
