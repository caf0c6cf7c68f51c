package arm64

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Reg is a general register, or a vector register where an instruction has one.
type Reg uint8

// ZR reads as zero in most places; in others its number stands for SP, which
// only Routines use.
const (
	X0 Reg = iota
	X1
	X2
	X3
	X4
	X5
	X6
	X7
	X8
	X9
	X10
	X11
	X12
	X13
	X14
	X15
	X16
	X17
	_ // the platform's
	X19
	X20
	X21
	X22
	X23
	X24
	X25
	X26
	X27
	_ // Go's g
	_ // the frame pointer
	LR
	ZR
)

func (r Reg) String() string {
	if r == ZR {
		return "xzr"
	}
	return fmt.Sprintf("x%d", uint8(r))
}

// asm appends instructions to buf. A method has the name of its instruction, or
// of the alias that says what it is used for; w says that it is the form of 64
// bits. Branches return where they are, for patch.
type asm struct{ buf []byte }

func (a *asm) pos() int { return len(a.buf) }

func (a *asm) put32(w uint32) { a.buf = binary.LittleEndian.AppendUint32(a.buf, w) }

// inst completes an instruction by its registers in the common places.
func (a *asm) inst(code uint32, w bool, d, n Reg) {
	if w {
		code |= 1 << 31
	}
	a.put32(code | uint32(n)<<5 | uint32(d))
}

// rrr has a third register, Rm.
func (a *asm) rrr(code uint32, w bool, d, n, m Reg) { a.inst(code|uint32(m)<<16, w, d, n) }

// Instructions with three registers.
const (
	opAdd  = 0x0b000000
	opSub  = 0x4b000000
	opSubs = 0x6b000000
	opAnd  = 0x0a000000
	opAnds = 0x6a000000
	opBic  = 0x0a200000
	opOrr  = 0x2a000000
	opOrn  = 0x2a200000
	opEor  = 0x4a000000
	opEon  = 0x4a200000
	opUdiv = 0x1ac00800
	opSdiv = 0x1ac00c00
	opLslv = 0x1ac02000
	opLsrv = 0x1ac02400
	opAsrv = 0x1ac02800
	opRorv = 0x1ac02c00
	// These have 64 bits only.
	opSmulh = 0x1b407c00
	opUmulh = 0x1bc07c00
)

// shifted is rrr with Rm shifted.
func (a *asm) shifted(code uint32, w bool, d, n, m Reg, k shift, by uint8) {
	a.rrr(code|uint32(k)<<22|uint32(by)<<10, w, d, n, m)
}

type shift uint8

const (
	lsl shift = iota
	lsr
	asr
)

func (s shift) String() string { return [...]string{"lsl", "lsr", "asr", "ror"}[s&3] }

// mov moves 64 bits; nothing if it is to itself.
func (a *asm) mov(d, n Reg) {
	if d != n {
		a.rrr(opOrr, true, d, ZR, n)
	}
}

// mov32 also clears the upper half.
func (a *asm) mov32(d, n Reg) { a.rrr(opOrr, false, d, ZR, n) }

// addUXTW is d = n + zext32(m)<<by; n is not ZR.
func (a *asm) addUXTW(d, n, m Reg, by uint8) {
	a.rrr(0x0b204000|uint32(by)<<10, true, d, n, m)
}

// addI is d = n + v, by way of scratch if need be, which is not n. d and n are
// not ZR.
func (a *asm) addI(w bool, d, n Reg, v int64, scratch Reg) {
	code, u := uint32(0x11000000), uint64(v)
	if v < 0 {
		code, u = 0x51000000, -u
	}
	switch {
	case u < 1<<12:
		a.inst(code|uint32(u)<<10, w, d, n)
	case u < 1<<24:
		a.inst(code|1<<22|uint32(u>>12)<<10, w, d, n)
		if u&0xfff != 0 {
			a.inst(code|uint32(u&0xfff)<<10, w, d, d)
		}
	default:
		a.movI(scratch, v)
		a.rrr(opAdd, w, d, n, scratch)
	}
}

// subsI is d = n - v, 0 <= v < 4096, with flags. n is not ZR, d may be.
func (a *asm) subsI(w bool, d, n Reg, v uint32) { a.inst(0x71000000|v<<10, w, d, n) }

// cmnI sets the flags of n + v, 0 < v < 4096. n is not ZR.
func (a *asm) cmnI(w bool, n Reg, v uint32) { a.inst(0x31000000|v<<10, w, ZR, n) }

