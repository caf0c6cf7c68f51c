package opt

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"doppel/internal/cpu/jit/ir"
)

// machine is what a block computes with.
type machine struct {
	regs  [32]uint64
	log   []moment
	loose uint32 // registers that an exit extends

	failing bool // some Checks fail
	ended   bool // the region has been left
}

// seen is what an exit leaves.
func (m *machine) seen() [32]uint64 {
	regs := m.regs
	for r := range regs {
		if m.loose>>r&1 != 0 {
			regs[r] = sext(regs[r])
		}
	}
	return regs
}

// moment is an Inst at which the region may be left, and what is seen then.
type moment struct {
	op      ir.Op
	address uint64
	regs    [32]uint64
}

func sext(v uint64) uint64 { return uint64(int64(int32(v))) }

// pure evaluates an Inst that only computes, by what package ir says of it.
func (m *machine) pure(in *ir.Inst) uint64 {
	word := in.Flags&ir.Word != 0
	a, b := m.regs[in.A], m.regs[in.B]
	if in.Flags&ir.Immediate != 0 {
		b = uint64(in.Imm)
	}
	if word && in.Op != ir.Pack {
		v := word32(in.Op, uint32(a), uint32(b))
		if in.Flags&ir.Loose != 0 {
			return uint64(v) | 0x5a5a_5a5a<<32
		}
		return sext(uint64(v))
	}
	n := b & 63
	truth := func(yes bool) uint64 {
		if yes {
			return 1
		}
		return 0
	}
	switch in.Op {
	case ir.Const:
		return uint64(in.Imm)
	case ir.PC:
		return 0x7654_3000 + uint64(in.Imm)
	case ir.Add:
		return a + b
	case ir.Sub:
		return a - b
	case ir.And:
		return a & b
	case ir.Or:
		return a | b
	case ir.Xor:
		return a ^ b
	case ir.AndNot:
		return a &^ b
	case ir.OrNot:
		return a | ^b
	case ir.XorNot:
		return a ^ ^b
	case ir.Shl:
		return a << n
	case ir.Shr:
		return a >> n
	case ir.Sar:
		return uint64(int64(a) >> n)
	case ir.Rol:
		return bits.RotateLeft64(a, int(n))
	case ir.Ror:
		return bits.RotateLeft64(a, -int(n))
	case ir.Slt:
		return truth(int64(a) < int64(b))
	case ir.Sltu:
		return truth(a < b)
	case ir.Min:
		return uint64(min(int64(a), int64(b)))
	case ir.Max:
		return uint64(max(int64(a), int64(b)))
	case ir.MinU:
		return min(a, b)
	case ir.MaxU:
		return max(a, b)
	case ir.Mul:
		return a * b
	case ir.MulHU:
		hi, _ := bits.Mul64(a, b)
		return hi
	case ir.ShlAdd:
		return a<<in.Imm + m.regs[in.B]
	case ir.ZextAdd:
		return uint64(uint32(a))<<in.Imm + m.regs[in.B]
	case ir.ZextShl:
		return uint64(uint32(a)) << (in.Imm & 63)
	case ir.BitClr:
		return a &^ (1 << n)
	case ir.BitExt:
		return a >> n & 1
	case ir.BitInv:
		return a ^ 1<<n
	case ir.BitSet:
		return a | 1<<n
	case ir.ZeroIfZero:
		return a * truth(b != 0)
	case ir.ZeroIfNonzero:
		return a * truth(b == 0)
	case ir.Pack:
		if word {
			return sext(a&0xffff | b<<16)
		}
		return uint64(uint32(a)) | b<<32
	case ir.PackBytes:
		return a&0xff | b&0xff<<8
	case ir.Clz:
		return uint64(bits.LeadingZeros64(a))
	case ir.Ctz:
		return uint64(bits.TrailingZeros64(a))
	case ir.Popcnt:
		return uint64(bits.OnesCount64(a))
	case ir.SextB:
		return uint64(int64(int8(a)))
	case ir.SextH:
		return uint64(int64(int16(a)))
	case ir.ZextH:
		return uint64(uint16(a))
	case ir.ByteSwap:
		return bits.ReverseBytes64(a)
	}
	panic(in.String())
}

