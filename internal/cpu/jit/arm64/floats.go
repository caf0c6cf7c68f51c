package arm64

import "doppel/internal/cpu/jit/ir"

// Guest registers f0 to f27 are V4 to V31; V3 holds what makes a single boxed.
const (
	mappedFloats = 28
	boxes        = V3
	boxBits      = ^int64(0xffff_ffff)
)

// floatHome is the register that f0 to f27 live in.
func floatHome(r ir.Reg) Reg { return V4 + Reg(r-ir.F0) }

// mappedFHomes says in which host register each floating-point register is, or
// noHome.
var mappedFHomes = func() (t homes) {
	for i := range t {
		t[i] = noHome
		if i < mappedFloats {
			t[i] = floatHome(ir.F0 + ir.Reg(i))
		}
	}
	return t
}()

// getF is the register that holds r: its home, or else tmp. For a single the
// upper half does not matter.
func (e *Emitter) getF(tmp Reg, r ir.Reg) Reg {
	if h := e.fhome[r-ir.F0]; h != noHome {
		return h
	}
	e.field(loadF64, tmp, e.l.f(r))
	return tmp
}

// dstF is where to compute r, for putF to finish.
func (e *Emitter) dstF(r ir.Reg) Reg {
	if h := e.fhome[r-ir.F0]; h != noHome {
		return h
	}
	return V0
}

// putF makes r what v holds; the upper half of a single need not be boxed.
func (e *Emitter) putF(size uint8, r ir.Reg, v Reg) {
	d := e.dstF(r)
	bit := uint32(1) << (r - ir.F0)
	if size == 4 {
		e.orrV(d, v, boxes)
		e.singles |= bit
	} else {
		e.fmov(d, v)
		e.singles &^= bit
	}
	if e.fhome[r-ir.F0] == noHome {
		e.field(storeF64, d, e.l.f(r))
	}
}

// boxed leaves to the interpreter unless the registers hold singles.
func (e *Emitter) boxed(size uint8, rs ...ir.Reg) (slow []int) {
	if size != 4 {
		return nil
	}
	for i, r := range rs {
		if i > 0 && r == rs[i-1] || e.singles>>(r-ir.F0)&1 != 0 {
			continue
		}
		if h := e.fhome[r-ir.F0]; h != noHome {
			e.fmovX(8, X0, h)
		} else {
			e.field(load64, X0, e.l.f(r))
		}
		e.sbfx(true, X0, X0, 32, 32)
		e.cmnI(true, X0, 1)
		slow = append(slow, e.bc(ne))
	}
	return slow
}
