package interp

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// Every atomic access is sequentially consistent, whatever its aq and rl, but
// for LR without rl, which earlier stores may follow.

// atomic executes an instruction of A or Zacas.
func (v *VCPU) atomic(in *inst) outcome {
	h := v.h
	va := h.X[in.rs1&31]
	size := uint64(4)
	switch {
	case in.op == riscv.AMOCAS_Q:
		size = 16
	case in.op == riscv.AMOCAS_D || riscv.LR_D <= in.op && in.op <= riscv.AMOMAXU_D:
		size = 8
	}
	isLR := in.op == riscv.LR_W || in.op == riscv.LR_D
	if va%size != 0 {
		if isLR {
			return v.trap(riscv.LoadAddressMisaligned, va)
		}
		return v.trap(riscv.StoreAddressMisaligned, va)
	}
	if isLR {
		return v.loadReserved(in, va, size)
	}
	host, p, cause, ok := v.storePlace(va, size)
	if !ok {
		return v.trap(cause, va)
	}
	if host == nil {
		return v.trap(riscv.StoreAccessFault, va)
	}
	operand := h.X[in.rs2&31]
	// On hosts that are not TSO, Go's operations order less: what follows may
	// pass their store, and a comparison that fails releases nothing.
	if !hostIsTSO {
		barrier()
		defer barrier()
	}
	var old uint64
	switch {
	case in.op == riscv.SC_W || in.op == riscv.SC_D:
		old = v.storeConditional(host, p, va, size, operand)
	case in.op == riscv.AMOCAS_Q:
		v.casQuad(in, host)
		return slowNext
	case in.op == riscv.AMOCAS_W:
		old = sext32(cas32(host, uint32(h.X[in.rd&31]), uint32(operand)))
	case in.op == riscv.AMOCAS_D:
		old = cas64(host, h.X[in.rd&31], operand)
	case size == 4:
		old = sext32(amo32(in.op, host, uint32(operand)))
	default:
		old = amo64(in.op, host, operand)
	}
	if in.rd != 0 {
		h.X[in.rd&31] = old
	}
	return slowNext
}

// loadReserved: see storeConditional.
func (v *VCPU) loadReserved(in *inst, va, size uint64) outcome {
	h := v.h
	host, p, cause, ok := v.loadPlace(va, size)
	if !ok {
		return v.trap(cause, va)
	}
	if host == nil {
		return v.trap(riscv.LoadAccessFault, va)
	}
	if in.rs2 != 0 {
		barrier() // unpriv §17.1, rule 6: rl orders all before it, stores too
	}
	var value uint64
	if size == 4 {
		value = sext32(le32(atomic.LoadUint32((*uint32)(host))))
	} else {
		value = le64(atomic.LoadUint64((*uint64)(host)))
	}
	h.ResValid, h.ResSize, h.ResValue = true, uint8(size), value
	h.ResAddr = v.gpaOf(host, p)
	if in.rd != 0 {
		h.X[in.rd&31] = value
	}
	return slowNext
}

// storeConditional returns 0 if it stored, else 1.
//
// unpriv §14.2: SC must fail if another hart has stored to the reservation set
// since LR. Here it fails if the value has changed, so that no store pays for
// reservations. For a constrained LR/SC loop (unpriv §14.3), the only kind that
// must ever succeed, that is exact. Between its LR and its SC there is no access
// to memory, no fence and no jump back, and an interrupt ends the reservation
// (hart.Poll). So nothing tells when LR was: had it been done at the very moment of the
// exchange, it would have read the same value, every access that is ordered before or
// after it would be so still, and no store would have come between. What happens
// is what a hart does that had this timing, whatever came and went before.
//
// Deviates: unpriv §14.2, for other loops: if memory is accessed between LR and
// SC, another hart can change the value and put it back between the two, and SC
// succeeds. Code compiled from C, C++, Go or Rust atomics and Linux's loops are
// constrained. See docs/RATIONALE.md for what exactness would cost.
func (v *VCPU) storeConditional(host unsafe.Pointer, p place, va, size, value uint64) uint64 {
	h := v.h
	valid := h.ResValid && h.ResSize == uint8(size) && h.ResAddr == v.gpaOf(host, p)
	was := h.ResValue
	h.ResValid, h.ResSize, h.ResAddr, h.ResValue = false, 0, 0, 0 // by SC whatever its outcome
	if !valid {
		return 1
	}
	if size == 4 {
		return b2u(!atomic.CompareAndSwapUint32((*uint32)(host), le32(uint32(was)), le32(uint32(value))))
	}
	return b2u(!atomic.CompareAndSwapUint64((*uint64)(host), le64(was), le64(value)))
}