func word32(op ir.Op, a, b uint32) uint32 {
	switch op {
	case ir.Add:
		return a + b
	case ir.Sub:
		return a - b
	case ir.Shl:
		return a << (b & 31)
	case ir.Shr:
		return a >> (b & 31)
	case ir.Sar:
		return uint32(int32(a) >> (b & 31))
	case ir.Rol:
		return bits.RotateLeft32(a, int(b&31))
	case ir.Ror:
		return bits.RotateLeft32(a, -int(b&31))
	case ir.Mul:
		return a * b
	case ir.Clz:
		return uint32(bits.LeadingZeros32(a))
	case ir.Ctz:
		return uint32(bits.TrailingZeros32(a))
	case ir.Popcnt:
		return uint32(bits.OnesCount32(a))
	}
	panic(op.String())
}

// region runs a region until it is left or has gone on for long.
func (m *machine) region(blocks []ir.RegionBlock) {
	r := &ir.Region{Blocks: blocks}
	i := 0
	for steps := 0; i >= 0 && steps < 20; steps++ {
		m.loose = blocks[i].Loose
		i = r.Find(m.run(blocks[i].Insts))
	}
	m.ended = i < 0
	m.regs = m.seen()
}

// run executes a block and says where it leads. Memory holds what an address
// says.
func (m *machine) run(insts []ir.Inst) (target int32) {
	for i := range insts {
		in := &insts[i]
		if in.Op == ir.Nop {
			continue
		}
		if in.Pure() {
			if v := m.pure(in); in.Dst != 0 {
				m.regs[in.Dst] = v
			}
			m.loose = in.LooseAfter(m.loose)
			continue
		}
		if in.Op == ir.Check {
			if m.failing && m.regs[3]>>3&3 == 0 {
				return in.Target
			}
			continue
		}
		at := m.regs[in.A] + uint64(in.Imm)
		if in.Op == ir.Store { // what is stored is seen too
			at += m.regs[in.B] << (64 - 8*in.Size) * 0x9e37_79b9
		}
		if in.Op == ir.Branch {
			at = m.regs[in.A] - m.regs[in.B]
			if in.Flags&ir.Immediate != 0 {
				at = m.regs[in.A] - uint64(in.Imm)
			}
		}
		if !in.IsMemory() || in.Site == 0 || in.Span != 0 { // else it cannot leave
			m.log = append(m.log, moment{in.Op, at, m.seen()})
		}
		if in.Op == ir.Jump || in.Op == ir.Branch && (at == 0) == (in.Cond == ir.EQ) {
			return in.Target
		}
		if in.Op == ir.Load && in.Dst != 0 {
			v := (at + 1) * 0x9e37_79b9_7f4a_7c15
			switch {
			case in.Size == 4 && in.Flags&ir.Signed != 0:
				v = sext(v)
			case in.Size == 4:
				v = uint64(uint32(v))
			case in.Size == 1:
				v &= 0xff
			}
			m.regs[in.Dst] = v
		}
		m.loose = in.LooseAfter(m.loose)
	}
	return -1
}

var wordOps = []ir.Op{ir.Add, ir.Sub, ir.Shl, ir.Shr, ir.Sar, ir.Rol, ir.Ror, ir.Mul, ir.Clz, ir.Ctz, ir.Popcnt}

