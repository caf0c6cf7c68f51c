package amd64

import (
	"encoding/binary"
	"math"
)

// fpRoutines are constants and routines of floating point that all code
// shares, by their offsets. Constants have 16 bytes, as SSE wants its operands.
type fpRoutines struct {
	sign64, rest64, half64, one64, two63d int
	sign32, rest32, half32, one32, two63s int

	flags int // fflags by the low 6 bits of MXCSR

	setFCSR      [3]int
	zeroTimesInf [2]int // of singles, of doubles
	class        [2]int

	normal, inf [2]int // the least normal number and infinity, without sign, from the top
}

// place says where constants are that begin at an offset, and returns them.
func (r *fpRoutines) place(at int) (data []byte) {
	constant := func(v uint64) int {
		p := at + len(data)
		data = binary.LittleEndian.AppendUint64(data, v)
		data = binary.LittleEndian.AppendUint64(data, 0)
		return p
	}
	double := func(f float64) int { return constant(math.Float64bits(f)) }
	single := func(f float32) int { return constant(uint64(math.Float32bits(f))) }
	r.sign64, r.rest64, r.half64, r.one64, r.two63d = constant(1<<63), constant(1<<63-1), double(0.5), double(1), double(1<<63)
	r.sign32, r.rest32, r.half32, r.one32, r.two63s = constant(1<<31), constant(1<<31-1), single(0.5), single(1), single(1<<63)
	r.normal, r.inf = [2]int{constant(1 << 56), constant(1 << 53)}, [2]int{constant(0xff << 56), constant(0x7ff << 53)}
	r.flags = at + len(data)
	for f := range 64 {
		// IE, DE, ZE, OE, UE and PE from the bottom; NX, UF, OF, DZ and NV.
		data = append(data, byte(f&1<<4|f>>2&1<<3|f>>3&1<<2|f>>4&1<<1|f>>5&1))
	}
	return data
}

func (r *fpRoutines) emit(a *asm, l *Layout) {
	e := &Emitter{asm: *a, l: l, r: &Routines{fpRoutines: *r}}
	for i := range r.setFCSR {
		r.setFCSR[i] = e.pos()
		e.setFCSR(csrFFlags + uint8(i))
	}
	for i := range r.zeroTimesInf {
		r.zeroTimesInf[i] = e.pos()
		e.zeroTimesInf(4 << i)
		r.class[i] = e.pos()
		e.class(i)
	}
	*a = e.asm
}

// shared encodes an operation on what is shared, or lea.
func (e *Emitter) shared(o op, reg Reg, at int) {
	e.head(o, reg, 0, 0, false)
	e.byte(byte(reg&7)<<3 | 5) // relative to the next instruction
	e.imm32(0)
	e.patch(e.pos()-4, at-e.at)
}

// class is the routine of fclass: of the number at the top of RAX.
func (e *Emitter) class(double int) {
	cmp := op{code: 0x3b, w: true}
	e.movRR(RDX, RAX)
	e.aluRR(aluAdd, true, RAX, RAX)
	// RCX is the bit for a negative number of its kind; that for a positive
	// one is as far from 7.
	e.movRI(RCX, 3)
	e.rr(wide(0x85), RAX, RAX)
	zero := e.jcc(ccE)
	e.movRI(RCX, 2)
	e.shared(cmp, RAX, e.r.normal[double])
	subnormal := e.jcc(ccB)
	e.movRI(RCX, 1)
	e.shared(cmp, RAX, e.r.inf[double])
	normal := e.jcc(ccB)
	nan := e.jcc(ccNE)
	e.movRI(RCX, 0)
	e.here(zero, subnormal, normal)
	e.rr(wide(0x85), RDX, RDX)
	negative := e.jcc(ccS)
	e.aluRI(aluXor, false, RCX, 7)
	e.here(negative)
	e.movRI(RAX, 1)
	e.shiftCL(shl, false, RAX)
	e.byte(0xc3)
	e.here(nan)
	quiet := uint8(55)
	if double == 1 {
		quiet = 52
	}
	e.shiftRI(shr, true, RAX, quiet)
	e.aluRI(aluAnd, false, RAX, 1)
	e.aluRI(aluAdd, false, RAX, 1)
	e.shiftRI(shl, false, RAX, 8)
	e.byte(0xc3)
}
