package amd64

import "doppel/internal/cpu/jit/ir"

// fregs is what the emitter knows, at a point of a block, about the guest's
// floating-point registers. All of them are in memory at all times; XMM3 to
// XMM15 hold copies of some within the block. What follows an unconditional
// exit knows nothing; the stubs of conditional ones load the copies again.
type fregs struct {
	host  [32]Reg // that has a copy, or noHome
	guest [16]int8
	valid [16]uint8 // of a copy: the low 4 bytes or all 8
	used  [16]int   // when, for choosing what to give up
	clock int
	end   Reg    // XMM registers from here on have never been taken
	boxed uint32 // registers that hold singles
	moves bool   // FPMoves is set
	armed bool   // MXCSR is the guest's
}

const (
	free     int8 = -1
	firstXMM Reg  = 3
)

func (f *fregs) reset() { *f = noFregs }

var noFregs = func() (f fregs) {
	for i := range f.host {
		f.host[i] = noHome
	}
	for i := range f.guest {
		f.guest[i] = free
	}
	f.end = firstXMM
	return f
}()

// take is the XMM register for copies of guest register g.
func (f *fregs) take(g ir.Reg) Reg {
	f.clock++
	x := f.host[g]
	if x == noHome {
		x = firstXMM
		for i := firstXMM; i < 16; i++ {
			if f.guest[i] == free {
				x = i
				break
			}
			if f.used[i] < f.used[x] {
				x = i
			}
		}
		if old := f.guest[x]; old != free {
			f.host[old] = noHome
		}
		f.guest[x], f.host[g], f.valid[x] = int8(g), x, 0
		f.end = max(f.end, x+1)
	}
	f.used[x] = f.clock
	return x
}

// setBoxed notes the size of what r holds.
func (f *fregs) setBoxed(r ir.Reg, size uint8) {
	f.boxed &^= 1 << (r - ir.F0)
	if size == 4 {
		f.boxed |= 1 << (r - ir.F0)
	}
}

// fcopy is a copy in an XMM register.
type fcopy struct {
	host  Reg
	guest ir.Reg
	valid uint8
}

// copies lists those that there are, until the code is made.
func (e *Emitter) copies() []fcopy {
	n := len(e.known)
	for x := firstXMM; x < e.fp.end; x++ {
		if g := e.fp.guest[x]; g != free {
			e.known = append(e.known, fcopy{x, ir.F0 + ir.Reg(g), e.fp.valid[x]})
		}
	}
	return e.known[n:len(e.known):len(e.known)]
}

// restore loads copies.
func (e *Emitter) restore(all []fcopy) {
	for _, c := range all {
		e.rm(scalar(0x10, c.valid), c.host, e.l.f(c.guest))
	}
}

// xcached is the XMM register that holds size bytes of r, if one does.
func (e *Emitter) xcached(r ir.Reg, size uint8) (Reg, bool) {
	x := e.fp.host[r-ir.F0]
	return x, x != noHome && e.fp.valid[x] >= size
}

// xget makes an XMM register hold size bytes of r.
func (e *Emitter) xget(r ir.Reg, size uint8) Reg {
	_, ok := e.xcached(r, size)
	x := e.fp.take(r - ir.F0)
	if !ok {
		e.rm(scalar(0x10, size), x, e.l.f(r))
		e.fp.valid[x] = size
	}
	return x
}

// xcopy copies size bytes of r to an XMM register.
func (e *Emitter) xcopy(dst Reg, r ir.Reg, size uint8) { e.movaps(dst, e.xget(r, size)) }

func (e *Emitter) movaps(dst, src Reg) { e.rr(op{code: 0x0f28}, dst, src) }

// xput makes r what an XMM register holds, boxed if a single.
func (e *Emitter) xput(r ir.Reg, size uint8, src Reg) {
	e.rm(scalar(0x11, size), src, e.l.f(r))
	if size == 4 && e.fp.boxed>>(r-ir.F0)&1 == 0 {
		e.movMI(false, e.l.fHigh(r), -1)
	}
	x := e.fp.take(r - ir.F0)
	e.movaps(x, src)
	e.fp.valid[x] = size
	e.fp.setBoxed(r, size)
}

// fHigh is the upper half of r, all ones for a single (unpriv §21.2).
func (l *Layout) fHigh(r ir.Reg) mem {
	m := l.f(r)
	m.disp += 4
	return m
}
