package ir

import (
	"fmt"
	"slices"
	"strings"
)

// Region is a loop: code that jumps within itself and is entered at Blocks[0]
// only. Offsets are from the start of the page of that. Its control leaves where a jump leads to none of Blocks.
// Any Inst of it may leave the region before it has had an effect, for the
// block translator's code to do it.
type Region struct {
	Blocks []RegionBlock
	Sites  int // numbers of sites in Insts are below
	// Context is the one of the TLB for fetches in which the region may run,
	// or abi.NoContext if it is all in one page.
	Context int32
	// Joined tells that Branches may stand anywhere in a block, and that it is
	// known how often blocks are executed.
	Joined bool
}

// RegionBlock is a run of instructions that ends with a Jump or JumpReg, before
// which a Branch may stand; no other jumps are in it, unless blocks are joined.
type RegionBlock struct {
	Start   int32   // offset in the page
	Depth   int     // of loops around it in the region, from 1
	Weight  int     // how often it is executed, beside others of the region, if that has been seen, or 0
	Offsets []int32 // of its guest instructions, by Inst.Index
	Insts   []Inst
	// Returns are where a JumpReg at the end is likely to lead: offsets of
	// Blocks.
	Returns []int32
	// Loose has a bit for each integer register that is a sign-extended word,
	// but whose upper half may be anything at the start, in joined regions.
	Loose uint32
	// Rolled, unless 0, is the block that the Checks of this one lead to, which
	// does the same with checks of its own. Its Start is odd, as no instruction's is, and
	// it comes behind this one: nothing on the way looks at the budget.
	Rolled int32
}

// Clone returns a copy whose Insts are its own.
func (r *Region) Clone() *Region {
	c := *r
	c.Blocks = slices.Clone(r.Blocks)
	for i := range c.Blocks {
		c.Blocks[i].Insts = slices.Clone(c.Blocks[i].Insts)
	}
	return &c
}

// Find returns the index of the block at an offset, or -1.
func (r *Region) Find(off int32) int {
	for i := range r.Blocks {
		if r.Blocks[i].Start == off {
			return i
		}
	}
	return -1
}

func (r *Region) String() string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "region of %d blocks, %d sites\n", len(r.Blocks), r.Sites)
	for i := range r.Blocks {
		b := &r.Blocks[i]
		fmt.Fprintf(&sb, "block at %#x, depth %d, weight %d, %d instructions\n", b.Start, b.Depth, b.Weight, len(b.Offsets))
		for _, in := range b.Insts {
			fmt.Fprintln(&sb, in)
		}
	}
	return sb.String()
}

// Uses calls f for each register that i reads and def for the one it writes,
// x0 excepted.
func (i *Inst) Uses(f func(Reg)) {
	use := func(r Reg) {
		if r != 0 {
			f(r)
		}
	}
	switch i.Op {
	case Nop, Slow, Const, PC, Barrier, Jump, FConst, FCSRRead, Call, Return, Across:
		return
	case AmoCas:
		use(i.Dst)
	case FMAdd, FMSub, FNMSub, FNMAdd:
		use(i.C)
	}
	if i.Flags&Immediate == 0 || i.Op < CSRSwap || i.Op > CSRClear {
		use(i.A)
	}
	if i.Flags&Immediate == 0 && i.hasB() {
		use(i.B)
	}
}

func (i *Inst) hasB() bool {
	switch i.Op {
	case ZextShl, Clz, Ctz, Popcnt, SextB, SextH, ZextH, RevBits, ByteSwap, OrBytes, Load, LoadReserved, JumpReg, Check,
		FSqrt, FLoad, FToX, FFromX, FToI, FToU, FFromI, FFromU, FToF, FRound, FRoundNX, FClass,
		FCSRWrite, FCSRSet, FCSRClear, ZeroLine, CSRSwap, CSRSet, CSRClear:
		return false
	}
	return true
}