func (a *asm) cmp(w bool, n, m Reg) { a.rrr(opSubs, w, ZR, n, m) }

// movI loads a constant.
func (a *asm) movI(d Reg, v int64) {
	if n, ok := bitmask(uint64(v), true); ok && v != int64(uint16(v)) {
		a.inst(0x32000000|n, true, d, ZR) // orr
		return
	}
	const movn, movz, movk = 0x12800000, 0x52800000, 0x72800000
	// Start from all ones if that leaves less to do.
	first, base := uint32(movz), uint64(0)
	if ones(uint64(v)) > ones(^uint64(v)) {
		first, base = movn, 0xffff
	}
	for hw := range uint32(4) {
		part := uint64(v) >> (16 * hw) & 0xffff
		if part == base {
			continue
		}
		if first == movn {
			part ^= 0xffff
		}
		a.inst(first|hw<<21|uint32(part)<<5, true, d, 0)
		first = movk
	}
	if first != movk { // all parts are the base
		a.inst(first, true, d, 0)
	}
}

// ones counts the parts of 16 bits that are all ones.
func ones(v uint64) (n int) {
	for ; v != 0; v >>= 16 {
		if v&0xffff == 0xffff {
			n++
		}
	}
	return n
}

// bitmask encodes v as logical instructions have it: a run of ones, rotated, in
// elements of 2 to 64 bits that repeat (Arm ARM, DecodeBitMasks).
func bitmask(v uint64, w bool) (field uint32, ok bool) {
	if !w {
		v = v&0xffff_ffff | v<<32
	}
	if v == 0 || v == ^uint64(0) {
		return 0, false
	}
	size := 64
	for half := size / 2; half >= 2 && v&(1<<half-1) == v>>half&(1<<half-1); half /= 2 {
		size = half
	}
	mask := ^uint64(0) >> (64 - size)
	e := v & mask
	n := bits.OnesCount64(e)
	run := uint64(1)<<n - 1
	for r := range size { // e is the run, rotated right by r
		if (run>>r|run<<(size-r))&mask == e {
			imms := uint32(n-1) | uint32(-2*size)&0x3f
			field = uint32(r)<<16 | imms<<10
			if size == 64 {
				field |= 1 << 22
			}
			return field, true
		}
	}
	return 0, false
}

// logicalI is d = n o v, by way of scratch if need be, which is not n; o is
// opAnd, opOrr or opEor. d is not ZR.
func (a *asm) logicalI(o uint32, w bool, d, n Reg, v int64, scratch Reg) {
	if f, ok := bitmask(uint64(v), w); ok {
		a.inst(o&0x60000000|0x12000000|f, w, d, n)
		return
	}
	a.movI(scratch, v)
	a.rrr(o, w, d, n, scratch)
}

// tstI sets the flags of n & v, which must be a bitmask.
func (a *asm) tstI(w bool, n Reg, v int64) {
	f, ok := bitmask(uint64(v), w)
	if !ok {
		panic(fmt.Sprintf("BUG: tst of %#x", v))
	}
	a.inst(0x72000000|f, w, ZR, n)
}

// bitfield moves; first and last are the fields immr and imms.
func (a *asm) bitfield(code uint32, w bool, d, n Reg, first, last uint8) {
	if w {
		code |= 1 << 22
	}
	a.inst(code|uint32(first)<<16|uint32(last)<<10, w, d, n)
}

const (
	opSbfm = 0x13000000
	opUbfm = 0x53000000
)

// ubfx and sbfx take count bits from bit at on, and extend them.
func (a *asm) ubfx(w bool, d, n Reg, at, count uint8) {
	a.bitfield(opUbfm, w, d, n, at, at+count-1)
}

func (a *asm) sbfx(w bool, d, n Reg, at, count uint8) {
	a.bitfield(opSbfm, w, d, n, at, at+count-1)
}

// ubfiz and sbfiz put the low count bits, extended, at bit at, of 64.
func (a *asm) ubfiz(d, n Reg, at, count uint8) {
	a.bitfield(opUbfm, true, d, n, (64-at)&63, count-1)
}

func (a *asm) sbfiz(d, n Reg, at, count uint8) {
	a.bitfield(opSbfm, true, d, n, (64-at)&63, count-1)
}

func (a *asm) sxtw(d, n Reg) { a.sbfx(true, d, n, 0, 32) }

// rorI rotates right.
func (a *asm) rorI(w bool, d, n Reg, by uint8) {
	code := uint32(0x13800000)
	if w {
		code |= 1 << 22
	}
	a.rrr(code|uint32(by)<<10, w, d, n, n)
}

