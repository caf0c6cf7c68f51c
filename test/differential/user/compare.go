package user

import (
	"bytes"
	"fmt"
	"strings"

	"doppel/internal/riscv"
	"doppel/test/differential/gen"
)

// difference tells where two final states differ; "" if nowhere.
func difference(want, got record) string {
	if bytes.Equal(want, got) {
		return ""
	}
	var b strings.Builder
	line := func(name string, w, g uint64) {
		if w != g {
			fmt.Fprintf(&b, "  %-8s QEMU %#018x  engine %#018x\n", name, w, g)
		}
	}
	for n := range 32 {
		if n > 0 {
			line(riscv.XName(uint8(n)), want.x(n), got.x(n))
		}
	}
	for n := range 32 {
		line(riscv.FName(uint8(n)), want.f(n), got.f(n))
	}
	line("fcsr", want.fcsr(), got.fcsr())
	for i, w := range want.scratch() {
		if g := got.scratch()[i]; g != w {
			fmt.Fprintf(&b, "  scratch+%#x (%#x) QEMU %#02x  engine %#02x\n", i, scratchAt+i, w, g)
		}
	}
	return b.String()
}

// inputs lists the registers that the program names, as they are at its start.
func inputs(p *gen.Program) string {
	var xs, fs [32]bool
	for _, c := range p.Code {
		i := c.Inst()
		f, ok := riscv.FormByName(i.Op.String())
		if !ok || c.Raw == 0x13 || c.Raw == 1 {
			continue
		}
		for _, o := range f.Operands {
			switch o {
			case riscv.OperandRd:
				xs[i.Rd] = true
			case riscv.OperandRs1, riscv.OperandMem, riscv.OperandIOff, riscv.OperandSOff:
				xs[i.Rs1] = true
			case riscv.OperandFs1:
				fs[i.Rs1] = true
			case riscv.OperandFs3:
				fs[i.Rs3] = true
			case riscv.OperandRs2:
				xs[i.Rs2] = true
			case riscv.OperandFs2:
				fs[i.Rs2] = true
			}
			if o == riscv.OperandSOff { // a store's rs2 is named by another operand
				continue
			}
		}
	}
	var b strings.Builder
	for n := 1; n < 32; n++ {
		if xs[n] {
			fmt.Fprintf(&b, "  %-8s %#018x\n", riscv.XName(uint8(n)), p.X[n])
		}
	}
	for n := range 32 {
		if fs[n] {
			fmt.Fprintf(&b, "  %-8s %#018x\n", riscv.FName(uint8(n)), p.F[n])
		}
	}
	fmt.Fprintf(&b, "  %-8s %#x\n", "fcsr", p.FCSR)
	return b.String()
}

// minimize returns the program with all instructions taken out that the
// difference does not need. differs runs candidates, many at once, and tells
// for each whether it still differs.
func minimize(p *gen.Program, differs func([]*gen.Program) []bool) *gen.Program {
	for size := len(p.Code); size > 0; {
		var cand []*gen.Program
		for i := 0; i < len(p.Code); i += size {
			if q, ok := p.Without(i, min(i+size, len(p.Code))); ok {
				cand = append(cand, q)
			}
		}
		found := false
		if len(cand) > 0 {
			for i, d := range differs(cand) {
				if d {
					p, found = cand[i], true
					break
				}
			}
		}
		if !found {
			size /= 2
		}
	}
	return p
}