// gpaOf is the physical address of host, which p tells unless the TLB was hit.
func (v *VCPU) gpaOf(host unsafe.Pointer, p place) memory.GPA {
	if p.region != nil {
		return p.gpa
	}
	for _, r := range v.mem.Regions() {
		if off := uintptr(host) - uintptr(r.Host()); uint64(off) < r.Size {
			return r.Base + memory.GPA(off)
		}
	}
	return 0 // not reached: the TLB leads only into regions
}

func cas32(p unsafe.Pointer, expected, value uint32) (old uint32) {
	for {
		old = le32(atomic.LoadUint32((*uint32)(p)))
		if old != expected || atomic.CompareAndSwapUint32((*uint32)(p), le32(old), le32(value)) {
			return old
		}
	}
}

func cas64(p unsafe.Pointer, expected, value uint64) (old uint64) {
	for {
		old = le64(atomic.LoadUint64((*uint64)(p)))
		if old != expected || atomic.CompareAndSwapUint64((*uint64)(p), le64(old), le64(value)) {
			return old
		}
	}
}

// casQuad executes amocas.q: the low halves are in the even registers.
func (v *VCPU) casQuad(in *inst, host unsafe.Pointer) {
	x := &v.h.X
	pair := func(r uint8) (lo, hi uint64) {
		if r == 0 { // Zacas: x0 stands for a pair of zeros
			return 0, 0
		}
		return x[r&31], x[(r+1)&31]
	}
	expLo, expHi := pair(in.rd)
	newLo, newHi := pair(in.rs2)
	lo, hi := cas128(host, le64(expLo), le64(expHi), le64(newLo), le64(newHi))
	if in.rd != 0 {
		x[in.rd&31], x[(in.rd+1)&31] = le64(lo), le64(hi)
	}
}

func amo32(op riscv.Op, host unsafe.Pointer, operand uint32) (old uint32) {
	p := (*uint32)(host)
	if op == riscv.AMOSWAP_W {
		return le32(atomic.SwapUint32(p, le32(operand)))
	}
	for {
		old = le32(atomic.LoadUint32(p))
		// The 64-bit operation on sign-extended values gives the same low half.
		result := amoResult(op+(riscv.LR_D-riscv.LR_W), sext32(old), sext32(operand))
		if atomic.CompareAndSwapUint32(p, le32(old), le32(uint32(result))) {
			return old
		}
	}
}

func amo64(op riscv.Op, host unsafe.Pointer, operand uint64) (old uint64) {
	p := (*uint64)(host)
	if op == riscv.AMOSWAP_D {
		return le64(atomic.SwapUint64(p, le64(operand)))
	}
	for {
		old = le64(atomic.LoadUint64(p))
		if atomic.CompareAndSwapUint64(p, le64(old), le64(amoResult(op, old, operand))) {
			return old
		}
	}
}

// amoResult is what an AMO of 64 bits stores. Sign extension keeps the
// unsigned order too, so that it serves 32 bits as well.
func amoResult(op riscv.Op, old, operand uint64) uint64 {
	switch op {
	case riscv.AMOADD_D:
		return old + operand
	case riscv.AMOXOR_D:
		return old ^ operand
	case riscv.AMOAND_D:
		return old & operand
	case riscv.AMOOR_D:
		return old | operand
	case riscv.AMOMIN_D:
		return uint64(min(int64(old), int64(operand)))
	case riscv.AMOMAX_D:
		return uint64(max(int64(old), int64(operand)))
	case riscv.AMOMINU_D:
		return min(old, operand)
	case riscv.AMOMAXU_D:
		return max(old, operand)
	}
	return operand
}

// needsBarrier tells whether a fence orders what this host does not.
func needsBarrier(d riscv.Inst) bool {
	if !hostIsTSO {
		return true
	}
	// TSO lets only a load pass an earlier store (RVWMO: W before R), for
	// which FENCE.TSO does not ask either. Device accesses leave Run.
	const succR, predW = 1 << 1, 1 << 4
	return d.Op == riscv.FENCE && bits.OnesCount64(uint64(d.Imm)&(succR|predW)) == 2
}
