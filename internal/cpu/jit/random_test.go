//go:build linux && (amd64 || arm64)

package jit

import (
	"encoding/binary"
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/cpu/jit/lower"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// corners are what random operands are drawn from, besides random ones.
var corners = []uint64{0, 1, 2, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
	1 << 32, 1<<63 - 1, 1 << 63, 1<<63 + 1, ^uint64(0), ^uint64(0) - 1, 0xffff_ffff_8000_0000, 0xffff_ffff_7fff_ffff}

var doubles = []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 1.5, 2.5, -2.5, math.Inf(1), math.Inf(-1), math.MaxFloat64,
	math.SmallestNonzeroFloat64, 0x1p-1022, 0x1.fffffffffffffp-1022, 0x1p31, 0x1p32, 0x1p63, 0x1p64, -0x1p31, -0x1p63, 0x1p31 - 0.5,
	0x1p32 - 0.5, 0x1p32 - 1, -0x1p31 - 0.5, -0.5, -0.75, 0x1p-149, 0x1p-150, 0x1p-126, 0x1.fffffep127, 0x1.ffffffp127, 0x1p52 + 0.5, 3, 7, 1e300, 1e-300}

func value(r *rand.Rand) uint64 {
	switch r.IntN(3) {
	case 0:
		return corners[r.IntN(len(corners))]
	case 1:
		return r.Uint64() >> r.Uint32N(64)
	}
	return r.Uint64()
}

func floatValue(r *rand.Rand) uint64 {
	switch r.IntN(10) {
	case 8: // products near the least normal double, and near the greatest
		return math.Float64bits(math.Ldexp(1+r.Float64(), 511-r.IntN(2)*(1022+r.IntN(28)))) | r.Uint64()<<63
	case 9: // the same of singles
		return 0xffff_ffff_0000_0000 | uint64(math.Float32bits(float32(math.Ldexp(1+r.Float64(), 63-r.IntN(2)*(126+r.IntN(13))))))
	case 0: // NaNs of both kinds, of doubles and singles
		return 0x7ff0_0000_0000_0000 | r.Uint64()>>r.Uint32N(64) | r.Uint64()<<63
	case 1:
		return 0xffff_ffff_7f80_0000 | r.Uint64()>>(32+r.Uint32N(32)) | uint64(r.Uint32N(2))<<31
	case 2:
		return r.Uint64()
	case 3, 4:
		return 0xffff_ffff_0000_0000 | uint64(math.Float32bits(float32(doubles[r.IntN(len(doubles))])))
	case 5:
		return 0xffff_ffff_0000_0000 | uint64(r.Uint32())
	}
	return math.Float64bits(doubles[r.IntN(len(doubles))])
}

// dataAt is where blocks find 512 bytes of data, in two pages.
const dataAt = cputest.Base + 0xff80

func isInline(raw uint32) bool {
	if !hasRegions {
		return true
	}
	var b ir.Block
	lower.Block(0, []riscv.Inst{riscv.Decode(raw)}, &b)
	return regionOp(&b.Insts[0])
}

// randomBlock is straight-line code of ops that are done inline, mostly; x5
// points to data and is not written. inline is for what regions can have only.
func randomBlock(r *rand.Rand, float, inline bool) []byte {
	var code []byte
	for n := 4 + r.IntN(24); n > 0; {
		op := riscv.LUI + riscv.Op(r.IntN(int(riscv.AMOCAS_D-riscv.LUI)+1))
		if float {
			op = riscv.FLW + riscv.Op(r.IntN(int(riscv.FCVT_H_D-riscv.FLW)+1))
			switch r.IntN(12) {
			case 0:
				op = riscv.CSRRW + riscv.Op(r.IntN(6))
			case 1, 2:
				code, n = appendQuiet(r, code), n-3
				continue
			}
		}
		if riscv.JAL <= op && op <= riscv.BGEU {
			continue
		}
		if !float && r.IntN(8) == 0 {
			op = []riscv.Op{riscv.LR_W, riscv.SC_W, riscv.LR_D, riscv.SC_D}[r.IntN(4)]
		}
		in := riscv.Inst{Op: op, Rd: uint8(r.IntN(32)), Rs1: uint8(r.IntN(32)), Rs2: uint8(r.IntN(32)), Rs3: uint8(r.IntN(32)),
			RM: []uint8{0, 0, 1, 2, 3, 4, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7}[r.IntN(16)/max(1, r.IntN(3))], Imm: int64(r.IntN(4096) - 2048)}
		switch {
		case riscv.LB <= op && op <= riscv.SD, op == riscv.FLW, op == riscv.FSW, op == riscv.FLD, op == riscv.FSD, op == riscv.FLH, op == riscv.FSH:
			in.Rs1, in.Imm = 5, int64(r.IntN(256))&^7+int64(r.IntN(8))/max(1, int64(r.IntN(9)))
		case op >= riscv.CSRRW && op <= riscv.CSRRCI:
			in.Imm = int64(riscv.CSRFflags) + int64(r.IntN(3))
			if r.IntN(3) == 0 {
				in.Rs1 = 0
			}
		case op >= riscv.LR_W && op <= riscv.AMOCAS_D:
			in.Rs1 = 6
		case op == riscv.LUI || op == riscv.AUIPC:
			in.Imm = int64(int32(r.Uint32())) >> 12 << 12
		case in.Imm < 0 || in.Imm > 63:
			if _, err := riscv.Encode(in); err != nil {
				in.Imm &= 31
			}
		}
		if in.Rd == 5 || in.Rd == 6 || in.Rd >= 29 { // addresses and counts
			in.Rd = 7
		}
		raw, err := riscv.Encode(in)
		if err != nil || inline && !isInline(raw) {
			continue
		}
		code = binary.LittleEndian.AppendUint32(code, raw)
		n--
	}
	return binary.LittleEndian.AppendUint32(code, 0x0000_006f) // j .
}

