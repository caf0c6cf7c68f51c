package system

import (
	"encoding/binary"

	"doppel/internal/riscv"
)

// tolerance is a difference that the specification leaves open.
type tolerance struct {
	name string
	why  string
	// explains tells whether the difference between the two states is this one.
	// i is the instruction that the engine trapped on.
	explains func(i riscv.Inst, want, got *state) bool
}

var tolerances = []tolerance{
	{
		name: "cache-block operation beyond physical addresses",
		why:  "priv §3.7: an address of more than 56 bits has no memory; we raise an access fault as for any access, QEMU does nothing",
		explains: func(i riscv.Inst, want, got *state) bool {
			return (i.Op == riscv.CBO_CLEAN || i.Op == riscv.CBO_FLUSH || i.Op == riscv.CBO_INVAL) && got.cause() == riscv.StoreAccessFault
		},
	},
	{
		name: "cache block that PMP divides",
		why:  "priv §3.7.1: an entry must match all bytes of an access; QEMU looks at the first only",
		explains: func(i riscv.Inst, want, got *state) bool {
			return i.Op >= riscv.CBO_INVAL && i.Op <= riscv.CBO_ZERO && got.faulted()
		},
	},
	{
		name: "PMP entry inside an access",
		why:  "priv §3.7.1: an entry must match all bytes of an access; QEMU looks at the first and the last",
		explains: func(i riscv.Inst, want, got *state) bool {
			access := got.cause() == riscv.LoadAccessFault || got.cause() == riscv.StoreAccessFault
			return access && smallPMP(got) && want.epc() > got.epc() // QEMU went on
		},
	},
	{
		name: "A of a page whose access faults",
		why: "priv §12.3.1: A may be set by accesses that do not come about. QEMU sets it before an AMO finds that it may not " +
			"write, and on the second page when the first one faults",
		explains: func(i riscv.Inst, want, got *state) bool {
			return got.faulted() && sameButPTEs(want, got, pteA)
		},
	},
	{
		name: "D of a page without memory",
		why:  "priv §12.3.2: step 9 updates the entry before step 10 accesses memory; QEMU's AMO reads first",
		explains: func(i riscv.Inst, want, got *state) bool {
			return got.cause() == riscv.StoreAccessFault && sameButPTEs(want, got, pteA|pteD)
		},
	},
	{
		name: "AMO to a read-only page without memory",
		why:  "priv §3.1.15: a page fault comes before an access fault; QEMU's AMO reads first and takes the access fault",
		explains: func(i riscv.Inst, want, got *state) bool {
			return amo(i.Op) && got.cause() == riscv.StorePageFault && want.cause() == riscv.StoreAccessFault && want.tval() == got.tval()
		},
	},
	{
		name: "both parts of an access across pages fault",
		why:  "unpriv §2.6: a misaligned access may be carried out in parts, in any order",
		explains: func(i riscv.Inst, want, got *state) bool {
			at := got.x[i.Rs1] + uint64(i.Imm)
			near := func(tval uint64) bool { return tval-at < 8 }
			return i.Imm >= -2048 && i.Imm < 2048 && at&(page-1) > page-8 && want.faulted() && got.faulted() && near(want.tval()) && near(got.tval())
		},
	},
}

// smallPMP tells whether a PMP entry is shorter than an access can be.
func smallPMP(s *state) bool {
	addr := []riscv.CSR{riscv.CSRPmpaddr0, riscv.CSRPmpaddr1, riscv.CSRPmpaddr2}
	for n := range addr {
		switch s.of(riscv.CSRPmpcfg0) >> (8*n + 3) & 3 {
		case 1: // top of range
			if n > 0 && s.of(addr[n])-s.of(addr[n-1]) < 2 {
				return true
			}
		case 2: // 4 bytes
			return true
		}
	}
	return false
}

// amo tells whether an instruction reads and writes memory in one.
func amo(op riscv.Op) bool { return op >= riscv.LR_W && op <= riscv.AMOCAS_Q }

// sameButPTEs tells whether two states differ in some bits of page-table
// entries only.
func sameButPTEs(want, got *state, bits uint64) bool {
	w := *want
	w.memory = append([]byte(nil), want.memory...)
	for at := 0; at < tablePages*page; at += 8 {
		pte, q := binary.LittleEndian.Uint64(got.memory[at:]), binary.LittleEndian.Uint64(w.memory[at:])
		if q&^bits == pte&^bits {
			binary.LittleEndian.PutUint64(w.memory[at:], pte)
		}
	}
	return difference(&w, got) == ""
}

// faulted tells whether the program ended by a fault of a memory access.
func (s *state) faulted() bool {
	switch s.cause() {
	case riscv.LoadPageFault, riscv.StorePageFault, riscv.InstructionPageFault,
		riscv.LoadAccessFault, riscv.StoreAccessFault, riscv.InstructionAccessFault:
		return true
	}
	return false
}

// cause is the cause of the trap that ended the program.
func (s *state) cause() riscv.Cause {
	if s.priv == riscv.Machine {
		return riscv.Cause(s.of(riscv.CSRMcause))
	}
	return riscv.Cause(s.of(riscv.CSRScause))
}

// tval is the value that came with it.
func (s *state) tval() uint64 {
	if s.priv == riscv.Machine {
		return s.of(riscv.CSRMtval)
	}
	return s.of(riscv.CSRStval)
}

// epc is where it was.
func (s *state) epc() uint64 {
	if s.priv == riscv.Machine {
		return s.of(riscv.CSRMepc)
	}
	return s.of(riscv.CSRSepc)
}

func (s *state) of(c riscv.CSR) uint64 {
	for i, e := range compared {
		if e.csr == c {
			return s.csr[i]
		}
	}
	panic("BUG: " + c.String() + " is not compared")
}

// tolerated tells which tolerance a difference is, -1 for none.
func tolerated(p *program, want, got *state) int {
	var i riscv.Inst // none, if it was fetched from elsewhere
	code := p.code()
	if off := got.epc() - codeAt; off < uint64(len(code)) {
		i = riscv.Decode(binary.LittleEndian.Uint32(code[off:]))
	}
	for n, t := range tolerances {
		if t.explains(i, want, got) {
			return n
		}
	}
	return -1
}
