package interp

import (
	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// outcome is what became of an instruction that exec left to slow.
type outcome uint8

const (
	slowNext   outcome = iota // done; the block goes on
	slowJump                  // done; go on at h.PC
	slowTrap                  // it trapped; go on at h.PC
	slowSingle                // v.single is the instruction
	slowExit                  // v.exit is set and the hart's state complete
)

func (o outcome) String() string {
	return [...]string{"next", "jump", "trap", "single", "exit"}[o]
}

// slow executes what exec does not. h.PC is in's address, and h.Instret does
// not count in.
func (v *VCPU) slow(b *block, in *inst) outcome {
	switch op := in.op; {
	case riscv.LB <= op && op <= riscv.LWU, op == riscv.FLW, op == riscv.FLD, op == riscv.FLH, op == opDrop:
		return v.load(b, in)
	case riscv.SB <= op && op <= riscv.SD, op == riscv.FSW, op == riscv.FSD, op == riscv.FSH:
		return v.store(b, in)
	case op < riscv.LR_W:
		if computeRare(&v.h.X, in) {
			return slowNext
		}
	case op <= riscv.AMOCAS_Q:
		return v.atomic(in)
	case op >= riscv.FMADD_S && op < riscv.NumOps:
		if v.h.FPEnabled() && v.float(in) {
			v.h.X[0] = 0
			if !v.fpReady {
				v.h.SetFPDirty()
				v.refresh()
			}
			return slowNext
		}
	case op == opAcross:
		if v.fetchSingle(v.h.PC) == nil {
			return slowTrap
		}
		return slowSingle
	default:
		return v.system(b, in)
	}
	return v.illegal(b, in)
}

// noMemory is no cause of a trap: the instruction is to be executed again when
// the host has memory for what it stores (memory.Budget), and Run ends.
const noMemory = riscv.InterruptBit - 1

func (v *VCPU) trap(cause riscv.Cause, tval uint64) outcome {
	if cause == noMemory {
		v.Kick()
		return slowTrap
	}
	v.h.Trap(cause, tval)
	return slowTrap
}

// illegal: tval is the instruction (Sstvala).
func (v *VCPU) illegal(b *block, in *inst) outcome {
	return v.trap(riscv.IllegalInstruction, b.rawAt(in.off))
}

// leave ends Run after the instruction in, with the state complete.
func (v *VCPU) leave(in *inst, exit cpu.Exit) outcome {
	v.advance(in)
	v.h.Instret++
	v.exit = exit
	return slowExit
}

// advance moves PC past in.
func (v *VCPU) advance(in *inst) {
	v.h.PC += uint64(in.next().off - in.off)
}

// system executes the instructions of the privileged architecture, CSRs, fences
// and hints.
func (v *VCPU) system(b *block, in *inst) outcome {
	h := v.h
	ok := true
	switch in.op {
	case riscv.WRS_NTO, riscv.WRS_STO, riscv.PAUSE:
		// Hints that another hart is waited for. unpriv §14 (Zawrs): a stall
		// may end for any reason.
		h.Stall()
		if h.Attention.Load() != 0 { // perhaps it has asked for an end of Run
			v.advance(in)
			return slowJump
		}
		return slowNext
	case riscv.FENCE, riscv.FENCE_TSO:
		barrier()
		return slowNext
	case riscv.FENCE_I:
		v.flushCode()
	case riscv.CBO_INVAL, riscv.CBO_CLEAN, riscv.CBO_FLUSH, riscv.CBO_ZERO:
		if !h.CBOAllowed(in.op) {
			return v.illegal(b, in)
		}
		return v.cacheBlock(in)

	case riscv.ECALL:
		switch h.Priv {
		case hart.U:
			return v.trap(riscv.EnvironmentCallFromU, 0)
		case hart.S:
			if h.Supervisor() {
				v.exit = cpu.Exit{Reason: cpu.ExitCall}
				return slowExit
			}
			return v.trap(riscv.EnvironmentCallFromS, 0)
		}
		return v.trap(riscv.EnvironmentCallFromM, 0)
	case riscv.EBREAK:
		return v.trap(riscv.Breakpoint, h.PC)
	case riscv.MRET:
		if h.MRet() {
			return slowJump
		}
		ok = false
	case riscv.SRET:
		if h.SRet() {
			return slowJump
		}
		ok = false
	case riscv.WFI:
		if ok = h.WFI(); ok && h.Halted {
			return v.leave(in, cpu.Exit{Reason: cpu.ExitHalt})
		}
	case riscv.SFENCE_VMA:
		ok = h.SFenceVMA(h.X[in.rs1&31], h.X[in.rs2&31], in.rs1 != 0, in.rs2 != 0)
	case riscv.SINVAL_VMA:
		ok = h.SInvalVMA(h.X[in.rs1&31], h.X[in.rs2&31], in.rs1 != 0, in.rs2 != 0)
	case riscv.SFENCE_W_INVAL, riscv.SFENCE_INVAL_IR:
		ok = h.SFenceInval()
	case riscv.CSRRW, riscv.CSRRS, riscv.CSRRC, riscv.CSRRWI, riscv.CSRRSI, riscv.CSRRCI:
		gen, key := v.gen, v.jumpKey
		if !v.csr(in) {
			return v.illegal(b, in)
		}
		v.refresh()
		if h.Attention.Load() == 0 && v.gen == gen && v.jumpKey == key {
			return slowNext // nothing has changed that leads elsewhere
		}
	default:
		ok = false
	}
	if !ok {
		return v.illegal(b, in)
	}
	v.advance(in)
	return slowJump
}

// csr executes a Zicsr instruction.
func (v *VCPU) csr(in *inst) (ok bool) {
	h := v.h
	operand := h.X[in.rs1&31]
	// unpriv §6.1: a set or clear with x0 or the immediate 0 does not write,
	// a swap to x0 does not read.
	write, read := in.rs1 != 0, true
	op := hart.CSRSet
	switch in.op {
	case riscv.CSRRWI, riscv.CSRRSI, riscv.CSRRCI:
		operand = uint64(in.rs1)
	}
	switch in.op {
	case riscv.CSRRW, riscv.CSRRWI:
		op, write, read = hart.CSRSwap, true, in.rd != 0
	case riscv.CSRRC, riscv.CSRRCI:
		op = hart.CSRClear
	}
	old, ok := h.AccessCSR(uint16(in.imm), op, operand, write, read)
	if ok && in.rd != 0 {
		h.X[in.rd&31] = old
	}
	return ok
}
