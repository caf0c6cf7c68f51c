//go:build linux && (amd64 || arm64)

package jit

import (
	"math"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// underflowing leaves what each operation raised in a0 to a7.
const underflowing = `
	.rept 4
	fsflags x0
	fmul.d f10, f0, f1
	frflags a0
	fsflags x0
	fdiv.d f11, f0, f2
	frflags a1
	fsflags x0
	fmadd.d f12, f0, f1, f3
	frflags a2
	fsflags x0
	fcvt.s.d f13, f4
	frflags a3
	fsflags x0
	fmul.s f14, f5, f6
	frflags a4
	fsflags x0
	fnmsub.s f15, f5, f6, f7
	frflags a5
	fsflags x0
	fdiv.s f16, f5, f8
	frflags a6
	fadd.d f17, f0, f3	# on top of what was raised
	frflags a7
	.endr
loop:	j loop
`

// TestUnderflow compares results and flags around the smallest normal number,
// where hosts differ in when they find a result tiny (unpriv §20.2: after
// rounding).
func TestUnderflow(t *testing.T) {
	p := newPair(t, Options{Threshold: -1}, underflowing, cputest.Options{})
	// near are numbers close to one, and halves with which they meet at the
	// boundary.
	near := []float64{1, 1 - 0x1p-53, 1 - 0x1p-52, 1 - 0x3p-53, 1 + 0x1p-52, 1 - 0x1p-24, 1 - 0x1p-23, 1 + 0x1p-23, 1 - 0x1p-25, 1 - 0x3p-25, 0.5, 0.5 + 0x1p-53, 1.5}
	single := func(f float64) uint64 { return 0xffff_ffff_0000_0000 | uint64(math.Float32bits(float32(f))) }
	seen := map[uint64]int{}
	for _, x := range near {
		for _, y := range near {
			for _, frm := range []uint8{riscv.RNE, riscv.RTZ, riscv.RDN, riscv.RUP} {
				for _, sign := range []float64{1, -1} {
					var f [32]uint64
					f[0], f[1], f[2] = math.Float64bits(sign*x*0x1p-1000), math.Float64bits(y*0x1p-22), math.Float64bits(y*0x1p22)
					f[3] = math.Float64bits(sign * 0x1p-1074)
					f[4] = math.Float64bits(sign * x * 0x1p-126)
					f[5], f[6], f[7], f[8] = single(sign*x*0x1p-100), single(y*0x1p-26), single(-sign*0x1p-149), single(y*0x1p26)
					for _, m := range p.both() {
						h := m.Hart()
						h.State = hart.State{F: f, FRM: frm, PC: cputest.Base, Priv: hart.M, CSR: h.CSR}
						h.CSR.Mstatus |= riscv.MstatusFS
						h.Refresh()
					}
					p.spend(t, 4*23+10, "%x %x frm %d sign %v", x, y, frm, sign)
					ha, hb := p.a.Hart(), p.b.Hart()
					if !p.alike() {
						t.Errorf("%x %x frm %d sign %v: results %x, translated %x; flags %x, translated %x", x, y, frm, sign,
							ha.F[10:18], hb.F[10:18], ha.X[10:18], hb.X[10:18])
					}
					for _, flags := range ha.X[10:17] {
						seen[flags]++
					}
				}
			}
		}
	}
	const nx, uf = 1, 2
	if seen[nx] < 100 || seen[nx|uf] < 100 || seen[0] < 100 {
		t.Errorf("flags seen: %v: this test shows little", seen)
	}
}
