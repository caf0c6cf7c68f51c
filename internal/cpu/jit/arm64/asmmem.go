package arm64

// width is the size and kind of an access: the fields size, V and opc of loads
// and stores.
type width uint32

const (
	store8   width = 0<<30 | 0<<22
	store16  width = 1<<30 | 0<<22
	store32  width = 2<<30 | 0<<22
	store64  width = 3<<30 | 0<<22
	load8    width = 0<<30 | 1<<22
	load16   width = 1<<30 | 1<<22
	load32   width = 2<<30 | 1<<22
	load64   width = 3<<30 | 1<<22
	load8s   width = 0<<30 | 2<<22 // sign-extended
	load16s  width = 1<<30 | 2<<22
	load32s  width = 2<<30 | 2<<22
	loadF32  width = 2<<30 | 1<<26 | 1<<22
	loadF64  width = 3<<30 | 1<<26 | 1<<22
	storeF32 width = 2<<30 | 1<<26
	storeF64 width = 3<<30 | 1<<26
)

// indexed accesses base + index.
func (a *asm) indexed(k width, t, base, index Reg) {
	a.rrr(0x38206800|uint32(k), false, t, base, index)
}

// access accesses base + off, by way of scratch if off is far.
func (a *asm) access(k width, t, base Reg, off int32, scratch Reg) {
	shift := uint32(k) >> 30
	switch {
	case off >= 0 && off>>shift < 1<<12 && off&(1<<shift-1) == 0:
		a.inst(0x39000000|uint32(k)|uint32(off)>>shift<<10, false, t, base)
	case off >= -256 && off < 256:
		a.inst(0x38000000|uint32(k)|uint32(off)&0x1ff<<12, false, t, base)
	default:
		// The lower bits stay an offset that the access can have.
		low := off & (1<<12 - 1) &^ (1<<shift - 1)
		a.addI(true, scratch, base, int64(off-low), scratch)
		a.access(k, t, scratch, low, scratch)
	}
}

// pair accesses two words of 64 bits at base + off, -512 <= off < 512.
func (a *asm) pair(load bool, t, u, base Reg, off int32) {
	code := uint32(0xa9000000)
	if load {
		code |= 1 << 22
	}
	a.inst(code|uint32(off>>3)&0x7f<<15|uint32(u)<<10, false, t, base)
}

func size64(w bool) uint32 {
	if w {
		return 3 << 30
	}
	return 2 << 30
}

// ldaxr and stlxr are exclusive, acquire and release; failed is set to 1 if the
// store was not done.
func (a *asm) ldaxr(w bool, t, base Reg) { a.inst(0x085ffc00|size64(w), false, t, base) }

// ldar acquires.
func (a *asm) ldar(w bool, t, base Reg) { a.inst(0x08dffc00|size64(w), false, t, base) }

func (a *asm) stlxr(w bool, failed, t, base Reg) {
	a.rrr(0x0800fc00|size64(w), false, t, base, failed)
}

// Atomic operations of Armv8.1, acquire and release: t becomes what was at
// base, s is the operand.
const (
	opLdadd  = 0x38e00000
	opLdclr  = 0x38e01000
	opLdeor  = 0x38e02000
	opLdset  = 0x38e03000
	opLdsmax = 0x38e04000
	opLdsmin = 0x38e05000
	opLdumax = 0x38e06000
	opLdumin = 0x38e07000
	opSwp    = 0x38e08000
)

func (a *asm) atomic(code uint32, w bool, s, t, base Reg) {
	a.rrr(code|size64(w), false, t, base, s)
}

// casal stores t at base if s is there; s becomes what was there.
func (a *asm) casal(w bool, s, t, base Reg) { a.rrr(0x08e0fc00|size64(w), false, t, base, s) }

// order is the kind of a barrier.
type order uint8

const (
	ish   order = 11 // all
	ishst order = 10 // stores before stores
	ishld order = 9  // loads before all
)

func (o order) String() string {
	return map[order]string{ish: "ish", ishst: "ishst", ishld: "ishld"}[o]
}

func (a *asm) dmb(o order) { a.put32(0xd50330bf | uint32(o)<<8) }