// Def is the register that i writes, or 0.
func (i *Inst) Def() Reg {
	switch i.Op {
	case Nop, Slow, Store, Barrier, Branch, FStore, ZeroLine, Call, Return, Across, Check:
		return 0
	}
	return i.Dst
}

// IsMemory tells whether i loads or stores but is not atomic: one that can
// have a site.
func (i *Inst) IsMemory() bool {
	return i.Op == Load || i.Op == Store || i.Op == FLoad || i.Op == FStore
}

// Remaps tells whether memory may be elsewhere after i, for those who have found
// it before.
func (i *Inst) Remaps() bool {
	return i.Op == Slow || i.Op >= CSRSwap && i.Op <= Across
}

// Pure tells whether i only computes Dst from integer registers: it never leaves its code.
func (i *Inst) Pure() bool {
	return i.Op == Nop || i.Op >= Const && i.Op <= RevBits
}

// CarriesUpper tells whether the lower half of the result, and that only, is
// made of the lower halves of the operands.
func (i *Inst) CarriesUpper() bool {
	switch i.Op {
	case Add, Sub, Or, Xor:
		return i.Flags&Word == 0
	case And:
		return i.Flags&Word == 0 && !i.Masks()
	}
	return false
}

// Masks tells whether i is an And that leaves nothing of the upper half.
func (i *Inst) Masks() bool {
	return i.Op == And && i.Flags&Immediate != 0 && i.Imm >= 0 && i.Imm <= 1<<31-1
}

// LooseAfter gives the registers that are loose after i, from those that are
// before it. See RegionBlock.Loose.
func (i *Inst) LooseAfter(loose uint32) uint32 {
	d := i.Def()
	if d == 0 || d >= F0 {
		return loose
	}
	now := i.Flags&Word != 0 && i.Flags&Loose != 0
	if i.CarriesUpper() {
		i.Uses(func(r Reg) { now = now || r < F0 && loose>>r&1 != 0 })
	}
	if now {
		return loose | 1<<d
	}
	return loose &^ (1 << d)
}

// LongestWay is the most instructions of a joined region that are executed from
// where the budget is looked at, which is where control goes back to a block or
// before it, to the next such place.
func (r *Region) LongestWay() (longest int32) {
	way := make([]int32, len(r.Blocks))
	for i := len(r.Blocks) - 1; i >= 0; i-- {
		b := &r.Blocks[i]
		on := func(target int32) {
			if j := r.Find(target); j > i {
				way[i] = max(way[i], way[j])
			}
		}
		for j := range b.Insts {
			if op := b.Insts[j].Op; op == Branch || op == Jump || op == Check {
				on(b.Insts[j].Target)
			}
		}
		for _, off := range b.Returns {
			on(off)
		}
		way[i] += int32(len(b.Offsets))
		longest = max(longest, way[i])
	}
	return longest
}

// Usage is what registers are used for in a region.
type Usage struct {
	Uses    [64]int // inner loops count more
	Written [64]bool
}

// Usage counts.
func (r *Region) Usage() *Usage {
	u := &Usage{}
	for i := range r.Blocks {
		b := &r.Blocks[i]
		weight := 1
		for range min(b.Depth, 6) - 1 {
			weight *= 8
		}
		if b.Weight != 0 {
			weight = b.Weight
		}
		for j := range b.Insts {
			in := &b.Insts[j]
			in.Uses(func(r Reg) { u.Uses[r] += weight })
			if d := in.Def(); d != 0 {
				u.Uses[d] += weight
				u.Written[d] = true
			}
		}
	}
	return u
}

// Most is up to n of the 32 registers from first on: those that are used, by
// how much.
func (u *Usage) Most(first Reg, n int) []Reg {
	var rs []Reg
	for r := first; r < first+32; r++ {
		if u.Uses[r] != 0 {
			rs = append(rs, r)
		}
	}
	slices.SortStableFunc(rs, func(a, b Reg) int { return u.Uses[b] - u.Uses[a] })
	return rs[:min(n, len(rs))]
}
