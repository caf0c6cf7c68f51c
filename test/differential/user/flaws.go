package user

import (
	"doppel/internal/riscv"
	"doppel/test/oracle"
)

// flaw is an instruction that QEMU runs otherwise than the specification has
// it. Random programs do without it; TestFlaws holds that each is still there,
// so that the list stays exact.
type flaw struct {
	name  string
	match func(riscv.Inst) bool
	// dead says that only instructions whose result nothing uses go wrong:
	// random programs then use it, and have the instruction.
	dead bool
	// show is a program that QEMU gets wrong; input is the start of its a0 and fa0 and what lies in memory at sp.
	show  string
	input uint64
	since int // QEMU's major version
	why   string
}

var flaws = []flaw{
	{
		name: "amocas with rd x0",
		match: func(i riscv.Inst) bool {
			return (i.Op == riscv.AMOCAS_W || i.Op == riscv.AMOCAS_D || i.Op == riscv.AMOCAS_Q) && i.Rd == 0
		},
		show:  "amocas.d x0, x0, (sp)\n mv a1, x0",
		input: 5,
		since: 9,
		why:   "unpriv §2.1: x0 is zero. QEMU stores what was in memory to it for the rest of the block",
	},
	{
		name: "dead fround",
		match: func(i riscv.Inst) bool {
			switch i.Op {
			case riscv.FROUND_S, riscv.FROUND_D, riscv.FROUNDNX_S, riscv.FROUNDNX_D:
				return true
			}
			return false
		},
		dead:  true,
		show:  "fld fa1, (sp)\n froundnx.d fa1, fa1\n fmv.d.x fa1, x0",
		input: 0x3ff8_0000_0000_0000,
		since: 8,
		why:   "unpriv §20.2: flags accrue. QEMU drops the instruction with its flags if nothing uses the result",
	},
}

// avoid tells the generator what this QEMU gets wrong.
func avoid(q *oracle.QEMU) func(riscv.Inst) bool {
	return func(i riscv.Inst) bool {
		for _, f := range flaws {
			if q.Major >= f.since && !f.dead && f.match(i) {
				return true
			}
		}
		return false
	}
}

// keep tells the generator what this QEMU gets right only if the result is used.
func keep(q *oracle.QEMU) func(riscv.Inst) bool {
	return func(i riscv.Inst) bool {
		for _, f := range flaws {
			if q.Major >= f.since && f.dead && f.match(i) {
				return true
			}
		}
		return false
	}
}
