package amd64

// vop is a VEX-encoded instruction of three operands: dst = a op b.
type vop struct {
	code byte
	pp   byte // 0, 1 for 0x66, 2 for 0xf3, 3 for 0xf2
	mmm  byte // 1 for 0x0f, 2 for 0x0f38, 3 for 0x0f3a
	w    bool
}

// vscalar is an operation on a double or a single.
func vscalar(code, size byte) vop {
	if size == 4 {
		return vop{code, 2, 1, false}
	}
	return vop{code, 3, 1, false}
}

// vpacked is one whose prefix is 0x66 for doubles and none for singles.
func vpacked(code, size byte) vop {
	if size == 4 {
		return vop{code, 0, 1, false}
	}
	return vop{code, 1, 1, false}
}

// vfma is a fused multiplication and addition.
func vfma(code, size byte) vop { return vop{code, 1, 2, size == 8} }

func (a *asm) vhead(o vop, reg, src, index, base Reg) {
	w := byte(0)
	if o.w {
		w = 0x80
	}
	a.byte(0xc4, ^(byte(reg>>3)<<7|byte(index>>3)<<6|byte(base>>3)<<5)&0xe0|o.mmm, w|^byte(src)&15<<3|o.pp, o.code)
}

// vrr: src is 0 where the instruction has two operands.
func (a *asm) vrr(o vop, reg, src, rm Reg) {
	a.vhead(o, reg, src, 0, rm)
	a.byte(0xc0 | byte(reg&7)<<3 | byte(rm&7))
}

func (a *asm) vrm(o vop, reg, src Reg, m mem) {
	index := m.index
	if index == RSP {
		index = 0
	}
	a.vhead(o, reg, src, index, m.base)
	a.modrm(reg, m)
}

// vmov copies all of src.
func (a *asm) vmov(dst, src Reg) {
	if dst != src {
		a.vrr(vpacked(0x28, 8), dst, 0, src)
	}
}

// vload and vstore move size bytes; a load clears the rest of the register.
func (a *asm) vload(size uint8, dst Reg, m mem) { a.vrm(vscalar(0x10, size), dst, 0, m) }
func (a *asm) vstore(size uint8, m mem, src Reg) {
	a.vrm(vscalar(0x11, size), src, 0, m)
}

// vmovq copies between a general register and an XMM register.
func (a *asm) vmovqTo(dst, general Reg)   { a.vrr(vop{0x6e, 1, 1, true}, dst, 0, general) }
func (a *asm) vmovqFrom(general, src Reg) { a.vrr(vop{0x7e, 1, 1, true}, src, 0, general) }