// randomInsts is a block that computes mostly with constants and what it has
// made of them, on few registers.
//
// It leads to blocks of a region that start at multiples of 64 from base, or elsewhere.
func randomInsts(r *rand.Rand, base int32) (insts []ir.Inst) {
	reg := func() ir.Reg { return ir.Reg(r.IntN(7)) }
	constant := func() int64 {
		switch r.IntN(5) {
		case 0:
			return []int64{0, 1, -1, 31, 32, 33, 63, 64, math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64, math.MinInt64, 1 << 50}[r.IntN(15)]
		case 1:
			return int64(r.Uint64())
		}
		return int64(r.Uint64()) >> r.IntN(64)
	}
	for i := range 4 + r.IntN(20) {
		if r.IntN(12) == 0 { // the address of an element
			d, a, b := reg(), reg(), reg()
			if r.IntN(2) == 0 {
				a = d
			}
			shift := ir.Inst{Op: ir.Shl, Flags: ir.Immediate, Dst: d, A: a, Imm: int64(1 + r.IntN(3)), Index: uint8(i)}
			if r.IntN(3) == 0 {
				shift.Op = ir.ZextShl
			}
			insts = append(insts, shift)
			if r.IntN(2) == 0 {
				insts = append(insts, ir.Inst{Op: ir.Xor, Dst: reg(), A: reg(), B: reg(), Index: uint8(i)})
			}
			insts = append(insts, []ir.Inst{{Op: ir.Add, Dst: d, A: d, B: b, Index: uint8(i)}, {Op: ir.Add, Dst: d, A: b, B: d, Index: uint8(i)}}[r.IntN(2)])
			continue
		}
		in := ir.Inst{Dst: reg(), A: reg(), B: reg(), Index: uint8(i)}
		switch r.IntN(10) {
		case 0, 1:
			in = ir.Inst{Op: ir.Const, Dst: in.Dst, Imm: constant()}
		case 2:
			in = ir.Inst{Op: ir.Load, Size: []uint8{1, 4, 4, 8}[r.IntN(4)], Flags: []ir.Flags{0, ir.Signed}[r.IntN(2)], Dst: in.Dst, A: in.A, Imm: int64(r.IntN(64))}
		case 3:
			in = ir.Inst{Op: ir.Store, Size: []uint8{1, 4, 8}[r.IntN(3)], A: in.A, B: in.B, Imm: int64(r.IntN(64))}
		case 4, 5:
			in.Op, in.Flags = wordOps[r.IntN(len(wordOps))], ir.Word
		default:
			in.Op = ir.Add + ir.Op(r.IntN(int(ir.ByteSwap-ir.Add)+1))
		}
		switch in.Op {
		case ir.MulH, ir.MulHSU, ir.Div, ir.DivU, ir.Rem, ir.RemU, ir.ClMul, ir.ClMulH, ir.ClMulR:
			continue // passes look at their results only
		case ir.ShlAdd, ir.ZextAdd:
			in.Imm = int64(1 + r.IntN(3))
		case ir.ZextShl:
			in.Flags, in.Imm = ir.Immediate, int64(r.IntN(64))
		case ir.Shl, ir.Shr, ir.Sar, ir.Ror:
			if r.IntN(2) == 0 {
				width := 64
				if in.Flags&ir.Word != 0 {
					width = 32
				}
				in.Flags, in.B, in.Imm = in.Flags|ir.Immediate, 0, int64(r.IntN(width))
			}
		case ir.Add, ir.And, ir.Or, ir.Xor, ir.Slt, ir.Sltu:
			if r.IntN(2) == 0 {
				in.Flags, in.B, in.Imm = in.Flags|ir.Immediate, 0, int64(r.IntN(4096)-2048)
				if r.IntN(4) == 0 {
					in.Imm = 0
				}
			}
		}
		insts = append(insts, in)
	}
	to := func() int32 { return base + []int32{0, 64, 128, 4000}[r.IntN(4)] }
	return append(insts, ir.Inst{Op: ir.Branch, Cond: ir.Cond(r.IntN(2)), A: reg(), B: reg(), Target: to()}, ir.Inst{Op: ir.Jump, Target: to()})
}

// bases are where the code of regions may begin, beside the page that their
// offsets are from: that of the head, before and behind which other pages lie.
var bases = []int32{0, -64, -4096, 8192, -1 << 20, 1 << 20}

func cloned(blocks []ir.RegionBlock) []ir.RegionBlock {
	blocks = slices.Clone(blocks)
	for i := range blocks {
		blocks[i].Insts = slices.Clone(blocks[i].Insts)
	}
	return blocks
}

// TestPassesKeepMeaning: a region means the same after each pass and after all
// of them, at every Inst that may leave it.
func TestPassesKeepMeaning(t *testing.T) {
	rounds := 6000
	if testing.Short() {
		rounds = 2000
	}
	r := rand.New(rand.NewPCG(3, 9))
	changed := map[string]int{}
	for round := range rounds {
		var blocks []ir.RegionBlock
		base := bases[r.IntN(len(bases))]
		for n := range int32(3) {
			blocks = append(blocks, ir.RegionBlock{Start: base + 64*n, Insts: randomInsts(r, base)})
		}
		if round%2 == 1 {
			blocks = joined(t, r, blocks)
			region := &ir.Region{Blocks: blocks}
			Unroll(region)
			blocks = region.Blocks
		}
		for _, p := range append(slices.Clone(Passes), Pass{"all", Run}) {
			region := &ir.Region{Blocks: cloned(blocks), Joined: round%2 == 1}
			p.Run(region)
			// Which accesses cannot leave is said by the result.
			before, same := cloned(blocks), true
			for n := range before {
				same = same && slices.Equal(before[n].Insts, region.Blocks[n].Insts)
				more := len(region.Blocks[n].Insts) - len(before[n].Insts) // at the start
				for i := range before[n].Insts {
					in, out := &before[n].Insts[i], &region.Blocks[n].Insts[more+i]
					in.Site, in.Span = out.Site, out.Span
				}
			}
			if !same {
				changed[p.Name]++
			}
			for range 3 {
				var a, b machine
				for i := 1; i < len(a.regs); i++ {
					a.regs[i] = r.Uint64() >> r.IntN(64)
				}
				b.regs = a.regs
				a.region(before)
				b.region(region.Blocks)
				if a.regs != b.regs || !slices.Equal(a.log, b.log) {
					t.Logf("%v\n%v", &ir.Region{Blocks: blocks}, region)
					t.Fatalf("%s: %x, want %x; moments %v, want %v", p.Name, b.regs[:7], a.regs[:7], b.log, a.log)
				}
			}
		}
	}
	for _, p := range Passes {
		if changed[p.Name] < rounds/50 {
			t.Errorf("%s changed %d blocks of %d: this test shows nothing of it", p.Name, changed[p.Name], rounds)
		}
	}
}