func (a *asm) rbit(w bool, d, n Reg) { a.inst(0x5ac00000, w, d, n) }
func (a *asm) clz(w bool, d, n Reg)  { a.inst(0x5ac01000, w, d, n) }
func (a *asm) rev(d, n Reg)          { a.inst(0x5ac00c00, true, d, n) }

// madd is d = c + n*m, msub is d = c - n*m.
func (a *asm) madd(w bool, d, n, m, c Reg) { a.rrr(0x1b000000|uint32(c)<<10, w, d, n, m) }
func (a *asm) msub(w bool, d, n, m, c Reg) { a.rrr(0x1b008000|uint32(c)<<10, w, d, n, m) }

// cond is a condition code.
type cond uint8

const (
	eq cond = iota
	ne
	hs
	lo
	mi
	pl
	vs
	vc
	hi
	ls
	ge
	lt
	gt
	le
)

func (c cond) String() string {
	return [...]string{"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"}[c&15]
}

func (a *asm) csel(w bool, d, n, m Reg, c cond) { a.rrr(0x1a800000|uint32(c)<<12, w, d, n, m) }

// csinv is d = c ? n : ^m.
func (a *asm) csinv(w bool, d, n, m Reg, c cond) { a.rrr(0x5a800000|uint32(c)<<12, w, d, n, m) }

// cset is d = c ? 1 : 0.
func (a *asm) cset(d Reg, c cond) { a.rrr(0x1a800400|uint32(c^1)<<12, true, d, ZR, ZR) }

const (
	codeB   = 0x14000000
	codeBL  = 0x94000000
	codeBC  = 0x54000000
	codeCBZ = 0x34000000
	codeTBZ = 0x36000000
)

func (a *asm) branch(code uint32) int {
	a.put32(code)
	return a.pos() - 4
}

// loadLiteral loads 32 bits from where it is patched to lead to.
func (a *asm) loadLiteral(t Reg) int { return a.branch(0x18000000 | uint32(t)) }

func (a *asm) b() int                   { return a.branch(codeB) }
func (a *asm) bl() int                  { return a.branch(codeBL) }
func (a *asm) bc(c cond) int            { return a.branch(codeBC | uint32(c)) }
func (a *asm) cbz(w bool, r Reg) int    { a.inst(codeCBZ, w, r, 0); return a.pos() - 4 }
func (a *asm) cbnz(w bool, r Reg) int   { a.inst(codeCBZ|1<<24, w, r, 0); return a.pos() - 4 }
func (a *asm) tbz(r Reg, bit uint8) int { return a.branch(codeTBZ | uint32(bit)<<19 | uint32(r)) } // bit < 32
func (a *asm) tbnz(r Reg, bit uint8) int {
	return a.branch(codeTBZ | 1<<24 | uint32(bit)<<19 | uint32(r))
}
func (a *asm) br(r Reg)                    { a.inst(0xd61f0000, false, 0, r) }
func (a *asm) ret()                        { a.inst(0xd65f0000, false, 0, LR) }
func (a *asm) b2(target int)               { a.patch(a.b(), target) }
func (a *asm) bc2(c cond, target int)      { a.patch(a.bc(c), target) }
func (a *asm) cbnz2(w bool, r Reg, to int) { a.patch(a.cbnz(w, r), to) }

// patch makes the branch at p lead to target. Blocks are far smaller than what
// branches reach.
func (a *asm) patch(p, target int) {
	code := binary.LittleEndian.Uint32(a.buf[p:])
	binary.LittleEndian.PutUint32(a.buf[p:], Redirect(code, target-p))
}

// Jump is a branch to itself.
const Jump = codeB

// Redirect returns the branch code with another distance, in bytes.
func Redirect(code uint32, distance int) uint32 {
	width, at := uint(19), uint(5)
	switch {
	case code&0x7c000000 == codeB:
		width, at = 26, 0
	case code&0x7e000000 == codeTBZ:
		width = 14
	}
	d := distance >> 2
	if distance&3 != 0 || d != d<<(64-width)>>(64-width) {
		panic(fmt.Sprintf("BUG: a branch %#x over %d bytes", code, distance))
	}
	mask := uint32(1)<<width - 1
	return code&^(mask<<at) | uint32(d)&mask<<at
}

// here makes the branches lead to the next instruction.
func (a *asm) here(ps ...int) {
	for _, p := range ps {
		a.patch(p, a.pos())
	}
}