// appendQuiet appends what compilers make of a quiet comparison, or what is
// nearly that.
func appendQuiet(r *rand.Rand, code []byte) []byte {
	op := riscv.FLT_S + riscv.Op(r.IntN(2))
	if r.IntN(2) == 0 {
		op += riscv.FLT_D - riscv.FLT_S
	}
	flags := uint8(10 + r.IntN(4))
	for _, in := range []riscv.Inst{
		{Op: riscv.CSRRS, Rd: flags, Imm: int64(riscv.CSRFflags)},
		{Op: op, Rd: uint8(10 + r.IntN(4)), Rs1: uint8(r.IntN(32)), Rs2: uint8(r.IntN(32))},
		{Op: riscv.CSRRW, Rs1: flags, Imm: int64(riscv.CSRFflags)},
	} {
		raw, err := riscv.Encode(in)
		if err != nil {
			panic(err)
		}
		code = binary.LittleEndian.AppendUint32(code, raw)
	}
	return code
}

var (
	roundsFlag = flag.Int("rounds", 4000, "random blocks to compare")
	seedFlag   = flag.Uint64("seed", 1, "of the random blocks")
)

// TestRandomBlocks compares whole blocks with the interpreter in all state.
func TestRandomBlocks(t *testing.T) {
	rounds := *roundsFlag
	if testing.Short() {
		rounds /= 10
	}
	p := newPair(t, Options{Threshold: -1}, "nop\n", cputest.Options{RAM: 1 << 18})
	seed := *seedFlag
	r := rand.New(rand.NewPCG(seed, 7))
	inline := uint64(0)
	for round := range rounds {
		code := randomBlock(r, round%2 == 0, false)
		var x, f [32]uint64
		for i := 1; i < 32; i++ {
			x[i] = value(r)
		}
		for i := range f {
			f[i] = floatValue(r)
		}
		x[5], x[6] = dataAt, dataAt+8*r.Uint64N(8)
		frm := uint8(0)
		switch r.IntN(8) {
		case 0:
			frm = uint8(r.IntN(8))
		case 1, 2, 3:
			frm = uint8(1 + r.IntN(3))
		}
		flags := r.Uint32N(32)
		mem := make([]byte, 512)
		for i := range mem {
			mem[i] = byte(r.Uint32())
		}
		at := uint64(cputest.Base + 0x1000 + 4*r.Uint64N(900))
		for _, m := range p.both() {
			copy(m.RAM.Bytes()[at-cputest.Base:], code)
			copy(m.RAM.Bytes()[dataAt-cputest.Base:], mem)
			h := m.Hart()
			h.State = hart.State{X: x, F: f, FRM: frm, FFlags: flags, PC: at, Priv: hart.M, CSR: h.CSR}
			h.CSR.Mtvec = cputest.Base
			h.CSR.Mstatus |= riscv.MstatusFS
			h.Refresh()
			m.CPUs[0].FlushTLB()
			refetch(m)
		}
		budget := uint64(len(code)/4 + 5) // then it spins
		// One pass fills the TLB, the next is all inline.
		for range 2 {
			for _, m := range p.both() {
				h := m.Hart()
				h.X, h.F, h.FFlags, h.PC, h.FRM = x, f, flags, at, frm
				copy(m.RAM.Bytes()[dataAt-cputest.Base:], mem)
			}
			p.spend(t, budget, "seed %d round %d", seed, round)
		}
		if !p.alike() {
			for i := 0; i < len(code); i += 4 {
				in := riscv.Decode(binary.LittleEndian.Uint32(code[i:]))
				t.Logf("%s\t(%#x %#x %#x)", in.Disassemble(at+uint64(i)), f[in.Rs1], f[in.Rs2], f[in.Rs3])
			}
		}
		p.compare(t, "seed %d round %d", seed, round)
		inline = p.v.stats.Blocks
	}
	if inline < uint64(rounds)/2 {
		t.Errorf("only %d blocks were translated: this test shows nothing", inline)
	}
	t.Log(p.v.stats)
}

// refetch is a fence.i.
func refetch(m *cputest.Machine) {
	h := m.Hart()
	h.RequestFlush(hart.Fence{Code: true})
	h.Poll()
}