// joined joins blocks, and compares them with what they were.
func joined(t *testing.T, r *rand.Rand, blocks []ir.RegionBlock) []ir.RegionBlock {
	for i := range blocks {
		blocks[i].Weight = []int{1, 2, 50}[r.IntN(3)]
		for range blocks[i].Insts {
			blocks[i].Offsets = append(blocks[i].Offsets, 0)
		}
		blocks[i].Insts[len(blocks[i].Insts)-1].Index = uint8(len(blocks[i].Offsets))
	}
	region := &ir.Region{Blocks: cloned(blocks)}
	Join(region)
	isJump := func(m moment) bool { return m.op == ir.Jump }
	for range 3 {
		var a, b machine
		for i := 1; i < len(a.regs); i++ {
			a.regs[i] = r.Uint64() >> r.IntN(64)
		}
		b.regs = a.regs
		a.region(blocks)
		b.region(region.Blocks)
		a.log, b.log = slices.DeleteFunc(a.log, isJump), slices.DeleteFunc(b.log, isJump)
		// One of them may have gone on for longer.
		n := min(len(a.log), len(b.log))
		if !slices.Equal(a.log[:n], b.log[:n]) {
			t.Fatalf("joined: %v\n%v", &ir.Region{Blocks: blocks}, region)
		}
	}
	return region.Blocks
}

// TestUnroll: a region whose loops are unrolled does the same after all passes,
// whatever Checks fail.
func TestUnroll(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 1000
	}
	r := rand.New(rand.NewPCG(4, 9))
	unrolled, checks := 0, 0
	for range rounds {
		var blocks []ir.RegionBlock
		base := bases[r.IntN(len(bases))]
		for n := range int32(3) {
			blocks = append(blocks, ir.RegionBlock{Start: base + 64*n, Insts: randomInsts(r, base)})
			if b := &blocks[n]; r.IntN(2) == 0 { // a loop
				n := len(b.Insts)
				b.Insts[n-2+r.IntN(2)].Target = b.Start
			}
		}
		blocks = joined(t, r, blocks)
		region := &ir.Region{Blocks: cloned(blocks), Joined: true}
		Unroll(region)
		Run(region)
		for i := range region.Blocks {
			if b := &region.Blocks[i]; b.Rolled != 0 {
				unrolled++
				if region.Find(b.Rolled) <= i { // nothing looks at the budget on the way
					t.Fatalf("no block %#x behind that at %#x in %v", b.Rolled, b.Start, region)
				}
			}
			for _, in := range region.Blocks[i].Insts {
				if in.Op == ir.Check {
					checks++
				}
			}
		}
		notBranch := func(m moment) bool { return m.op != ir.Branch }
		for range 3 {
			var a, b machine
			for i := 1; i < len(a.regs); i++ {
				a.regs[i] = r.Uint64() >> r.IntN(64)
			}
			b.regs, b.failing = a.regs, true
			a.region(blocks)
			b.region(region.Blocks)
			a.log, b.log = slices.DeleteFunc(a.log, notBranch), slices.DeleteFunc(b.log, notBranch)
			n := min(len(a.log), len(b.log)) // one of them may have gone on for longer
			if !slices.Equal(a.log[:n], b.log[:n]) || a.ended && b.ended && a.regs != b.regs {
				for i := range n {
					if a.log[i] != b.log[i] {
						t.Errorf("branch %d: %v, want %v", i, b.log[i], a.log[i])
						break
					}
				}
				t.Fatalf("%v %x, want %v %x\n%v\n%v", b.ended, b.regs[:7], a.ended, a.regs[:7], &ir.Region{Blocks: blocks}, region)
			}
		}
	}
	if unrolled < rounds/10 || checks < rounds/10 {
		t.Errorf("%d loops were unrolled and %d checks hoisted in %d regions: this test shows little", unrolled, checks, rounds)
	}
}
