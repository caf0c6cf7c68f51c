package interp

import (
	"unsafe"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// accessSize is the width of a load or store in bytes.
func accessSize(op riscv.Op) uint64 {
	switch op {
	case riscv.LB, riscv.LBU, riscv.SB:
		return 1
	case riscv.LH, riscv.LHU, riscv.SH, riscv.FLH, riscv.FSH:
		return 2
	case riscv.LW, riscv.LWU, riscv.SW, riscv.FLW, riscv.FSW:
		return 4
	}
	return 8
}

func isFloat(op riscv.Op) bool { return op >= riscv.FLW }

// load executes a load that missed the TLB, is misaligned, is to x0, or needs
// a look at mstatus.FS.
func (v *VCPU) load(b *block, in *inst) outcome {
	h := v.h
	op := in.op
	if op == opDrop {
		op = riscv.Op(in.rs2)
	}
	if isFloat(op) && !h.FPEnabled() {
		return v.illegal(b, in)
	}
	va := h.X[in.rs1&31] + uint64(in.imm)
	size := accessSize(op)
	var value uint64
	if first := memory.PageSize - va&pageMask; first < size {
		// The access lies in two pages; it is not atomic (unpriv §2.6).
		lo, cause, at, ok := v.loadPart(va, first)
		if ok {
			var hi uint64
			hi, cause, at, ok = v.loadPart(va+first, size-first)
			value = lo | hi<<(8*first)
		}
		if !ok {
			return v.trap(cause, at)
		}
	} else {
		host, p, cause, ok := v.loadPlace(va, size)
		if !ok {
			return v.trap(cause, va)
		}
		if host == nil {
			if va%size != 0 {
				return v.trap(riscv.LoadAccessFault, va)
			}
			return v.askMMIO(in, op, va, cpu.MMIO{Addr: p.gpa, Size: uint8(size)})
		}
		value = loadHost(host, size)
	}
	v.finishLoad(op, in.rd, value)
	return slowNext
}

// loadPart loads the n bytes of one page that a crossing access has there.
func (v *VCPU) loadPart(va, n uint64) (value uint64, cause riscv.Cause, at uint64, ok bool) {
	host, _, cause, ok := v.loadPlace(va, n)
	if !ok {
		return 0, cause, va, false
	}
	if host == nil {
		return 0, riscv.LoadAccessFault, va, false
	}
	return loadBytes(host, n), 0, 0, true
}

// finishLoad extends the value as the load says and writes it to rd.
func (v *VCPU) finishLoad(op riscv.Op, rd uint8, value uint64) {
	switch op {
	case riscv.LB:
		value = uint64(int64(int8(value)))
	case riscv.LH:
		value = uint64(int64(int16(value)))
	case riscv.LW:
		value = sext32(uint32(value))
	case riscv.FLH: // unpriv §21.2: narrower values are NaN-boxed
		value |= ^uint64(0xffff)
	case riscv.FLW:
		value |= box32
	}
	if !isFloat(op) {
		if rd != 0 {
			v.h.X[rd&31] = value
		}
		return
	}
	v.h.F[rd&31] = value
	if !v.fpReady {
		v.h.SetFPDirty()
		v.refresh()
	}
}

// store executes a store that missed the TLB, is misaligned, or needs a look
// at mstatus.FS.
func (v *VCPU) store(b *block, in *inst) outcome {
	h := v.h
	op := in.op
	value := h.X[in.rs2&31]
	if isFloat(op) {
		if !h.FPEnabled() {
			return v.illegal(b, in)
		}
		value = h.F[in.rs2&31]
	}
	va := h.X[in.rs1&31] + uint64(in.imm)
	size := accessSize(op)
	if first := memory.PageSize - va&pageMask; first < size {
		// Both pages are checked before anything is stored.
		lo, cause, at, ok := v.storePart(va, first)
		var hi unsafe.Pointer
		if ok {
			hi, cause, at, ok = v.storePart(va+first, size-first)
		}
		if !ok {
			return v.trap(cause, at)
		}
		storeBytes(lo, value, first)
		storeBytes(hi, value>>(8*first), size-first)
		return slowNext
	}
	host, p, cause, ok := v.storePlace(va, size)
	if !ok {
		return v.trap(cause, va)
	}
	if host == nil {
		if va%size != 0 {
			return v.trap(riscv.StoreAccessFault, va)
		}
		value &= ^uint64(0) >> (64 - 8*size)
		return v.askMMIO(in, op, va, cpu.MMIO{Addr: p.gpa, Size: uint8(size), Write: true, Data: value})
	}
	storeHost(host, value, size)
	return slowNext
}

func (v *VCPU) storePart(va, n uint64) (host unsafe.Pointer, cause riscv.Cause, at uint64, ok bool) {
	host, _, cause, ok = v.storePlace(va, n)
	if !ok {
		return nil, cause, va, false
	}
	if host == nil {
		return nil, riscv.StoreAccessFault, va, false
	}
	return host, 0, 0, true
}

// askMMIO leaves Run so that the machine makes the access; CompleteMMIO ends
// the instruction.
func (v *VCPU) askMMIO(in *inst, op riscv.Op, va uint64, m cpu.MMIO) outcome {
	next := v.h.PC + uint64(in.next().off-in.off)
	v.pending = pending{on: true, write: m.Write, op: op, rd: in.rd, next: next, va: va}
	v.exit = cpu.Exit{Reason: cpu.ExitMMIO, MMIO: m}
	return slowExit
}

// CompleteMMIO is for cpu.VCPU.
func (v *VCPU) CompleteMMIO(value uint64, ok bool) {
	p := v.pending
	if !p.on {
		return
	}
	v.pending = pending{}
	switch {
	case !ok && p.write:
		v.h.Trap(riscv.StoreAccessFault, p.va)
		return
	case !ok:
		v.h.Trap(riscv.LoadAccessFault, p.va)
		return
	case !p.write:
		value &= ^uint64(0) >> (64 - 8*accessSize(p.op))
		v.finishLoad(p.op, p.rd, value)
	}
	v.h.PC = p.next
	v.h.Instret++
}

// loadHost loads in one access if it is aligned, else byte by byte.
func loadHost(p unsafe.Pointer, size uint64) uint64 {
	if uint64(uintptr(p))%size == 0 {
		switch size {
		case 1:
			return uint64(*(*uint8)(p))
		case 2:
			return uint64(le16(*(*uint16)(p)))
		case 4:
			return uint64(le32(*(*uint32)(p)))
		case 8:
			return le64(*(*uint64)(p))
		}
	}
	return loadBytes(p, size)
}

func loadBytes(p unsafe.Pointer, n uint64) (value uint64) {
	for i, b := range unsafe.Slice((*byte)(p), n) {
		value |= uint64(b) << (8 * i)
	}
	return value
}

func storeHost(p unsafe.Pointer, value, size uint64) {
	if uint64(uintptr(p))%size == 0 {
		switch size {
		case 1:
			*(*uint8)(p) = uint8(value)
			return
		case 2:
			*(*uint16)(p) = le16(uint16(value))
			return
		case 4:
			*(*uint32)(p) = le32(uint32(value))
			return
		case 8:
			*(*uint64)(p) = le64(value)
			return
		}
	}
	storeBytes(p, value, size)
}

func storeBytes(p unsafe.Pointer, value, n uint64) {
	s := unsafe.Slice((*byte)(p), n)
	for i := range s {
		s[i] = byte(value >> (8 * i))
	}
}

// cboBlock is the size of a cache block, as the device tree says.
const cboBlock = 64

// cacheBlock executes a permitted CBO instruction. Memory is coherent: only
// cbo.zero has anything to do.
func (v *VCPU) cacheBlock(in *inst) outcome {
	va := v.h.X[in.rs1&31]
	base := va &^ (cboBlock - 1)
	if in.op == riscv.CBO_ZERO {
		host, _, cause, ok := v.storePlace(base, cboBlock)
		if !ok {
			return v.trap(cause, va)
		}
		if host == nil {
			return v.trap(riscv.StoreAccessFault, va)
		}
		for i := range cboBlock / 8 {
			*(*uint64)(unsafe.Add(host, 8*i)) = 0
		}
	} else if _, _, _, ok := v.loadPlace(base, cboBlock); !ok {
		// CMO §2.5.2: permitted where loads or stores are; the faults are a
		// store's.
		if _, cause, ok := v.h.Translate(base, cboBlock, hart.Store); !ok {
			return v.trap(cause, va)
		}
	}
	return slowNext
}
